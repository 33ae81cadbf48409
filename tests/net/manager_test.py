#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a node tells who started it: systemd that it is ready, lives and stops; a program that reads
its standard error each thing as JSON."""
import ctypes
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402


class Manager:
    """Stands for systemd: the socket that NOTIFY_SOCKET names, and what came there, with times."""

    def __init__(self):
        self.path = f'/var/tmp/abaft-notify-{os.getpid()}'
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        os.unlink(self.path)

    def wait(self, word, seconds=5):
        """Whether a message with the word comes in time; what else comes is dropped."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                if word in self.socket.recv(4096):
                    return True
            except TimeoutError:
                break
        return False

    def signs(self, seconds):
        """When WATCHDOG=1 came, for so long, in seconds from now."""
        begin, times = time.monotonic(), []
        while self.wait(b'WATCHDOG=1', begin + seconds - time.monotonic()):
            times.append(time.monotonic() - begin)
        return times


def told_to_systemd(tap):
    """Type=notify: READY=1 when it serves, STOPPING=1 when it ends"""
    with Manager() as manager, Node(environment={'NOTIFY_SOCKET': manager.path}) as node:
        tap.ok(manager.wait(b'READY=1'), 'systemd: READY=1')
        tap.equal(manager.signs(1), [], 'systemd: no WATCHDOG=1 that nobody asked for')
        node.stop()
        tap.ok(manager.wait(b'STOPPING=1'), 'systemd: STOPPING=1')


class Halted:
    """A thread of a process that stands still, by ptrace; its siblings go on."""
    SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, pid, name):
        self.thread = next(int(task.split('/')[4]) for task in glob.glob(f'/proc/{pid}/task/*/comm')
                           if open(task).read().strip() == name)

    def _ptrace(self, request):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(ctypes.c_long(request), ctypes.c_long(self.thread), None, None) != 0:
            raise OSError(ctypes.get_errno(), 'ptrace')

    def __enter__(self):
        self._ptrace(self.SEIZE)
        self._ptrace(self.INTERRUPT)
        os.waitpid(self.thread, self.WALL)
        return self

    def __exit__(self, *_):
        self._ptrace(self.DETACH)


