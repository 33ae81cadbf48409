# SPDX-License-Identifier: Apache-2.0
"""steady.py - tests/engine/steady.c at work, while a test does something to its storage.

    with Steady(url, credentials) as steady:
        steady.goes_on()
        ...
        steady.fails('unreachable', 'Connection refused')
        ...
        steady.goes_on()
        ends_well(tap, steady, 'what was done')

A test of faults is begin(), some cases, and tap.done().
"""
import json
import os
import subprocess
import sys
import threading
import time

from node import SUPPRESSIONS, _die_with_parent, enter_namespace
from tap import Tap, skip_all

WAIT_S = 30
STEP = 200  # operations that must be done before one believes that it goes on


class Steady:
    """The program that the test was given as its argument, at work."""

    def __init__(self, url, credentials=None, try_ms=5000):
        environment = {'LSAN_OPTIONS': f'print_suppressions=0:suppressions={SUPPRESSIONS}',
                       **os.environ}
        self.process = subprocess.Popen([sys.argv[1], url, credentials or '', str(try_ms)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=environment,
                                        preexec_fn=_die_with_parent)
        self.last = {'done': 0, 'why': ''}
        self.whys = set()
        self.said = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.thread.join(10)
        self.process.stdout.close()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith('{'):
                last = json.loads(line)
                self.whys.add(last['why'])
                self.last = last
            else:
                self.said.append(line.strip())

    def until(self, condition, what):
        def met():
            if self.process.poll() is not None:
                raise RuntimeError(f'it ended by itself: {self.said}')
            return condition(self.last)
        end = time.monotonic() + WAIT_S
        while not met():
            if time.monotonic() > end:
                raise TimeoutError(f'waited {WAIT_S} s for {what}: {self.last}')
            time.sleep(0.02)

    def goes_on(self):
        done = self.last['done']
        self.until(lambda last: last['done'] >= done + STEP, 'operations to be done')

    def fails(self, counter, *words):
        """Until that counter has moved, and the reason has these words."""
        before = self.last.get(counter, 0)
        self.until(lambda last: last.get(counter, 0) > before and
                   all(any(word in why for why in self.whys) for word in words),
                   f'{counter} and {words}')

    def end(self):
        """Lets it finish; what was wrong, in words, or ''."""
        self.process.stdin.close()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return f'does not end: {self.last}'
        self.thread.join(10)
        return '' if status == 0 else f'status {status}: {self.said}'


def ends_well(tap, steady, name):
    wrong = steady.end()
    tap.ok(wrong == '', f'{name}: nothing is missing, nothing is wrong', wrong)


def begin(missing):
    """A Tap in a namespace of its own; skips all where `missing` says why there is no server."""
    if os.geteuid() != 0:
        missing = 'needs root (a network namespace)'
    if missing:
        skip_all(missing)
    enter_namespace()
    return Tap()


def cases(tap, all_of_them, *arguments):
    """Runs them one by one, and notes how long each took."""
    for case in all_of_them:
        before = time.monotonic()
        tap.case(case, *arguments)
        tap.note(f'{case.__name__}: {time.monotonic() - before:.1f} s')
