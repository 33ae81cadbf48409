#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""port_test.py - AF_XDP ports and steering over real interfaces, in namespaces of its own:
requests come back, the rest reaches the kernel, nothing stays behind, also after kill -9.

    port_test.py ECHO PASS   the programs built from echo.c and pass.bpf.c
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import node  # noqa: E402
import tap  # noqa: E402
import wire  # noqa: E402

BASE = 7400
LINE_S = 20
ANSWER_S = 2
# With a descriptor to sleep on, an answer needs no nap; echo.c naps 100 ms without one.
PROMPT_S = 0.05
# How long a stopped echo leaves a frame waiting.
WAIT_S = 0.4
HUGE_PAGES = 64
FLOOD = 30000

running = []


class Echo:
    """One echo; its pins and its state are in folders of their own."""

    def __init__(self, port, interface, workers=2, name='a', mode=()):
        self.pins = f'/sys/fs/bpf/abaft-port-{os.getpid()}-{name}'
        self.state = f'{scratch}/state-{name}'
        self.counters = {}
        self.process = subprocess.Popen(
            [sys.argv[1], port, interface, str(BASE), str(workers), self.pins, self.state, *mode],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=node._die_with_parent)
        guard = threading.Timer(LINE_S, self.process.kill)
        guard.start()
        self.ready = self.process.stdout.readline().strip()
        guard.cancel()
        running.append(self)

    def stop(self):
        """Ends it and reads its counters; returns what it said on standard error."""
        out, errors = self.process.communicate(timeout=LINE_S)
        for line in out.splitlines():
            words = line.split()
            if words and words[0] in ('answers', 'arrivals', 'counters'):
                words = words[words[0] == 'counters':]
                self.counters.update(zip(words[::2], map(int, words[1::2])))
        return errors

    def counted(self, name):
        """A pinned map of the XDP program as bpftool prints it: all CPUs together, by key."""
        sums = {}
        for entry in json.loads(node.run('bpftool', '-j', 'map', 'dump', 'pinned',
                                         f'{self.pins}/{name}')):
            fields = sums.setdefault(entry['formatted']['key'], {})
            for cpu in entry['formatted']['values']:
                for field, value in cpu['value'].items():
                    fields[field] = fields.get(field, 0) + value
        return sums

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=LINE_S)


def request(size=100, magic=b'ABFT', version=1, kind=wire.REQUEST, length=None, tenant=0):
    head = wire.HEADER.pack(magic, version, kind, 0, size if length is None else length, 0, 0, 0, 7,
                            bytes(16), 0, 0, 0, 0, 0, tenant, bytes(16))
    return (head + bytes(i % 251 for i in range(size)))[:size]


def udp(address, port):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(ANSWER_S)
    sock.connect((address, port))
    return sock


def comes_back(address, port, data):
    """How long the answer took, None if there was none or another one."""
    with udp(address, port) as sock:
        start = time.monotonic()
        try:
            sock.send(data)
            if sock.recv(65536) != data:
                return None
        except OSError:
            return None
        return time.monotonic() - start


def program_on(interface):
    """Name of the XDP program on an interface, '' if there is none."""
    text = node.run('ip', '-d', 'link', 'show', 'dev', interface)
    return text.split('prog/xdp', 1)[1].split()[0] if 'prog/xdp' in text else ''


def sysctls():
    values = []
    for name in ('route_localnet', 'accept_local'):
        with open(f'/proc/sys/net/ipv4/conf/lo/{name}') as file:
            values.append(int(file.read()))
    return values


def nothing_left(t, echo, interface, what):
    t.equal(program_on(interface), '', f'{what}: no program on {interface}')
    t.ok(not os.path.exists(echo.pins), f'{what}: no pins', echo.pins)
    t.ok(not os.path.exists(echo.state), f'{what}: no state file', echo.state)


