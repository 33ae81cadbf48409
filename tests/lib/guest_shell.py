# SPDX-License-Identifier: Apache-2.0
"""guest_shell.py - a shell in a virtual machine, at the other end of a serial line that qemu shows
as a Unix socket. One at a time: who closes his end lets the next one in.
"""
import os
import select
import shlex
import socket
import time

RUN_S = 60


class Shell:
    def __init__(self, path, alive=lambda: True):
        self.path, self.alive = path, alive
        self.socket = None
        self.number = 0

    def wait_ready(self, timeout_s):
        """Connects and waits until it answers."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.alive():
            try:
                if self.socket is None:
                    line = socket.socket(socket.AF_UNIX)
                    line.connect(self.path)
                    self.socket = line
                self.run(':', 1)
                return self
            except (TimeoutError, OSError):
                time.sleep(0.1)
        raise TimeoutError(f'no shell answers on {self.path}')

    def run(self, command, timeout_s=RUN_S):
        """Its exit status and what it wrote. The command is one line."""
        self.number += 1
        mark = f'@{os.getpid()}.{self.number}@'
        # In two parts: until the line is told not to, it sends back what it gets.
        end_mark = f'"$?{mark[:1]}""{mark[1:]}"'
        self.socket.sendall(f'sh -c {shlex.quote(command)} 2>&1; echo {end_mark}\n'.encode())
        end = time.monotonic() + timeout_s
        text = b''
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError(f'{command}: no end after {timeout_s} s: {text[-400:]!r}')
            more = self.socket.recv(65536)
            if not more:
                raise OSError('the guest is gone')
            text += more
            before, found, _ = text.partition(mark.encode())
            if found:
                said, _, status = before.rpartition(b'\n')
                return int(status), said.decode(errors='replace')

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None
