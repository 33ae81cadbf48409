#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""drops_test.py - `abaft drops` names and counts what a client's kernel drops of a node's
datagrams, exactly, and nothing else; each kind of drop is made on a loopback of the test's own."""
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import node as nodes  # noqa: E402
import tap  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
BASE = 27400  # of nobody else on this machine: drops of all network namespaces count
PORTS = 4
PAYLOAD = 500
WAIT_S = 10


class Drops:
    """A running `abaft drops`, watching; what it prints is there when it has ended."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [ABAFT, 'drops', '-p', str(BASE), '--workers', str(PORTS), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            preexec_fn=nodes._die_with_parent)

    def __enter__(self):
        readable, _, _ = select.select([self.process.stderr], [], [], WAIT_S)
        self.first = self.process.stderr.readline() if readable else ''
        if 'watching' not in self.first:
            self.process.kill()
            raise RuntimeError(f'abaft drops does not watch: {self.first!r}')
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def end(self):
        """Interrupts it. Its exit code, and all it printed."""
        self.process.send_signal(signal.SIGINT)
        text, _ = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, text


def udp(family, port, receive_bytes=None):
    """A bound socket of the loopback's address."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    if receive_bytes:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.bind(('::1' if family == socket.AF_INET6 else '127.0.0.1', port))
    return made


def drained(receiver):
    """How many datagrams wait in a socket."""
    receiver.setblocking(False)
    count = 0
    try:
        while True:
            receiver.recv(65536)
            count += 1
    except BlockingIOError:
        return count


def overflow(family, port, times):
    """Answers of a node, from `port`, to a client that does not read; how many are lost."""
    with udp(family, port) as answering, udp(family, 0, 4096) as client:
        for _ in range(times):
            answering.sendto(bytes(PAYLOAD), client.getsockname())
        return times - drained(client)


def wrong_checksum(times):
    """Datagrams with a checksum that does not fit, from a raw socket that makes it all by hand."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw, \
            udp(socket.AF_INET, 0) as client:
        to = client.getsockname()[1]
        for _ in range(times):
            raw.sendto(struct.pack('!HHHH', BASE, to, 8 + PAYLOAD, 0xbad) + bytes(PAYLOAD),
                       ('127.0.0.1', 0))
        time.sleep(0.05)
        return drained(client)


def nobody(times, port):
    """To a node's port on which nobody listens."""
    with udp(socket.AF_INET, 0) as client:
        for _ in range(times):
            try:
                client.sendto(bytes(PAYLOAD), ('127.0.0.1', port))
            except ConnectionRefusedError:
                pass


def by_reason(line):
    return {drop['reason']: drop for drop in json.loads(line)['drops']}


def counted(check):
    """Each reason exactly: a buffer that is full, nobody there, a wrong checksum"""
    with Drops('-i', '3600', '-w', 'json') as drops:
        lost4 = overflow(socket.AF_INET, BASE + 1, 200)
        lost6 = overflow(socket.AF_INET6, BASE + PORTS - 1, 100)
        nobody(7, BASE)
        arrived = wrong_checksum(5)
        # Not a node's.
        overflow(socket.AF_INET, BASE + PORTS, 200)
        overflow(socket.AF_INET, BASE - 1, 200)
        nobody(9, BASE + PORTS)
        code, text = drops.end()
    have = by_reason(text)
    check.note(f'{lost4} of 200 lost by IPv4, {lost6} of 100 by IPv6')
    check.ok(lost4 > 100 and lost6 > 50, 'the buffers did overflow')
    full = have.get('SOCKET_RCVBUFF', {})
    check.equal((full.get('packets'), full.get('bytes')),
                (lost4 + lost6, (lost4 + lost6) * PAYLOAD), 'SOCKET_RCVBUFF: each lost answer')
    check.ok('net.core.rmem_max' in full.get('advice', ''), 'and what to do about it', full)
    gone = have.get('NO_SOCKET', {})
    check.equal((gone.get('packets'), gone.get('bytes')), (7, 7 * PAYLOAD), 'NO_SOCKET')
    bad = have.get('UDP_CSUM', {})
    check.equal((arrived, bad.get('packets'), bad.get('bytes')), (0, 5, 5 * PAYLOAD), 'UDP_CSUM')
    check.equal(set(have), {'SOCKET_RCVBUFF', 'NO_SOCKET', 'UDP_CSUM'}, 'no other reason')
    check.equal(code, 1, 'the exit code says that there were drops')


def intervals(check):
    """--count intervals, each with what is new in it"""
    with Drops('-i', '0.5', '-c', '3', '-w', 'json') as drops:
        first = json.loads(drops.process.stdout.readline())
        nobody(3, BASE)
        second = drops.process.stdout.readline()
        third = drops.process.stdout.readline()
        code = drops.process.wait(WAIT_S)
    check.equal(first['drops'], [], 'nothing at first')
    check.equal((first['port'], first['workers']), (BASE, PORTS), 'it says what it watches')
    seen = [by_reason(line)['NO_SOCKET'] for line in (second, third)]
    check.equal([drop['packets'] for drop in seen], [3, 0], 'what is new')
    check.equal([drop['packets_total'] for drop in seen], [3, 3], 'and all since its start')
    check.equal(code, 1, 'it ends by itself')


def for_people(check):
    """The text: reasons, numbers, and advice once"""
    with Drops('-i', '0.3') as drops:
        quiet = drops.process.stdout.readline()
        nobody(2, BASE)
        time.sleep(0.6)
        nobody(1, BASE)
        _, text = drops.end()
    check.ok('no drops' in quiet, 'a quiet interval says so', quiet)
    packets = sum(int(line.split()[1]) for line in text.splitlines() if 'NO_SOCKET' in line)
    check.equal(packets, 3, 'the packets of all intervals')
    check.equal(text.count('nobody listens on that port'), 1, 'what it means is said once')
    with Drops('-i', '3600') as drops:
        check.ok(f'{BASE} to {BASE + PORTS - 1}' in drops.first, 'it says what it watches')
        code, text = drops.end()
    check.equal((code, text.count('no drops')), (0, 1), 'without drops it ends with 0')


def refused(check):
    """Without rights, and with wrong options"""
    def run(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, timeout=WAIT_S, check=False)

    done = run('setpriv', '--bounding-set', '-all', '--inh-caps', '-all', ABAFT, 'drops', '-c', '1')
    check.equal(done.returncode, 6, 'without rights it fails')
    check.ok('CAP_BPF' in done.stderr and done.stdout == '', 'and says which', done.stderr)
    for wrong in (('-i', '0'), ('-i', 'x'), ('-p', '70000'), ('--workers', '65'), ('-c', '0'),
                  ('surplus',)):
        done = run(ABAFT, 'drops', *wrong)
        check.ok(done.returncode == 2 and wrong[-1] in done.stderr, f'refuses {" ".join(wrong)}',
                 done.stderr)


def main():
    if os.geteuid() != 0:
        tap.skip_all('needs root (a network namespace, a BPF program on a tracepoint)')
    if not os.access('/sys/kernel/btf/vmlinux', os.R_OK):
        tap.skip_all('needs a kernel that tells its types in /sys/kernel/btf/vmlinux')
    nodes.enter_namespace()
    check = tap.Tap()
    for case in (counted, intervals, for_people, refused):
        check.case(case)
    check.done()


if __name__ == '__main__':
    main()