def udp_server(family, address):
    """A plain kernel socket on a free port that sends back; closed by the caller."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(LINE_S)

    def serve():
        try:
            while True:
                data, peer = sock.recvfrom(70000)
                sock.sendto(data, peer)
        except OSError:
            pass
    threading.Thread(target=serve, daemon=True).start()
    return sock


def ping(address):
    """Does the kernel there answer an echo request?"""
    six = ':' in address
    sock = (socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) if six else
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    # The kernel sums ICMPv6 itself; type 8, code 0, identifier and sequence 0 sum to 0xf7ff.
    data = b'\x80\0\0\0\0\0\0\0' if six else b'\x08\0\xf7\xff\0\0\0\0'
    end = time.monotonic() + ANSWER_S
    with sock:
        sock.sendto(data, (address, 0))
        while time.monotonic() < end:
            sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                packet = sock.recv(2048)
            except socket.timeout:
                return False
            if packet[0 if six else (packet[0] & 15) * 4] == (129 if six else 0):
                return True
    return False


def kernel_still_answers(t, address, inside=lambda function: function()):
    """What is not ours reaches the kernel's stack: UDP to other ports, large UDP, TCP, ping."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    server = udp_server(family, address)
    other = server.getsockname()[1]
    t.ok(inside(lambda: comes_back(address, other, b'x' * 30)) is not None,
         f'UDP to another port of {address} reaches the kernel')
    t.ok(inside(lambda: comes_back(address, other, b'y' * 9000)) is not None,
         f'a large datagram to {address}, fragmented or whole, reaches the kernel')
    server.close()
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((address, BASE))
        listener.listen()
        listener.settimeout(LINE_S)

        def connect():
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(LINE_S)
            sock.connect((address, BASE))
            return sock
        client = inside(connect)
        accepted, _ = listener.accept()
        client.sendall(b'hello')
        t.equal(accepted.recv(5), b'hello', f'TCP to our port number on {address} is not ours')
        client.close()
        accepted.close()
    t.ok(inside(lambda: ping(address)), f'the kernel answers pings to {address}')


def arrived(t, echo, frames, where):
    """Each frame bears the time at which the XDP program saw it."""
    t.equal((echo.counters.get('arrivals'), echo.counters.get('impossible')), (frames, 0),
            f'{frames} frames came with their time of arrival, {where}')
    t.ok(echo.counters.get('most_us', 0) < LINE_S * 1000000, 'none was long on its way',
         echo.counters)


def loopback(t):
    """Loopback"""
    before = sysctls()
    echo = Echo('afxdp:lo', 'lo')
    if not t.ok(echo.ready.startswith('ready generic fd=1'), 'an AF_XDP port starts on lo',
                echo.ready):
        return
    t.equal(sysctls(), [1, 1], 'the sysctls that answers to 127.0.0.1 need are set')
    for address in ('127.0.0.1', '127.1.2.3', '::1'):
        for size in (80, 81, 1440):
            t.ok(comes_back(address, BASE + size % 2, request(size)) is not None,
                 f'{size} bytes come back from {address}')
    took = min(comes_back('127.0.0.1', BASE, request()) or 9 for _ in range(5))
    t.ok(took < PROMPT_S, 'a sleeping port wakes up for a frame', f'{took:.3f} s')
    for bad in (request(79), request(magic=b'ABFX'), request(version=9), request(kind=wire.ANSWER),
                request(length=99), request(1441)):
        with udp('127.0.0.1', BASE) as sock:
            sock.send(bad)
    kernel_still_answers(t, '127.0.0.1')
    kernel_still_answers(t, '::1')
    counted = echo.counted('steer_bytes')[0]
    # In front of a payload: Ethernet, IPv4 or IPv6, UDP.
    sizes = 80 + 81 + 1440
    want = {'redirected': 2 * (sizes + 3 * 42) + sizes + 3 * 62 + 5 * 142, 'drop_short': 79 + 42,
            'drop_magic': 142, 'drop_version': 142, 'drop_kind': 142,
            'drop_length': 142 + 1441 + 42, 'pass_no_socket': 0}
    t.equal({name: counted[name] for name in want}, want, 'the bytes of each frame were counted')
    t.ok(counted['pass_other_port'] > 9000, 'those of what the kernel got, too', counted)
    t.equal(echo.counted('steer_tenants'), {0: {'packets': 14, 'bytes': want['redirected']}},
            'requests without a tenant count for tenant 0')
    errors = echo.stop()
    t.equal(errors, '', 'it says nothing on standard error')
    want = {'redirected': 14, 'answers': 14, 'drop_short': 1, 'drop_magic': 1, 'drop_version': 1,
            'drop_kind': 1, 'drop_length': 2, 'bad_checksum': 0, 'cut': 0, 'not_ours': 0}
    t.equal({name: echo.counters.get(name) for name in want}, want, 'each packet was counted')
    arrived(t, echo, 14, 'lo')
    for name in ('pass_not_udp', 'pass_other_port'):
        t.ok(echo.counters.get(name, 0) > 0, f'{name} was counted')
    nothing_left(t, echo, 'lo', 'after its end')
    t.equal(sysctls(), before, 'the sysctls are what they were')


