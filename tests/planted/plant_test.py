#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The planted bugs' files: what is wrong with one is said, and stops the build."""
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from bugs import Bug, Wrong, plant  # noqa: E402
from tap import Tap  # noqa: E402

GOOD = '''title: t
breaks: P1, P6
realistic: r
seeds: core_sim 20, log_sim 5
file: a.c
old:
	b();
new:
	if (!PLANTED(one))
		b();
end:
'''
SOURCE = 'a();\n\tb();\nc();\n'


def bug(folder, text, name='one'):
    path = os.path.join(folder, name + '.bug')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return Bug(path)


def refused(tap, folder, text, want):
    try:
        bug(folder, text)
    except Wrong as wrong:
        tap.ok(want in str(wrong), f'refused: {want}', wrong)
    else:
        tap.ok(False, f'refused: {want}')


def misfit(tap, bugs, source, want):
    try:
        plant(bugs, 'a.c', source)
    except Wrong as wrong:
        tap.ok(want in str(wrong) and 'one' in str(wrong), f'does not fit: {want}', wrong)
    else:
        tap.ok(False, f'does not fit: {want}')


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        good = bug(folder, GOOD)
        tap.equal(plant([good], 'a.c', SOURCE), 'a();\n#line 2\n\tif (!PLANTED(one))\n\t\tb();\n'
                  '#line 3\nc();\n', 'the new text stands there, and lines keep their numbers')
        tap.equal(plant([good], 'other.c', SOURCE), SOURCE, 'another source stays as it is')
        tap.equal(good.programs(), [('core_sim', 20), ('log_sim', 5)], 'programs, in order')
        misfit(tap, [good], 'a();\n', '0 times')
        misfit(tap, [good], SOURCE + SOURCE, '2 times')
        misfit(tap, [good, bug(folder, GOOD.replace('one', 'two'), 'two')], SOURCE, 'same lines')
        for word in ('title', 'breaks', 'realistic', 'seeds', 'file'):
            lines = [line for line in GOOD.splitlines(True) if not line.startswith(word)]
            refused(tap, folder, ''.join(lines), f'lacks a line "{word}')
        refused(tap, folder, GOOD.replace('PLANTED(one)', 'false'), 'it would be there always')
        refused(tap, folder, GOOD.replace('P1, P6', 'all'), 'breaks no promise')
        refused(tap, folder, GOOD.replace('core_sim 20', 'core_sim'), 'names no programs')
        refused(tap, folder, GOOD.replace('end:', ''), 'has no end')
        refused(tap, folder, 'odd: 1\n' + GOOD, 'says nothing known')
    tap.done()


if __name__ == '__main__':
    main()
