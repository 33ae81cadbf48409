#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Load, kill -9 at a random moment, restart, check; many rounds on one data directory. However fast
the machine and however many the rounds, all keys have room in the node."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from storm import Storm, bad  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ROUNDS = int(os.environ.get('ABAFT_CRASH_ROUNDS', '24'))
KEYS = 1 << 16
SLOTS = 20000  # of three keys on average, and some pairs


def one_round(tap, node, storm, number, totals):
    """One round: the node runs; load, kill, restart, check; it goes on running"""
    storm.say('load')
    delay = random.uniform(0.02, 0.4)
    time.sleep(delay)
    node.kill()
    storm.say('halt')
    loaded = storm.answer()
    node.keys['workers'] = 1 + number // 2 % 2
    if number % 5 == 4:  # and once more, somewhere on the way up
        try:
            node.start(random.uniform(0, 0.3))
        except Failed:
            pass
        node.kill()
    begin = time.monotonic()
    node.start()
    up = time.monotonic()
    checked = storm.ask('check')
    tap.ok(not bad(checked) and not loaded['fractured'],
           f'round {number}: killed after {delay * 1000:.0f} ms, {loaded["acknowledged"]} '
           f'acknowledged, {loaded["unknown"]} unknown; {node.keys["workers"]} worker(s): '
           f'{checked["checked"]} whole', bad(checked), loaded, node.ready)
    tap.note(f'up after {up - begin:.2f} s, checked in {time.monotonic() - up:.2f} s')
    for name in totals:
        totals[name] += loaded[name]


def judge(tap, node, storm, totals):
    """All rounds together"""
    checked = storm.ask('all')
    tap.equal(bad(checked), {},
              f'in the end: all slots, by {checked["checked"]} looks, after {ROUNDS} rounds')
    tap.note(', '.join(f'{n} {name}' for name, n in totals.items()), node.ready)
    tap.ok(totals['acknowledged'] > 20 * ROUNDS, 'there was load', totals)
    tap.ok(totals['unknown'] > ROUNDS // 2, 'kills met transactions in flight', totals)
    tap.equal(totals['full'], 0, 'the node had room for all of it')
    tap.equal(node.stop(), 0, 'a clean stop in the end')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    seed = int(os.environ.get('ABAFT_SEED', int.from_bytes(os.urandom(4), 'little')))
    tap.note(f'seed {seed}: ABAFT_SEED={seed} repeats the kill times and the writes')
    random.seed(seed)
    enter_namespace()
    totals = {'acknowledged': 0, 'unknown': 0, 'full': 0}
    node = Node(start=False, memory='192M', keys=KEYS, segment_size='8M', deadline='2s')
    storm = Storm(seed, SLOTS, 'fresh')
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