def flooded(t):
    """More than the queues hold"""
    echo = Echo('afxdp:lo', 'lo')
    t.ok(echo.ready.startswith('ready'), 'it starts', echo.ready)
    data = request(1440)
    # More often than there are frame buffers, so that a lost buffer would be missed.
    with udp('127.0.0.1', BASE) as sock:
        for _ in range(FLOOD):
            sock.send(data)
    with udp('::1', BASE) as sock:
        for _ in range(FLOOD):
            sock.send(data)
    # The queue may still be full when the flood ends.
    t.ok(any(comes_back('127.0.0.1', BASE, request()) is not None for _ in range(5)),
         f'it answers after {2 * FLOOD}')
    echo.stop()
    t.ok(echo.counters.get('redirected', 0) > 2 * FLOOD, 'all were handed over')
    t.ok(echo.counters.get('answers', 0) > 10000, 'more were answered than there are buffers',
         echo.counters)
    t.ok(0 < echo.counters.get('arrivals', 0) <= echo.counters['answers'] and
         echo.counters.get('impossible') == 0, 'times of arrival are possible ones', echo.counters)
    nothing_left(t, echo, 'lo', 'after its end')


def waiting(t, interface, address, mode=(), inside=lambda function: function()):
    """Frames that wait for the data plane"""
    echo = Echo(f'afxdp:{interface}', interface, mode=mode)
    t.ok(echo.ready.startswith('ready'), 'it starts', echo.ready)
    t.ok(inside(lambda: comes_back(address, BASE, request())) is not None, 'it answers')
    node.freeze(echo.process.pid)
    threading.Timer(WAIT_S, echo.process.send_signal, (signal.SIGCONT,)).start()
    t.ok((inside(lambda: comes_back(address, BASE, request())) or 0) > WAIT_S / 2,
         'it answers late when it was stopped')
    echo.stop()
    t.ok(echo.counters.get('most_us', 0) > WAIT_S * 500000,
         'the time of arrival is when the frame came, not when it was read', echo.counters)
    t.ok(0 <= echo.counters.get('least_us', -1) < WAIT_S * 500000,
         'a frame that did not wait came just now', echo.counters)


def tenants(t):
    """Tenants"""
    echo = Echo('afxdp:lo', 'lo')
    t.ok(echo.ready.startswith('ready'), 'it starts', echo.ready)
    for tenant, times in ((7, 3), (0xfffffffe, 2), (0, 1)):
        for _ in range(times):
            t.ok(comes_back('127.0.0.1', BASE, request(tenant=tenant)) is not None,
                 f'a request of tenant {tenant} comes back')
    with udp('127.0.0.1', BASE) as sock:
        sock.send(request(tenant=7, version=9))
    t.equal(echo.counted('steer_tenants'),
            {tenant: {'packets': times, 'bytes': 142 * times}
             for tenant, times in ((7, 3), (0xfffffffe, 2), (0, 1))},
            'frames and bytes of each tenant that were handed on')
    echo.stop()


def killed(t):
    """After kill -9"""
    echo = Echo('afxdp:lo', 'lo')
    t.ok(echo.ready.startswith('ready'), 'it starts', echo.ready)
    echo.kill()
    t.equal(program_on('lo'), '', 'the kernel took the program off')
    t.ok(os.path.exists(f'{echo.pins}/steer'), 'pins stayed')
    t.equal(sysctls(), [1, 1], 'sysctls stayed changed')
    echo = Echo('afxdp:lo', 'lo')
    t.ok(echo.ready.startswith('ready') and 'was killed' in echo.ready,
         'the next run starts at once and tells what it put right', echo.ready)
    t.ok(comes_back('127.0.0.1', BASE, request()) is not None, 'and answers')
    echo.stop()
    nothing_left(t, echo, 'lo', 'after the next run')
    t.equal(sysctls(), [0, 0], 'and the sysctls are what they were before the first')


