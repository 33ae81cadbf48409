#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks still run, on little and for a moment: smoke_test.py BUILD-DIR. No figure of it
means anything, so none is judged."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'tests', 'lib'))

from node import missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402


def runs(tap, what, wanted, *command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    tap.ok(done.returncode == 0, f'{what} runs', done.stdout + done.stderr)
    for text in wanted:
        tap.ok(text in done.stdout, f'{what} prints "{text}"', done.stdout)
    tap.ok('not content' not in done.stdout, f'{what} saw no wrong answer', done.stdout)


def end_to_end(tap, build):
    """Node and testpmd, memif and veth"""
    runs(tap, 'end_to_end', ('command: ', 'commit: ', 'machine: ', '/ testpmd: '),
         f'{HERE}/end_to_end', build, '--smoke')


def base_transaction(tap, build):
    """Durable transactions beside fio"""
    runs(tap, 'base_transaction', ('machine: ', '10 clients: ', 'fio, ', ' 0 unknown'),
         f'{HERE}/base_transaction', build, '--smoke')


def restart(tap, build):
    """A killed node's restart beside reading its log"""
    runs(tap, 'restart', ('machine: ', 'without checkpoints', 'ratio '), f'{HERE}/restart', build,
         '--smoke')


def clean(tap, build):
    """Bytes and time that cleaning costs, beside RocksDB"""
    runs(tap, 'clean', ('machine: ', 'Zipf 1.0       80 %', 'cleaning, no limit  p50 ',
                        'bytes written for each committed'), f'{HERE}/clean', build, '--smoke')


def cold_read(tap, build):
    """Values read back beside fio"""
    runs(tap, 'cold_read', ('machine: ', '32 at a time  fio 4096 B', 'ratio of values '),
         f'{HERE}/cold_read', build, '--smoke')


def check(tap, build):
    """Judging histories"""
    runs(tap, 'check_bench', ('clean          1000 transactions', 'circle         1000 '),
         f'{build}/bench/check_bench', '1000')


def steer(tap, build):
    """The XDP program by itself"""
    runs(tap, 'steer_bench', ('an empty program', 'request, IPv4', 'new tenants'),
         f'{build}/bench/steer_bench')


def telemetry(tap, build):
    """What telemetry costs, in the worker and in a node"""
    runs(tap, 'telemetry_bench',
         ('atomic read of 4 keys', 'commit of 2 puts', 'on / off ', 'read / not '),
         f'{build}/bench/telemetry_bench', '4096')
    runs(tap, 'telemetry', ('machine: ', 'without telemetry', 'with maps: ', 'and watchers: '),
         f'{HERE}/telemetry', build, '--smoke')


def hostile(tap, build):
    """Honest clients beside floods"""
    runs(tap, 'hostile', ('machine: ', 'garbage ', 'reserve ', 'displaced '), f'{HERE}/hostile',
         build, '--smoke')


def main():
    build = sys.argv[1]
    reason = missing()
    if not reason and not shutil.which('dpdk-testpmd'):
        reason = 'needs dpdk-testpmd (package dpdk-dev)'
    if not reason and not shutil.which('fio'):
        reason = 'needs fio'
    if not reason and os.cpu_count() < 2:
        reason = 'needs two cores'
    if reason:
        skip_all(reason)
    tap = Tap()
    tap.case(end_to_end, build)
    tap.case(telemetry, build)
    tap.case(base_transaction, build)
    tap.case(restart, build)
    tap.case(clean, build)
    tap.case(cold_read, build)
    tap.case(hostile, build)
    tap.case(check, build)
    tap.case(steer, build)
    tap.done()


if __name__ == '__main__':
    main()
