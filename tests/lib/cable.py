# SPDX-License-Identifier: Apache-2.0
"""cable.py - a bad cable between this namespace and a client's: tests/net/hostile.bpf.c does to UDP
packets what it is told, in both directions.

    this namespace         the cable's            the client's
    ours  10.7.0.1  ─veth─ near ══ far ─veth─ theirs  10.7.0.2
          fd07::1                                      fd07::2

What is to be late waits in a process of the cable's, behind a TAP interface for each kind of
lateness and direction, for a time drawn between two bounds.

The client's checksums are finished before they leave it (no transmit offload), as over a real wire:
between kernels of one machine they would not be, and nobody could judge them."""
import array
import fcntl
import heapq
import json
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import time

import node as nodes

FAULTS = ('drop', 'duplicate', 'corrupt', 'reorder', 'delay')
COUNTED = ('dropped', 'doubled', 'corrupted', 'reordered', 'delayed')
WAYS = ('to_node', 'to_client')
REORDER_US, DELAY_US = (200, 2000), (5000, 60000)
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_SFLAGS, NO_TAG_OFFLOAD = 0x8946, 0x17, 0x26, 0
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000
HELD_MAX = 20000
_count = 0


def ethtool(interface, command, value):
    """ethtool -K, whose program may not be there. In the caller's namespace."""
    data = array.array('B', struct.pack('II', command, value))
    request = struct.pack('16sQ16x', interface.encode(), data.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)


class Cable:
    """`client` is the client's namespace; `object` the file of hostile.bpf.c's program."""

    def __init__(self, object, mtu=1500):
        global _count
        _count += 1
        self.pins = f'/sys/fs/bpf/abaft-cable-{os.getpid()}-{_count}'
        self.client, self.wire = nodes.Namespace(), nodes.Namespace()
        self.holding = None
        nodes._undo.append(self.close)
        for name, end, namespace in (('ours', 'near', None), ('theirs', 'far', self.client)):
            here = namespace.run if namespace else nodes.run
            here('ip', 'link', 'add', 'name', name, 'mtu', str(mtu), 'type', 'veth', 'peer', 'name',
                 end, 'mtu', str(mtu), 'netns', str(self.wire.holder.pid))
            host = 2 if namespace else 1
            here('ip', 'addr', 'add', f'10.7.0.{host}/24', 'dev', name)
            if mtu >= 1280:
                here('ip', 'addr', 'add', f'fd07::{host}/64', 'dev', name, 'nodad')
            here('ip', 'link', 'set', name, 'up')
        self.wire.run('sysctl', '-q', '-w', 'net.ipv6.conf.all.disable_ipv6=1',
                      'net.ipv6.conf.default.disable_ipv6=1')
        self.wire.run('ip', 'link', 'set', 'near', 'up')
        self.wire.run('ip', 'link', 'set', 'far', 'up')
        self.client.inside(lambda: ethtool('theirs', ETHTOOL_STXCSUM, 0))
        self._hold()
        self._load(object)

    def _hold(self):
        """Starts the process that keeps what is late."""
        self.taps = [f'{kind}{way}' for way in range(2) for kind in ('moment', 'longer')]
        self.holding = subprocess.Popen(
            self.wire.command(sys.executable, '-B', __file__, *self.taps), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, preexec_fn=nodes._die_with_parent)
        if self.holding.stdout.readline() != b'ready\n':
            raise RuntimeError('the process that holds packets back does not start')
        for tap in self.taps:
            self.wire.run('ip', 'link', 'set', tap, 'mtu', '9000', 'up')

    def _load(self, object):
        os.mkdir(self.pins)
        nodes.run('bpftool', 'prog', 'loadall', object, f'{self.pins}/programs', 'type',
                  'classifier', 'pinmaps', f'{self.pins}/maps')
        hooks = {'near': 'to_client', 'far': 'to_node'}
        hooks.update({tap: f'released_{WAYS[int(tap[-1])]}' for tap in self.taps})
        for interface, program in hooks.items():
            self.wire.run('tc', 'qdisc', 'add', 'dev', interface, 'clsact')
            self.wire.run('tc', 'filter', 'add', 'dev', interface, 'ingress', 'bpf', 'da',
                          'object-pinned', f'{self.pins}/programs/{program}')
        links = json.loads(self.wire.run('ip', '-j', 'link'))
        self.index = {link['ifname']: link['ifindex'] for link in links}
        self.set()

    def set(self, tags=0, ways=WAYS, **percent):
        """How many percent of the UDP packets meet each fault (FAULTS), in these directions; those
        not named none. `tags`: 802.1Q tags that packets bear on the node's side, 0 to 2."""
        for way, (source, target) in enumerate((('far', 'near'), ('near', 'far'))):
            chances = [percent.get(fault, 0) * 65536 // 100 if WAYS[way] in ways else 0
                       for fault in FAULTS]
            rules = [self.index[name] for name in (source, target, f'moment{way}', f'longer{way}')]
            value = struct.pack('9Ii', *rules, *chances, tags * (1, -1)[way])
            nodes.run('bpftool', 'map', 'update', 'pinned', f'{self.pins}/maps/cable_rules', 'key',
                      'hex', *struct.pack('I', way).hex(' ').split(), 'value', 'hex',
                      *value.hex(' ').split())

    def no_tag_offload(self):
        """Tags stand in the frames themselves on their way to the node."""
        self.wire.inside(lambda: ethtool('near', ETHTOOL_SFLAGS, NO_TAG_OFFLOAD))

    def counters(self):
        """For each direction what struct cable_counters has."""
        dump = json.loads(nodes.run('bpftool', '-j', 'map', 'dump', 'pinned',
                                    f'{self.pins}/maps/cable_counters'))
        return {WAYS[entry['formatted']['key']]: entry['formatted']['value'] for entry in dump}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.holding:
            self.holding.kill()
            self.holding.communicate()
        subprocess.run(['ip', 'link', 'del', 'ours'], stderr=subprocess.DEVNULL, check=False)
        self.client.close()
        self.wire.close()
        for folder in ('programs', 'maps'):
            shutil.rmtree(f'{self.pins}/{folder}', ignore_errors=True)
        if os.path.isdir(self.pins):
            os.rmdir(self.pins)
        if self.close in nodes._undo:
            nodes._undo.remove(self.close)


def hold(names):
    """The other process: makes the TAPs, then keeps what comes out of them, each packet for a time
    of its own, until its standard input ends."""
    taps = {}
    for name in names:
        fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TAP | IFF_NO_PI))
        taps[fd] = REORDER_US if name.startswith('moment') else DELAY_US
    print('ready', flush=True)
    poll, held, count = select.poll(), [], 0
    for fd in [0, *taps]:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    while True:
        wait_ms = max(0.0, (held[0][0] - time.monotonic()) * 1000) if held else None
        for fd, _ in poll.poll(wait_ms):
            if fd == 0:
                return
            try:
                frame = os.read(fd, 16384)
            except BlockingIOError:
                continue
            count += 1
            if len(held) < HELD_MAX:
                late = random.uniform(*taps[fd]) / 1e6
                heapq.heappush(held, (time.monotonic() + late, count, fd, frame))
        while held and held[0][0] <= time.monotonic():
            _, _, fd, frame = heapq.heappop(held)
            try:
                os.write(fd, frame)
            except OSError:  # the interface is not up, or full: as if lost
                pass


if __name__ == '__main__':
    hold(sys.argv[1:])