def sysctls_of_others(t):
    """Sysctls that were set already"""
    node.run('sysctl', '-w', 'net.ipv4.conf.lo.route_localnet=1')
    echo = Echo('afxdp:lo', 'lo')
    t.ok(echo.ready.startswith('ready'), 'it starts with route_localnet=1', echo.ready)
    echo.stop()
    t.equal(sysctls(), [1, 0], 'what was set before stays set')
    node.run('sysctl', '-w', 'net.ipv4.conf.lo.route_localnet=0')


def refused(t):
    """What is refused"""
    echo = Echo('afxdp:lo', 'lo')
    second = Echo('afxdp:lo', 'lo', name='b')
    t.ok('another abaftd' in second.ready, 'a second one on the interface is refused', second.ready)
    second.stop()
    t.ok(not os.path.exists(second.pins), 'and leaves no pins')
    t.ok(comes_back('127.0.0.1', BASE, request()) is not None, 'the first one still answers')
    node.run('ip', 'link', 'add', 'spare', 'type', 'veth', 'peer', 'name', 'eraps')
    third = Echo('afxdp:spare', 'spare')
    t.ok('belong to a running node' in third.ready, 'so is one with its pin folder', third.ready)
    third.stop()
    t.ok(os.path.exists(f'{echo.pins}/steer'), 'whose pins stay')
    echo.stop()
    gone = Echo('afxdp:nothing0', 'nothing0')
    t.ok('no interface' in gone.ready, 'so is an interface that is not there', gone.ready)
    gone.stop()
    bare = Echo('afxdp:spare', '-')
    t.ok('no steering program' in bare.ready, 'so is a port without steering before it', bare.ready)
    bare.stop()
    node.run('ip', 'link', 'del', 'spare')


def foreign_program(t):
    """Someone else's program"""
    node.run('ip', 'link', 'add', 'spare', 'type', 'veth', 'peer', 'name', 'eraps')
    node.run('bpftool', 'net', 'attach', 'xdp', 'pinned', foreign, 'dev', 'spare')
    echo = Echo('afxdp:spare', 'spare')
    t.ok('of someone else' in echo.ready, 'it is not touched', echo.ready)
    echo.stop()
    t.ok(program_on('spare') != '', 'and still there')
    node.run('ip', 'link', 'del', 'spare')


def veth(t, mode, *flags):
    """A veth pair"""
    peer = node.PeerNamespace(queues=2)
    echo = Echo('afxdp:ours,queues=2', 'ours', mode=flags)
    if not t.ok(echo.ready.startswith(f'ready {mode} fd=1'), f'two queues start on veth, {mode}',
                echo.ready):
        return
    sent = 0
    for address in ('10.7.0.1', 'fd07::1'):
        # Each socket gets its queue by the hash of its addresses and ports.
        for size in (80, 81, 1440, 200, 300, 400, 500, 600):
            sent += 1
            t.ok(peer.inside(lambda: comes_back(address, BASE + size % 2, request(size)))
                 is not None, f'{size} bytes come back from {address}, {mode}')
        kernel_still_answers(t, address, peer.inside)
    errors = echo.stop()
    t.equal(errors, '', 'it says nothing on standard error')
    t.equal([echo.counters.get(name) for name in ('redirected', 'answers', 'pass_no_socket')],
            [sent, sent, 0], 'each packet was counted')
    arrived(t, echo, sent, f'veth, {mode}')
    t.equal(sysctls(), [0, 0], 'no sysctl was touched')
    nothing_left(t, echo, 'ours', 'after its end')
    peer.close()


