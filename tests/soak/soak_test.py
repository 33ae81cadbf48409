#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose logs are 80 % live data, overwritten by Zipf's law while cold values are read: its
space stays within the bound, its memory does not grow, and latencies are printed, as a series.

Takes ABAFT_SOAK_S seconds (tools/check: 60) and some more to fill the logs; without it is skipped.
Times are printed, not judged: machines differ, and a person can see whether the last third is like
the first."""
import glob
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import ROOT, Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
MIB = 1 << 20
BOUND = 1024 * MIB
VALUE = 4000
KEYS = BOUND * 80 // 100 // VALUE
CACHE = BOUND // 10
CHECKPOINT = 16 * MIB
CONFIG = {'segment_size': '8M', 'log_bytes_max': BOUND, 'checkpoint': CHECKPOINT,
          'clean_below': 95, 'clean_rate': 0, 'cache': CACHE, 'memory': '384M', 'keys': 1 << 19,
          'outcomes': 1 << 16}
STEP_S = 3
WRITES_PER_S, READS_PER_S = 1500, 1500
RSS_GROWTH = 1.03
WRITER = ('--writes=1', '--reads=0', '--zipf=1.0')
READER = ('--writes=0', '--reads=1', '--uniform')


def load(*arguments):
    return subprocess.Popen(
        [ABAFT, 'load', '--functions=1', '--one-packet', '--quiet', '--write=json',
         f'--keys={KEYS}', f'--value-bytes={VALUE}', *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(process, timeout_s):
    """What it found, and how many of its transactions failed."""
    try:
        out, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode > 1 or not out:
        raise RuntimeError(f'abaft load: {errors or out}')
    return json.loads(out)


def one_load(timeout_s, *arguments):
    return done(load(*arguments), timeout_s)


def disk_bytes(node, pattern):
    total = 0
    for path in glob.glob(f'{node.keys["data_dir"]}/{pattern}'):
        try:
            total += os.path.getsize(path)
        except FileNotFoundError:  # recycled this moment
            pass
    return total


def rss_bytes(node):
    with open(f'/proc/{node.pid}/status') as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith('VmRSS'))


def counts(node):
    info = node.info()
    info['written'] = info['log_group_bytes'] + info['kept_bytes'] + info['checkpoints_bytes']
    return info


class Soak:
    """The series: one row for each step."""

    HEAD = ('   s  disk MiB  live MiB  checkpoints MiB  RSS MiB  commit p50/p99 us  read p50/p99 us'
            '  cold %  segments cleaned  checkpoints  written/committed')

    def __init__(self, tap, node):
        self.tap, self.node = tap, node
        self.rows = []
        self.begin = time.monotonic()
        self.before = counts(node)
        tap.note(self.HEAD)

    def step(self):
        seed = len(self.rows) + 2
        loads = [load(*kind, f'--rate={rate}', f'--seconds={STEP_S}', f'--seed={seed}',
                      '--clients=32')
                 for kind, rate in ((WRITER, WRITES_PER_S), (READER, READS_PER_S))]
        highest = 0
        while any(process.poll() is None for process in loads):
            highest = max(highest, disk_bytes(self.node, 'log-*/*'))
            time.sleep(0.05)
        written, read = [done(process, 60) for process in loads]
        self.note(written, read, highest)

    def note(self, written, read, highest):
        now, before = counts(self.node), self.before
        self.before = now

        def more(name):
            return now[name] - before[name]
        row = {'s': time.monotonic() - self.begin, 'disk': highest,
               'live': now['data_live_bytes'], 'checkpoints': disk_bytes(self.node, 'checkpoint-*'),
               'rss': rss_bytes(self.node),
               'commit': written['latency_us'], 'read': read['latency_us'],
               'cold': 100 * more('fetches') / max(1, read['committed']),
               'cleaned': more('cleaned_segments'), 'written': more('checkpoints'),
               'amplification': more('written') / max(1, more('log_record_bytes')),
               'failed': sum(load[name] for load in (written, read)
                             for name in ('failed', 'unknown', 'not_found')),
               'errors': {**written['errors'], **read['errors']}}
        self.rows.append(row)
        self.tap.note(
            f'{row["s"]:4.0f} {row["disk"] / MIB:9.1f} {row["live"] / MIB:9.1f} '
            f'{row["checkpoints"] / MIB:16.1f} {row["rss"] / MIB:8.1f} '
            f'{row["commit"]["p50"]:9.0f}/{row["commit"]["p99"]:<8.0f}'
            f'{row["read"]["p50"]:8.0f}/{row["read"]["p99"]:<7.0f} {row["cold"]:6.1f} '
            f'{row["cleaned"]:17d} {row["written"]:12d} {row["amplification"]:18.2f}'
            + (f'  {row["errors"]}' if row['errors'] else ''))

    def third(self, n, what):
        """The mean over the n-th third of the rows."""
        size = max(1, len(self.rows) // 3)
        rows = self.rows[:size] if n == 0 else self.rows[-size:]
        return sum(what(row) for row in rows) / len(rows)


def fill(tap, node):
    """Preload, then overwrites until cleaning has been going on for a while"""
    tap.equal(one_load(300, '--preload', '--clients=8', '--transactions=1')['failed'], 0,
              f'{KEYS} keys are written')
    rounds = 0
    while node.info()['cleaned_bytes'] < BOUND // 4 and rounds < 40:
        one_load(60, *WRITER, '--clients=16', f'--seconds={STEP_S}', f'--seed={100 + rounds}')
        rounds += 1
    info = node.info()
    tap.ok(info['cleaned_segments'] > 0, 'the logs are full and cleaned', info)
    tap.note(f'before the series: {info["data_live_bytes"] / MIB:.0f} of {BOUND // MIB} MiB live, '
             f'{info["cleaned_segments"]} segments cleaned')


def judge(tap, soak):
    rows = soak.rows
    live = [row['live'] / BOUND for row in rows]
    tap.ok(0.78 <= min(live) and max(live) <= 0.82, 'live data are 80 % of the bound', live)
    tap.ok(max(row['disk'] for row in rows) <= BOUND, 'the logs never take more than their bound',
           max(row['disk'] for row in rows))
    most = max(row['checkpoints'] for row in rows)
    tap.ok(most < BOUND // 8, 'checkpoints stay small', most)
    first, last = (soak.third(n, lambda row: row['rss']) for n in (0, 2))
    tap.ok(last <= first * RSS_GROWTH, f'memory stays: RSS {first / MIB:.1f} MiB in the first '
           f'third, {last / MIB:.1f} in the last')
    tap.equal([row['failed'] for row in rows if row['failed']], [], 'no transaction failed')
    tap.ok(sum(row['cleaned'] for row in rows) > 0 and sum(row['written'] for row in rows) > 0,
           'segments were cleaned and checkpoints written all the while')
    tap.ok(min(row['cold'] for row in rows) > 30, 'most reads were of cold values')
    for name in ('commit', 'read'):
        first, last = (soak.third(n, lambda row: row[name]['p99']) for n in (0, 2))
        tap.note(f'{name} p99: first third {first:.0f} us, last third {last:.0f} us, '
                 f'ratio {last / max(1, first):.2f}')
    tap.note(f'written for each byte of a commit: first third '
             f'{soak.third(0, lambda row: row["amplification"]):.2f}, last third '
             f'{soak.third(2, lambda row: row["amplification"]):.2f}')


def soak(tap, node, seconds):
    """The series"""
    series = Soak(tap, node)
    while time.monotonic() < series.begin + seconds:
        series.step()
    judge(tap, series)


def restart(tap, node):
    """Killed at the end, it has everything"""
    node.kill()
    node.start()
    tap.note(node.ready)
    read = one_load(120, *READER, '--clients=32', '--seconds=5', '--seed=1')
    tap.equal((read['failed'], read['not_found'], read['unknown'], read['errors']), (0, 0, 0, {}),
              f'{read["committed"]} values read after a crash')
    tap.equal(node.stop(), 0, 'clean stop')


def main():
    seconds = float(os.environ.get('ABAFT_SOAK_S', '0'))
    reason = missing() or (None if seconds > 0 else 'runs with ABAFT_SOAK_S=SECONDS only')
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    with Node(**CONFIG) as node:
        tap.case(fill, node)
        tap.case(soak, node, seconds)
        tap.case(restart, node)
    tap.done()


main()
