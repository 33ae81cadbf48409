#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the project's own rules over the whole tree; prints TAP.

    tests/tidy/tidy.py [ROOT]     one test per rule
    tests/tidy/tidy.py --table    the table of rooms, for ARCHITECTURE.md

A rule is one function; its first doc line is the test's name. tidy_test.py proves that each fires.
"""
import os
import sys

import lists
import pages
import rooms
import shape
import words
from tree import Tree

RULES = (rooms.includes, rooms.shown, shape.licence, shape.file_length, shape.function_length,
         shape.columns, shape.white_space, shape.clang_format, shape.executable, words.banned,
         words.names, pages.links, pages.reachable, pages.examples, lists.counters, lists.limits,
         lists.packages)


def main(arguments):
    if arguments == ['--table']:
        print('\n'.join(rooms.table()))
        return 0
    here = os.path.dirname(os.path.abspath(__file__))
    tree = Tree(arguments[0] if arguments else os.path.join(here, '..', '..'))
    failed = 0
    print(f'1..{len(RULES)}')
    for number, rule in enumerate(RULES, 1):
        findings = rule(tree)
        name = rule.__doc__.splitlines()[0]
        if isinstance(findings, str):
            print(f'ok {number} - {name} # SKIP {findings}')
            continue
        failed += bool(findings)
        print(f'{"not ok" if findings else "ok"} {number} - {name}')
        for finding in findings:
            print(f'# {finding}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1:]))
