#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The anomalies that docs/isolation.md works out are what `abaft check` says they are: no more, no
less."""
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
from tap import Tap  # noqa: E402

BLOCK = re.compile(r'^```history (.+?)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
EXPECTED = 5


def judge(program, history):
    with tempfile.NamedTemporaryFile('w', suffix='.history') as file:
        file.write(history)
        file.flush()
        run = subprocess.run([program, 'check', '--write', 'json', file.name], check=False,
                             stdout=subprocess.PIPE, timeout=30)
    return run.returncode, json.loads(run.stdout)


def found(verdict):
    return {name for name, count in verdict['anomalies'].items() if count['transactions']}


def main():
    tap = Tap()
    program = sys.argv[1]
    with open(os.path.join(ROOT, 'docs', 'isolation.md'), encoding='utf-8') as page:
        blocks = BLOCK.findall(page.read())
    tap.equal(len(blocks), EXPECTED, 'the page works out five anomalies')
    for names, history in blocks:
        code, verdict = judge(program, history)
        tap.equal((code, found(verdict)), (1, set(names.split())), f'it is {names}')
    tap.done()


main()
