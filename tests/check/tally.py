# SPDX-License-Identifier: Apache-2.0
"""Counts test cases: what `meson test` logged, read case by case where a test prints TAP.

A TAP test counts as many cases as it prints, and each planned case it never reached counts as
failed. A test that fails as a whole although none of its cases did (a crash, a timeout, a leak
found at exit) counts as one failed case more. A test without TAP is one case.
"""
import json
import re

CASE = re.compile(r'^(not )?ok\b\s*(\d+)?\s*-?\s*(.*?)\s*(?:#\s*(SKIP|TODO)\b\s*(.*))?$', re.I)
PLAN = re.compile(r'^1\.\.(\d+)\s*(?:#\s*SKIP\b\s*(.*))?$', re.I)
GOOD = ('OK', 'EXPECTEDFAIL')


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.failures = []  # (test, what failed, the test's output)
        self.skips = []     # (test, case, reason)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.skips += other.skips

    def fail(self, test, what, output=''):
        self.failed += 1
        self.failures.append((test, what, output))

    def skip(self, test, case, reason):
        self.skipped += 1
        self.skips.append((test, case, reason or 'no reason given'))

    def line(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


def _tap(tally, name, out, output):
    """Counts one TAP stream; returns whether it was one and whether a case of it failed."""
    planned, seen, failed = 0, 0, False
    notes = []
    for line in out.splitlines():
        plan, case = PLAN.match(line), CASE.match(line)
        if plan:
            planned += int(plan.group(1))
            if planned == 0 and plan.group(2):
                tally.skip(name, 'all', plan.group(2))
                return True, False
        elif case:
            seen += 1
            bad, number, what, mark, reason = case.groups()
            what = what or f'case {number}'
            if mark and mark.upper() == 'SKIP':
                # cmocka cannot give a reason after the mark: the test prints it before as "# ...".
                said = notes[-1] if notes else ''
                tally.skip(name, what, reason if reason and ' ' in reason else said or reason)
            elif bad and not mark:
                failed = True
                tally.fail(name, what, output)
            else:
                tally.passed += 1
            notes = []
        elif line.startswith('#'):
            notes.append(line[1:].strip())
    for _ in range(planned - seen):
        failed = True
        tally.fail(name, 'a planned case that never ran', output)
    return planned > 0 or seen > 0, failed


def add_test(tally, test):
    """Counts one line of testlog.json."""
    name, result = test['name'], test['result']
    out, err = test.get('stdout') or '', test.get('stderr') or ''
    output = (out + '\n' + err).strip()
    is_tap, failed = _tap(tally, name, out, output)
    if is_tap:
        if result not in GOOD + ('SKIP',) and not failed:
            tally.fail(name, f'the test as a whole: {result}', output)
    elif result == 'SKIP':
        tally.skip(name, 'all', output.splitlines()[-1] if output else '')
    elif result in GOOD:
        tally.passed += 1
    else:
        tally.fail(name, result, output)


def read(path):
    tally = Tally()
    with open(path, encoding='utf-8') as file:
        for line in file:
            if line.strip():
                add_test(tally, json.loads(line))
    return tally