def watched_by_systemd(tap):
    """WatchdogSec=: signs of life from idle workers, none while one of them hangs"""
    interval_s = 2.0
    with Manager() as manager:
        environment = {'NOTIFY_SOCKET': manager.path,
                       'WATCHDOG_USEC': str(int(interval_s * 1e6))}
        with Node(workers=2, environment=environment) as node:
            tap.ok(manager.wait(b'READY=1'), 'watchdog: READY=1')
            times = [0] + manager.signs(3.2 * interval_s)
            gaps = sorted(b - a for a, b in zip(times, times[1:]))
            # The machine may hold up one of them; the others show the rule.
            tap.ok(len(gaps) >= 3 and 0.4 < gaps[len(gaps) // 2] / interval_s < 0.7
                   and gaps[-2] < interval_s,
                   'watchdog: a sign of life each half interval', times)
            with Halted(node.pid, 'abaft-worker1'):
                times = manager.signs(2.5 * interval_s)
                tap.ok(len(times) <= 1 and max(times, default=0) < interval_s,
                       'watchdog: none while a worker stands still', times)
                said = node.said()
                tap.ok('error: worker 1 has made no pass' in said,
                       'watchdog: it names the worker', said)
                tap.ok(said.count('worker 1 has made no pass') == 1 and 'worker 1 goes' not in said,
                       'watchdog: once', said)
                # Only if the machine held it up, and then it went on.
                others = [said.count(f'worker 0 {it}') for it in ('has made no pass', 'goes on')]
                tap.ok(others in ([0, 0], [1, 1]), 'watchdog: and no other', said)
            tap.ok(manager.wait(b'WATCHDOG=1', 2 * interval_s),
                   'watchdog: again when the worker goes on')
            tap.ok('worker 1 goes on' in node.said(), 'watchdog: it says so', node.said())
            tap.equal(node.stop(), 0, 'watchdog: clean stop')
        # Meant for another process: none of our business.
        with Node(environment={**environment, 'WATCHDOG_PID': '1'}):
            tap.equal(manager.signs(interval_s), [], 'watchdog: WATCHDOG_PID of somebody else')
        with Node(environment={**environment, 'WATCHDOG_USEC': 'soon'}) as node:
            node.stop()
            tap.ok('WATCHDOG_USEC' in node.said(), 'watchdog: an interval that is no number',
                   node.said())


def objects(tap, name, said):
    """Every line as an object with what each must have."""
    found = []
    for line in said.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            tap.ok(False, f'{name}: a line that is no JSON', line)
    wrong = [one for one in found if not {'time', 'level', 'node', 'message'} <= one.keys()
             or one['node'] != 3]
    tap.equal(wrong, [], f'{name}: all {len(found)} lines have time, level, node and message')
    return found


def told_as_json(tap):
    """log-format = json: each line of standard error is an object, whatever happens"""
    with Node(workers=2, node=3, log_format='json', log_level='debug') as node:
        node.kill()
        node.start()
        node.stop()
        told = objects(tap, 'json', node.said())
        tap.equal([one['event'] for one in told if 'event' in one],
                  ['ready', 'ready', 'stopping', 'stopped'], 'json: events')
        tap.ok(any(one['level'] == 'warning' and 'killed' in one['message'] for one in told),
               'json: what an earlier run left', told)
        tap.ok(any(one['message'].startswith('DPDK: ') for one in told), 'json: DPDK too', told)
        whens = [one['time'] for one in told]
        tap.equal(whens, sorted(whens), 'json: in the order of their times')
    for name, keys in (('interface', {'port': 'afxdp:nowhere0'}),
                       ('queues', {'port': 'afxdp:lo,queues=2', 'workers': 1}),
                       ('memif', {'port': 'memif:/nowhere/socket', 'addresses': '10.0.0.1'}),
                       ('configuration', {'addresses': 'nonsense'})):
        node = Node(start=False, node=3, log_format='json', **keys)
        try:
            node.start()
            tap.ok(False, f'json: {name}', 'it started')
        except Failed:
            told = objects(tap, f'json: no such {name}', node.said())
            tap.equal([one['event'] for one in told if 'event' in one], ['failed'],
                      f'json: no such {name}: the last word')
        node.close()


class Bounded(Node):
    """A node with no more rights than the unit leaves it."""

    def __init__(self, capabilities, **keys):
        bounds = ','.join(['-all'] + [f'+{name[4:].lower()}' for name in capabilities])
        self.prefix = ['setpriv', '--bounding-set', bounds, '--inh-caps', '-all', '--no-new-privs']
        super().__init__(**keys)

    def command(self):
        return self.prefix + super().command()


def unit_file(tap, path):
    """tools/systemd/abaftd.service: systemd understands it, and its rights suffice"""
    with open(path) as file:
        text = file.read()
    keys = {}
    for key, value in re.findall(r'^(\w+)=(.*)$', text, re.M):
        keys.setdefault(key, []).append(value)
    tap.equal([keys['Type'], keys['Restart'], keys['RestartPreventExitStatus']],
              [['notify'], ['on-failure'], ['2']], 'unit: ready, watched, restarted')
    tap.ok(float(keys['WatchdogSec'][0]) > 0, 'unit: WatchdogSec', keys['WatchdogSec'])
    with Bounded(' '.join(keys['CapabilityBoundingSet']).split(), workers=2) as node:
        tap.equal(node.peer().write({b'a': b'1'}), wire.OK, 'unit: a node with its rights serves')
        tap.equal(node.stop(), 0, 'unit: and stops, which takes its programs off')
        tap.ok('warning' not in node.said() and 'error' not in node.said(),
               'unit: nothing is left out for lack of rights', node.said())
        program = node.command()[len(node.prefix)]
    if shutil.which('systemd-analyze') is None:
        tap.note('not verified: systemd-analyze is not there (package systemd)')
        return
    with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
        copy = f'{folder}/abaftd.service'  # of what is not installed
        with open(copy, 'w') as file:
            file.write(re.sub(r'=\S*/abaftd ', f'={program} ', text))
        done = subprocess.run(['systemd-analyze', 'verify', copy], capture_output=True, text=True,
                              timeout=30, check=False)
        tap.ok(done.returncode == 0 and not done.stdout + done.stderr,
               'unit: systemd-analyze verify', done.stdout, done.stderr)


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    for case in (told_to_systemd, watched_by_systemd, told_as_json):
        tap.case(case)
    tap.case(unit_file, sys.argv[1])
    tap.done()


main()
