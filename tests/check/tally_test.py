#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that tools/check counts right, above all that no failure gets lost. Prints TAP."""
import sys

sys.dont_write_bytecode = True

from tally import Tally, add_test  # noqa: E402

# (what, result by meson, output, passed, failed, skipped)
CASES = [
    ('all good', 'OK', '1..2\nok 1 - a\nok 2 - b\n', 2, 0, 0),
    ('one bad', 'FAIL', '1..2\nok 1 - a\nnot ok 2 - b\n', 1, 1, 0),
    ('a crash half way', 'ERROR', '1..3\nok 1 - a\n', 1, 2, 0),
    ('a crash at the end', 'ERROR', '1..1\nok 1 - a\n', 1, 1, 0),
    ('a timeout before the plan', 'TIMEOUT', '', 0, 1, 0),
    ('a skip', 'OK', '1..2\nok 1 - a\nok 2 - b # SKIP no hugepages here\n', 1, 0, 1),
    ("cmocka's skip", 'OK', '1..2\nok 1 - a\n# no root here\nnot ok 2 # SKIP b\n', 1, 0, 1),
    ('all skipped', 'SKIP', '1..0 # SKIP not root\n', 0, 0, 1),
    ('two groups of cmocka', 'OK', '1..1\nok 1 - a\n1..1\nok 1 - b\n', 2, 0, 0),
    ('expected to fail', 'OK', '1..1\nnot ok 1 - a # TODO later\n', 1, 0, 0),
    ('no TAP, good', 'OK', 'hello\n', 1, 0, 0),
    ('no TAP, bad', 'FAIL', 'hello\n', 0, 1, 0),
    ('no TAP, skipped', 'SKIP', 'no root\n', 0, 0, 1),
    ('bad by its exit code alone', 'FAIL', '1..1\nok 1 - a\n', 1, 1, 0),
]


def main():
    print(f'1..{len(CASES) + 1}')
    bad = 0
    for number, (what, result, out, *want) in enumerate(CASES, 1):
        tally = Tally()
        add_test(tally, {'name': 't', 'result': result, 'stdout': out})
        got = [tally.passed, tally.failed, tally.skipped]
        bad += got != want
        mark = 'ok' if got == want else 'not ok'
        print(f'{mark} {number} - {what}')
        if got != want:
            print(f'# passed, failed, skipped: {got}, expected {want}')
    tally = Tally()
    add_test(tally, {'name': 't', 'result': 'OK', 'stdout': CASES[6][2]})
    good = tally.skips == [('t', 'case 2', 'no root here')]
    bad += not good
    mark = 'ok' if good else 'not ok'
    print(f"{mark} {len(CASES) + 1} - the reason of cmocka's skip is found")
    if not good:
        print(f'# {tally.skips}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