def interface_gone(t):
    """An interface that goes away"""
    node.run('ip', 'link', 'add', 'spare', 'type', 'veth', 'peer', 'name', 'eraps')
    node.run('ip', 'link', 'set', 'spare', 'up')
    echo = Echo('afxdp:spare', 'spare')
    t.ok(echo.ready.startswith('ready'), 'it starts', echo.ready)
    node.run('ip', 'link', 'del', 'spare')
    echo.stop()
    t.equal(echo.process.returncode, 0, 'it still ends well')
    t.ok(not os.path.exists(echo.pins), 'no pins')
    t.ok(not os.path.exists(echo.state), 'no state file')


def case(function, *arguments):
    """Ends what a failed case left running: the next ones need the interface."""
    t.case(function, *arguments)
    while running:
        echo = running.pop()
        if echo.process.poll() is None:
            echo.stop()


def own_device(t):
    """A device that is wholly ours"""
    if not os.path.exists('/dev/net/tun'):
        t.ok(True, 'a TAP port # SKIP no /dev/net/tun')
        return
    echo = Echo('tap:abaft0', '-', mode=('10.8.0.1', 'fd08::1'))
    if not t.ok(echo.ready.startswith('ready'), 'a TAP port starts', echo.ready):
        return
    node.run('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'abaft0')
    node.run('ip', 'addr', 'add', 'fd08::2/64', 'dev', 'abaft0', 'nodad')
    node.run('ip', 'link', 'set', 'abaft0', 'up')
    for address in ('10.8.0.1', 'fd08::1'):
        # The kernel on the other side asks for our MAC address first.
        t.ok(comes_back(address, BASE, request()) is not None, f'{address} answers requests')
        t.ok(ping(address), f'{address} answers pings')
    neighbours = node.run('ip', 'neighbour', 'show', 'dev', 'abaft0')
    for address in ('10.8.0.1', 'fd08::1'):
        t.ok(any(line.startswith(f'{address} lladdr') for line in neighbours.splitlines()),
             f'the kernel knows the MAC address of {address}', neighbours)
    echo.stop()
    t.equal((echo.counters.get('answers'), echo.counters.get('echo')), (2, 2), 'all were counted')
    t.equal(echo.counters.get('arrivals'), 0, 'no XDP program saw them, so no time of arrival')
    t.ok(echo.counters.get('arp', 0) > 0 and echo.counters.get('nd', 0) > 0,
         'so were ARP and solicitations', echo.counters)
    t.equal(echo.counters.get('bad_checksum'), 0, 'the kernel finishes checksums for a TAP')
    t.ok('abaft0' not in node.run('ip', 'link'), 'the interface went with it')


def huge_pages(t):
    """Frame buffers in huge pages"""
    with open('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages') as file:
        free = int(file.read())
    if free < HUGE_PAGES:
        t.ok(True, f'AF_XDP over huge pages # SKIP needs {HUGE_PAGES} free ones, {free} are')
        return
    echo = Echo('afxdp:lo', 'lo', mode=('huge',))
    t.ok(echo.ready.startswith('ready'), 'a port starts on huge pages', echo.ready)
    t.ok(all(comes_back('::1', BASE, request()) is not None for _ in range(3000)),
         '3000 requests come back')
    echo.stop()
    nothing_left(t, echo, 'lo', 'after its end')


if os.geteuid() != 0:
    tap.skip_all('needs root (network namespaces, XDP)')
scratch = tempfile.mkdtemp(prefix='abaft-port-', dir=os.environ.get('TMPDIR', '/var/tmp'))
foreign = f'/sys/fs/bpf/abaft-port-{os.getpid()}-foreign'
node.enter_namespace()
try:
    t = tap.Tap()
    case(loopback)
    node.run('bpftool', 'prog', 'load', sys.argv[2], foreign, 'type', 'xdp')
    case(waiting, 'lo', '127.0.0.1')
    case(tenants)
    case(flooded)
    case(killed)
    case(sysctls_of_others)
    case(refused)
    case(foreign_program)
    case(veth, 'native')
    case(veth, 'generic', 'generic')
    case(interface_gone)
    case(own_device)
    case(huge_pages)
finally:
    shutil.rmtree(scratch, ignore_errors=True)
    if os.path.exists(foreign):
        os.unlink(foreign)
t.done()
