#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""shrink_test.py - a simulated run that fails is made smaller, and what is printed replays it.

    shrink_test.py PROGRAM   world_planted: a bug of tests/planted makes it fail on demand"""
import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))

import tap  # noqa: E402

PROGRAM = sys.argv[1]
BUG = 'client_commit_opens'
SEEDS = 40  # within which tests/planted sees it
LIMIT_S = 240
REPLAY = re.compile(r'^# replay: \S+ -v (.*)$', re.M)
FAILED = re.compile(r'^not ok 1 - seed (\d+): (.*)$', re.M)
LEFT = re.compile(r'^# (\d+) requests are left, after (\d+) tries; faults:(.*)$', re.M)


def world(arguments, bug=None):
    """Its exit status, and what it said."""
    environment = {name: text for name, text in os.environ.items()
                   if not name.startswith('ABAFT_') and name != 'MALLOC_PERTURB_'}
    if bug:
        environment['ABAFT_PLANT'] = bug
    done = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=LIMIT_S, env=environment)
    return done.returncode, done.stdout.decode(errors='replace')


def a_failing_run_shrinks(t):
    """A failing run is made smaller, and replays"""
    code, said = world(['--seed', '1', '--seeds', str(SEEDS)], BUG)
    failed, left, replay = FAILED.search(said), LEFT.search(said), REPLAY.search(said)
    t.equal(code, 1, 'the exit status says so')
    if not t.ok(failed and left and replay, 'it says what failed, what is left, and how to replay',
                said):
        return
    t.ok('# commit ' in said, 'and of which commit')
    t.ok(int(left[1]) <= 10, f'{left[1]} of hundreds of requests are left', said)
    t.ok(int(left[2]) > 1, f'after {left[2]} tries')
    arguments = shlex.split(replay[1])
    code, again = world(arguments, BUG)
    t.equal((code, FAILED.search(again) and FAILED.search(again)[2]), (1, failed[2]),
            'the smaller run fails by the same rule')
    code, sound = world(arguments)
    t.equal(code, 0, 'and not without the bug')
    t.ok(re.search(rf'# +{left[1]}  requests$', sound, re.M), 'with as many requests', sound)


def wrong_words(t):
    """What makes no sense is refused with a sentence"""
    for arguments, sentence in ((['--with', 'RAIN'], "no fault is called 'RAIN'"),
                                (['--seed', 'x'], "not a number: 'x'"),
                                (['--requests', '99999'], "too many requests: '99999'"),
                                (['more'], "what is 'more'")):
        code, said = world(arguments)
        t.equal((code, sentence in said), (2, True), ' '.join(arguments))
    code, said = world(['--faults'])
    t.equal((code, 'POWER_CUT' in said), (0, True), '--faults lists them')


def main():
    t = tap.Tap()
    t.case(a_failing_run_shrinks)
    t.case(wrong_words)
    t.done()


main()
