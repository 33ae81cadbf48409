#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Histories made by hand, one file each: an anomaly, or a near miss (NAME.near): cases.py ABAFT.

A file's comments say what it must come to: `expect: KIND TRANSACTIONS INSTANCES` for each anomaly
that it shows, `expect: allowed KIND ...` for what read atomicity allows, `expect: clean` for none;
and `step: ...` for sentences that its witnesses must contain."""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'lib'))

from tap import Tap  # noqa: E402


def comments(path, word):
    with open(path, encoding='utf-8') as file:
        return re.findall(rf'^[#;]+ {word}: (.*)$', file.read(), re.M)


def counted(kinds):
    return {(kind, found['transactions'], found['instances'])
            for kind, found in kinds.items() if found['instances']}


def wanted(path):
    """Two sets: anomalies, and what is allowed."""
    anomalies, allowed = set(), set()
    for line in comments(path, 'expect'):
        words = line.split()
        if words == ['clean']:
            continue
        (allowed if words[0] == 'allowed' else anomalies).add(
            (words[-3], int(words[-2]), int(words[-1])))
    return anomalies, allowed


def check(abaft, *arguments):
    """Exit code and report."""
    done = subprocess.run([abaft, 'check', '-w', 'json', *arguments], capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f'{arguments}: {done.returncode}: {done.stderr}')
    return done.returncode, json.loads(done.stdout)


def round_trip(tap, abaft, path):
    """Written as EDN and read back"""
    with tempfile.TemporaryDirectory() as folder:
        edn = os.path.join(folder, 'history.edn')
        own, back = check(abaft, path, '--export-edn', edn), check(abaft, edn)
    for _, report in own, back:
        del report['witnesses']  # lines and names differ
    tap.equal(back, own, f'{os.path.basename(path)}: the same after a way through EDN')


def refusals(tap, abaft):
    """What cannot be written as EDN"""
    own = os.path.join(HERE, 'cases', 'fractured_forward.txt')
    with tempfile.TemporaryDirectory() as folder:
        edn, again = os.path.join(folder, 'a.edn'), os.path.join(folder, 'b.edn')
        check(abaft, own, '-E', edn)
        for what, source, target, reason in (
                ('a file that is there', own, edn, 'File exists'),
                ('from EDN', edn, again, 'as EDN: '),
                ('from standard input', '-', again, 'as EDN: ')):
            done = subprocess.run([abaft, 'check', source, '-E', target], capture_output=True,
                                  input='', text=True, timeout=60, check=False)
            tap.ok(done.returncode == 2 and reason in done.stderr, f'refused: {what}',
                   done.returncode, done.stderr)


def judge(tap, abaft, path):
    """A case"""
    name = os.path.basename(path)
    anomalies, allowed = wanted(path)
    code, report = check(abaft, path)
    tap.ok(counted(report['anomalies']) == anomalies, f'{name}: these anomalies and no others',
           str(counted(report['anomalies'])))
    tap.ok(counted(report['allowed']) == allowed, f'{name}: of what is allowed these and no others',
           str(counted(report['allowed'])))
    tap.equal(code, 1 if anomalies else 0, f'{name}: the exit code says so')
    steps = [step for witness in report['witnesses'] for step in witness['steps']]
    for step in comments(path, 'step'):
        tap.ok(step in steps, f'{name}: tells that {step}', '\n'.join(steps))


def main():
    paths = sorted(glob.glob(os.path.join(HERE, 'cases', '*.*')))
    tap = Tap()
    tap.ok(all(comments(path, 'expect') for path in paths) and len(paths) > 30,
           'every case says what it must come to')
    for path in paths:
        tap.case(judge, sys.argv[1], path)
        if path.endswith('.txt'):
            tap.case(round_trip, sys.argv[1], path)
    tap.case(refusals, sys.argv[1])
    tap.done()


if __name__ == '__main__':
    main()
