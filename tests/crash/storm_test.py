#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The storm itself: it keeps to its slots, and it ends with the truth where a node is full, dead or
slow, so that the crash tests say what was wrong."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import storm as storms  # noqa: E402
from node import Node, enter_namespace, missing  # noqa: E402
from storm import Storm, bad  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

SLOTS = 600
KEYS = 2048  # room for SLOTS, of three keys each on average, and the pairs
WAIT_S = 20
SHORT_S = 2


def load_until(node, storm, counter, number):
    """Load until the node has counted so many; what the storm says of it."""
    end = time.monotonic() + WAIT_S
    storm.say('load')
    while node.total(counter) < number and time.monotonic() < end:
        time.sleep(0.02)
    storm.say('halt')
    return storm.answer()


def keeps_to_slots(tap):
    """However much is written, the keys are no more than the slots'"""
    with Node(keys=KEYS) as node:
        storm = Storm(1, SLOTS, 'fresh')
        try:
            loaded = load_until(node, storm, 'commits', 3 * SLOTS)
            tap.ok(loaded['acknowledged'] > 2 * SLOTS, 'slots: used more than once', loaded)
            tap.equal((loaded['full'], node.total('busy_keys')), (0, 0), 'slots: never full')
            tap.equal(bad(storm.ask('check')), {}, 'slots: all is well')
            storm.progress = 0
            tap.equal((storm.ask('all')['checked'] >= SLOTS, storm.progress >= SLOTS // 100),
                      (True, True), 'slots: all are checked, and it says how far it is')
        finally:
            storm.close()


def full_node(tap):
    """A node that has no room for the keys: said at once, not waited for once a slot"""
    with Node(keys=KEYS) as node:
        storm = Storm(1, 4 * SLOTS, 'fresh')
        try:
            loaded = load_until(node, storm, 'busy_keys', 20)
            tap.ok(loaded['full'] > 0 and loaded['unknown'] > 0, 'full: told so', loaded)
            begin = time.monotonic()
            checked = storm.ask('check')
            tap.ok(time.monotonic() < begin + WAIT_S, 'full: the check ends')
            tap.equal(set(bad(checked)), {'errors'}, 'full: what is missing is nothing but room')
        finally:
            storm.close()


def dead_node(tap):
    """A node that is gone: no answer, and the storm is ended"""
    with Node(keys=KEYS) as node:
        storm = Storm(1, SLOTS, 'fresh')
        try:
            load_until(node, storm, 'commits', 100)
            node.kill()
            storms.ANSWER_S = SHORT_S
            error = None
            try:
                storm.ask('check')
            except TimeoutError as timeout:
                error = timeout
            tap.ok(error is not None and not storm.alive(), 'dead: the storm is given up', error)
        finally:
            storm.close()


def slow_check(tap):
    """A check that takes longer than an answer may, but gets on"""
    script = '#!/bin/sh\nread command\nfor i in 1 2 3 4; do sleep 1; echo at $i; done\n' \
             'echo checked 4 lost 0\n'
    with Node(start=False) as node:
        path = os.environ['ABAFT_STORM'] = f'{node.dir}/storm'
        with open(path, 'w', encoding='ascii') as file:
            file.write(script)
        os.chmod(path, 0o700)
        storms.ANSWER_S = SHORT_S
        storm = Storm(1, SLOTS)
        try:
            tap.equal(storm.ask('check'), {'checked': 4, 'lost': 0}, 'slow: waited for')
        finally:
            storm.close()


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    for case in (keeps_to_slots, full_node, dead_node, slow_check):
        tap.case(case)
    tap.done()


main()
