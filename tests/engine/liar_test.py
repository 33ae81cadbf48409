#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A storage that breaks its promises must fail the conformance test, or that tests nothing."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from tap import Tap  # noqa: E402

# What is broken -> cases that must notice it.
LIARS = {
    'lose=0.3': ('many_in_flight', 'batches_of_all_sizes', 'lists_come_in_pages'),
    'stale=40': ('put_and_get_of_all_sizes', 'lists_show_what_is_there', 'many_in_flight'),
}


def main(program):
    tap = Tap()
    for options, cases in LIARS.items():
        done = subprocess.run([program, f'memory:?seed=1&{options}'], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=120, check=False)
        failed = re.findall(r'^not ok \d+ - (\w+)', done.stdout, re.M)
        tap.ok(done.returncode != 0, f'{options}: fails')
        for case in cases:
            tap.ok(case in failed, f'{options}: {case} notices', *failed)
    tap.done()


if __name__ == '__main__':
    main(*sys.argv[1:])
