#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an engine promises, over a real server that this starts: all of conformance.c.

    engine_test.py CONFORMANCE NAME

tests/lib/NAME_server.py starts the server, or several kinds of it. It has

    missing()    why there can be no such server here, in words, or None
    VARIANTS     name for people -> what starts it: a context manager with
                     .url(prefix)    the engine's URL with that prefix
                     .credentials    the path of a file for it, or None
"""
import importlib
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import SUPPRESSIONS, enter_namespace  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

TIMEOUT_S = 240
CASE = re.compile(r'(not )?ok (\d+) - (.*)')


def conformance(tap, program, variant, served):
    """All its cases, in the name of the variant, with what it said of those that failed."""
    command = [program, served.url('con/formance')]
    if served.credentials:
        command.append(served.credentials)
    environment = {'LSAN_OPTIONS': f'print_suppressions=0:suppressions={SUPPRESSIONS}',
                   **os.environ}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors='replace', timeout=TIMEOUT_S, check=False, env=environment)
        out, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        out, status = (error.stdout or b'').decode(errors='replace'), None
    planned, cases, said = 0, [], []
    for line in out.splitlines():
        case = CASE.match(line)
        if case:
            cases.append([case.group(3), not case.group(1), []])
        elif line.startswith('1..'):
            planned = int(line[3:])
        else:
            (cases[-1][2] if cases and not cases[-1][1] else said).append(line)
    for name, good, notes in cases:
        tap.ok(good, f'{variant}: {name}', *notes)
    tap.note(*(line.lstrip('# ') for line in said))
    tap.ok(planned > 0 and planned == len(cases), f'{variant}: all planned cases ran',
           f'{len(cases)} of {planned}')
    tap.ok(status == 0, f'{variant}: ends well', f'status {status}')


def main(program, name):
    module = importlib.import_module(f'{name}_server')
    reason = module.missing()
    if os.geteuid() != 0:
        reason = 'needs root (a network namespace)'
    if reason:
        skip_all(reason)
    enter_namespace()
    tap = Tap()

    def run(tap, variant, start):
        with start() as served:
            conformance(tap, program, variant, served)

    for variant, start in module.VARIANTS.items():
        run.__doc__ = variant
        tap.case(run, variant, start)
    tap.done()


if __name__ == '__main__':
    main(*sys.argv[1:])
