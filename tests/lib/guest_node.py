# SPDX-License-Identifier: Apache-2.0
"""guest_node.py - node.py's Node in a virtual machine: the same calls, so that tests of a node on
this machine run unchanged against one that drives a network card of its own.

The environment says where it is: $ABAFT_GUEST is the shell's socket (guest_shell.py), $ABAFT_PCI
the card, $ABAFT_QUEUES how many queues it has at most, $ABAFT_ADDRESS and $ABAFT_ADDRESS6 what to
answer on.
"""
import os
import time

import node
from guest_shell import Shell

START_S = 60
STOP_S = 40
LOOK_S = 0.1
HERE_ONLY = ('state_dir', 'pin_dir')  # nothing is steered by a kernel there


class GuestNode(node.Node):
    """In the guest's /run are its pid, its output and, when it has ended, its status; its data are
    on the guest's disk."""

    def __init__(self, start=True, environment=None, **keys):
        self.shell = Shell(os.environ['ABAFT_GUEST']).wait_ready(30)
        self.running = False
        super().__init__(start=False, **keys)
        name = os.path.basename(self.dir)
        self.files = f'/run/{name}'
        self.shell.run(f'touch {self.files}.err')
        if 'data_dir' not in keys:
            self.keys['data_dir'] = f'/data/{name}'
        self.keys.setdefault('huge_pages', 'yes')
        self.keys.setdefault('addresses',
                             f'{os.environ["ABAFT_ADDRESS"]},{os.environ["ABAFT_ADDRESS6"]}')
        if start:
            try:
                self.start()
            except BaseException:  # the next one wants the shell
                self.close()
                raise

    def _port(self):
        queues = min(self.workers, int(os.environ.get('ABAFT_QUEUES', 1)))
        return f'pci:{os.environ["ABAFT_PCI"]},queues={queues}'

    @property
    def pid(self):
        return int(self._cat('pid'))

    def _cat(self, what):
        return self.shell.run(f'cat {self.files}.{what}')[1].strip()

    def start(self, timeout_s=START_S):
        keys = {'port': self._port(), **self.keys}
        flags = ' '.join(f'--{name.replace("_", "-")}={value}' for name, value in keys.items()
                         if name not in HERE_ONLY)
        f = self.files
        self.shell.run(f'rm -f {f}.status {f}.pid; touch {f}.out')
        self.shell.run(f'{{ abaftd {flags} >{f}.out 2>>{f}.err & echo $! >{f}.pid; wait $!; '
                       f'echo $? >{f}.status; }} >/dev/null 2>&1 </dev/null &')
        self.running = True
        end = time.monotonic() + timeout_s
        self.ready = ''
        while time.monotonic() < end and not self.ready and self.alive():
            self.ready = self._cat('out')
            time.sleep(LOOK_S)
        if not self.ready.startswith('abaftd: ready'):
            self.kill()
            raise node.Failed(self.said() or self.ready or 'said nothing')
        return self

    def said(self):
        return self._cat('err')

    def _status(self):
        return self._cat('status 2>/dev/null')

    def alive(self):
        return self.running and self._status() == ''

    def _end(self, number):
        if not self.running:
            return None
        self.shell.run(f'kill -{int(number)} $(cat {self.files}.pid)')
        end = time.monotonic() + STOP_S
        while (status := self._status()) == '' and time.monotonic() < end:
            time.sleep(LOOK_S)
        self.running = False
        if status == '':
            self.shell.run(f'kill -9 $(cat {self.files}.pid)')
            return None
        return int(status) if int(status) < 128 else 128 - int(status)

    def close(self):
        self.stop()
        self.shell.run(f'rm -rf {self.keys["data_dir"]} {self.files}.*')
        self.shell.close()
        super().close()

    def peer(self, address=None):
        return super().peer(address or os.environ['ABAFT_ADDRESS'])

    def steer_counters(self):
        """What the workers' own steering counted, as the XDP program's counters are named."""
        info = self.info()
        return {name[6:]: value for name, value in info.items() if name.startswith('steer_')}
