# SPDX-License-Identifier: Apache-2.0
"""cut.py - a TCP proxy that cuts connections: each of the first ones after its number of bytes, one
way or the other, by a reset; those that come later are left alone.

    with Cut(('127.0.0.1', port), [(0, 1), (1, 5)]) as cut:    # 0: to the server, 1: from it
        cut.port; cut.done()
"""
import select
import socket
import struct
import threading

CHUNK = 65536
RESET = struct.pack('ii', 1, 0)


class Cut:
    def __init__(self, server, cuts):
        self.server = server
        self.cuts = list(cuts)
        self.made = 0  # cuts
        self.total = len(self.cuts)
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.wake, self.waker = socket.socketpair()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.waker.close()
        self.thread.join(10)
        self.listener.close()
        self.wake.close()

    def done(self):
        """All cuts have been made."""
        return self.made == self.total

    def _open(self, pairs):
        client, _ = self.listener.accept()
        try:
            server = socket.create_connection(self.server, timeout=5)
        except OSError:
            self._reset(client)
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cut = self.cuts.pop(0) if self.cuts else None
        left = [None, None]
        if cut:
            left[cut[0]] = cut[1]
        pairs[client] = (server, 0, left)
        pairs[server] = (client, 1, left)

    @staticmethod
    def _reset(one):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        one.close()

    def _close(self, pairs, one):
        if one in pairs:
            other = pairs[one][0]
            del pairs[one], pairs[other]
            self._reset(one)
            self._reset(other)

    def _pass(self, pairs, one):
        """What came at one goes to the other; True: and that was the last."""
        other, way, left = pairs[one]
        try:
            data = one.recv(CHUNK if left[way] is None else max(left[way], 1))
            if not data:
                return True
            if left[way] is not None:
                data = data[:left[way]]
                left[way] -= len(data)
            other.sendall(data)
        except OSError:
            return True
        if left[way] == 0:
            self.made += 1
            return True
        return False

    def _run(self):
        pairs = {}
        while True:
            ready = select.select([self.listener, self.wake, *pairs], [], [])[0]
            if self.wake in ready:
                break
            for one in ready:
                if one is self.listener:
                    self._open(pairs)
                elif one in pairs and self._pass(pairs, one):
                    self._close(pairs, one)
        for one in list(pairs):
            self._close(pairs, one)
