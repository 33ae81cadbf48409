#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""guest_test.py - the watching programs on Debian 12's own kernel, whatever kernel runs here.

    tests/bpf/guest_test.py TEST...

Runs the test programs of this folder, and `abaft drops`, in a virtual machine with the kernel that
tools/setup puts aside; what they print becomes checks here. All is emulated, so it is slow.
"""
import json
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'metal'))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))

import guest  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
from initramfs import Archive  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
MKFS = '/sbin/mkfs.ext4'
TEST_S = 240
APPLETS = ('ip', 'sleep', 'uname')


class NoCard:
    """The guest needs no network."""

    def make_tap(self):
        pass

    def arguments(self):
        return []


class Guest(guest.Guest):
    """One with test programs in it, and no node."""

    def __init__(self, folder, programs):
        self.programs = programs
        super().__init__(folder, NoCard())

    def _make_root(self):
        root = Archive()
        for folder in ('/proc', '/sys', '/dev', '/mnt', '/var/tmp', '/tmp', '/etc'):
            root.folder(folder)
        root.copy(os.path.join(HERE, '..', 'metal', 'init'), '/init', True)
        root.copy(guest.BUSYBOX, '/bin/busybox', True)
        for name in guest.APPLETS + APPLETS:
            root.link(f'/bin/{name}', 'busybox')
        root.modules(guest.kernel()[1], guest.MODULES + ('loop',))
        for path in self.programs:
            root.program(path, f'/bin/{os.path.basename(path)}')
        root.program(MKFS, MKFS)
        root.program(ABAFT, '/bin/abaft')
        root.write(f'{self.folder}/root.cpio')


def run_program(check, shell, name):
    """A test program's own checks"""
    code, text = shell.run(f'CMOCKA_MESSAGE_OUTPUT=TAP /bin/{name}', TEST_S)
    results = re.findall(r'^(ok|not ok) \d+ - (\w+)', text, re.M)
    for result, case in results:
        check.ok(result == 'ok', f'{name}: {case}', text)
    check.ok(code == 0 and results, f'{name} ends well', text)


def run_drops(check, shell):
    """abaft drops: the names of another kernel's reasons"""
    code, text = shell.run('ip link set lo up; { abaft drops -c 1 -i 4 -w json 2>/dev/null & }; '
                           'sleep 2; abaft get -t 500 price/hammer; wait', TEST_S)
    line = next((line for line in text.splitlines() if line.startswith('{')), '{"drops": []}')
    drops = {drop['reason']: drop['packets'] for drop in json.loads(line)['drops']}
    check.ok(set(drops) == {'NO_SOCKET'} and drops['NO_SOCKET'] >= 1,
             'abaft drops: requests to a node that is not there', code, text)


def main():
    reason = 'needs root' if os.geteuid() != 0 else guest.missing()
    if not reason and not shutil.which(MKFS):
        reason = f'needs {MKFS} (package e2fsprogs)'
    if reason:
        tap.skip_all(reason)
    check = tap.Tap()
    folder = tempfile.mkdtemp(prefix='abaft-guest-')
    nodes._undo.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    with Guest(folder, sys.argv[1:]) as machine:
        check.note(machine.shell.run('uname -sr')[1])
        for path in sys.argv[1:]:
            run_program(check, machine.shell, os.path.basename(path))
        check.case(run_drops, machine.shell)
    check.done()


if __name__ == '__main__':
    main()
