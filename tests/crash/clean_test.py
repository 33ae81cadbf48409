#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 while checkpoints are written and segments cleaned: as crash_test.py, but the same keys
are overwritten and deleted, values are larger than the cache, the logs are so short that without
cleaning nothing goes on, and most kills wait for their moment by watching the directory."""
import glob
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from storm import Storm, bad  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ROUNDS = int(os.environ.get('ABAFT_CRASH_ROUNDS', '50'))
SLOTS = 6000
LOAD_S = (0.1, 0.5)
MOMENT_S = 1.0  # to wait for, at most; then it is killed all the same
JUST_S = 0.05
MOMENTS = ('a random one', 'a checkpoint begins', 'the kept log grows', 'a segment goes')
CONFIG = {'segment_size': '8M', 'log_bytes_max': '256M', 'checkpoint': '8M', 'clean_below': 85,
          'clean_rate': 0, 'cache': '4M', 'memory': '96M', 'keys': 1 << 16, 'outcomes': 1 << 14,
          'deadline': '2s'}


class Directory:
    """What a data directory shows of checkpoints and cleaning, without asking the node."""

    def __init__(self, path):
        self.path = path
        self.began = self.segments()

    def segments(self):
        return set(glob.glob(f'{self.path}/log-*/seg-????????'))

    def freed(self):
        """Segments that were there when this began and no longer are: only cleaning does that."""
        return len(self.began - self.segments())

    def writing(self):
        """A checkpoint that has no name yet."""
        return any(name.endswith('.new') for name in os.listdir(self.path))

    def copied_at(self):
        """When the kept log was last written to."""
        times = [0]
        for entry in os.scandir(f'{self.path}/log-064'):
            try:
                times.append(entry.stat().st_mtime)
            except FileNotFoundError:  # freed this moment
                pass
        return max(times)


def wait_for(moment, seen):
    """Until the moment has come, and a little longer, so that the kill is somewhere in it."""
    time.sleep(random.uniform(*LOAD_S))
    begin, copied, freed = time.monotonic(), seen.copied_at(), seen.freed()
    if moment == 0:
        return
    while time.monotonic() < begin + MOMENT_S:
        if (moment == 1 and seen.writing()) or (moment == 2 and seen.copied_at() > copied) or \
                (moment == 3 and seen.freed() > freed):
            time.sleep(random.choice((0, random.uniform(0, 0.02))))
            return
        time.sleep(0.0005)


def kill(node, moment, totals):
    """Kills at the moment; counts and says what it hit, as the directory shows it afterwards."""
    seen = Directory(node.keys['data_dir'])
    wait_for(moment, seen)
    end = time.time()
    node.kill()
    hit = {'in checkpoints': seen.writing(), 'in copying': end - seen.copied_at() < JUST_S,
           'behind freeing': seen.freed() > 0}
    for what, is_so in hit.items():
        totals[what] += is_so
    totals['segments freed'] += seen.freed()
    return [what for what, is_so in hit.items() if is_so] + [f'{seen.freed()} freed']


def start_again(node, workers, totals):
    """A worker that had no log yet, or whose log was cleaned away, needs a segment; where the logs
    are full it gets none, and the node says so: fewer workers clean, and it can be tried later."""
    before, node.keys['workers'] = node.keys.get('workers', 1), workers
    try:
        node.start()
    except Failed as failed:
        if workers <= before or 'No space left' not in str(failed).splitlines()[-1]:
            raise
        totals['no room for a worker'] += 1
        node.keys['workers'] = before
        node.start()


def one_round(tap, node, storm, number, totals):
    """One round: the node runs; load, kill, restart, check; it goes on running"""
    moment = number % len(MOMENTS)
    storm.say('load')
    hit = kill(node, moment, totals)
    storm.say('halt')
    loaded = storm.answer()
    if number % 5 == 4:  # and once more, somewhere on the way up
        try:
            node.start(random.uniform(0, 0.3))
        except Failed:
            pass
        node.kill()
    begin = time.monotonic()
    start_again(node, 1 + number // 4 % 2, totals)
    up = time.monotonic()
    checked = storm.ask('check')
    tap.ok(not bad(checked) and not loaded['fractured'],
           f'round {number}: killed when {MOMENTS[moment]}: {", ".join(hit)}; '
           f'{loaded["acknowledged"]} acknowledged, {loaded["unknown"]} unknown; '
           f'{node.keys["workers"]} worker(s): {checked["checked"]} whole',
           bad(checked), loaded, node.ready)
    tap.note(f'up after {up - begin:.2f} s, checked in {time.monotonic() - up:.2f} s, '
             f'{loaded["full"]} times full')
    for name in ('acknowledged', 'unknown', 'full'):
        totals[name] += loaded[name]


def judge(tap, node, storm, totals):
    """All kills together"""
    checked = storm.ask('all')
    tap.equal(bad(checked), {}, f'in the end: {checked["checked"]} slots after {ROUNDS} rounds')
    tap.note(f'{ROUNDS} kills: ' + ', '.join(f'{n} {name}' for name, n in totals.items()),
             node.ready)
    tap.ok(totals['acknowledged'] > 20 * ROUNDS, 'there was load', totals)
    tap.ok(totals['unknown'] > ROUNDS // 2, 'kills met transactions in flight', totals)
    tap.ok(totals['in checkpoints'] >= ROUNDS // 8, 'kills met checkpoints', totals)
    tap.ok(totals['in copying'] >= ROUNDS // 4, 'kills met the copying of live values', totals)
    tap.ok(totals['behind freeing'] >= ROUNDS // 4, 'kills met nodes that had freed', totals)
    tap.ok(node.total('cache_misses') > 0, 'values were read back from disk')
    tap.equal(node.stop(), 0, 'a clean stop in the end')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    seed = int(os.environ.get('ABAFT_SEED', int.from_bytes(os.urandom(4), 'little')))
    tap.note(f'seed {seed}: ABAFT_SEED={seed} repeats the delays and the writes')
    random.seed(seed)
    enter_namespace()
    totals = dict.fromkeys(('acknowledged', 'unknown', 'full', 'in checkpoints', 'in copying',
                            'behind freeing', 'segments freed',
                            'no room for a worker'), 0)
    node = Node(start=False, **CONFIG)
    storm = Storm(seed, SLOTS)
    try:
        node.start()
        for number in range(ROUNDS):
            if storm.alive():
                tap.case(one_round, node, storm, number, totals)
        if storm.alive():
            tap.case(judge, node, storm, totals)
    finally:
        storm.close()
        node.close()
    tap.done()


main()
