#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""path_test.py - paths to a node: MTU 576 to 9000, IPv4 and IPv6, one and two VLAN tags, and IP
fragments, which no request may be.

    path_test.py OBJECT   the program built from hostile.bpf.c, which counts what goes by"""
import os
import random
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import cable as cables  # noqa: E402
import client  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
import wire  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
SIZES = (0, 1, 255, 256, 300, 511, 512, 1000, 1300, 1400, 1440, 1441, 5000, 65536, 1 << 20)
HEADERS = 48  # IPv6 and UDP
ETHERNET = 14
PART = 256  # large values move in multiples of it
V4, V6 = '10.7.0.1', 'fd07::1'


def a_node(there, six=True, verify='yes'):
    node = nodes.Node(workers=2, port='afxdp:ours', addresses=f'{V4},{V6}' if six else V4,
                      verify_checksums=verify)

    def peer():
        made = there.inside(lambda: nodes.Node.peer(node, V4))
        made.info_bytes = 256  # fits through an MTU of 576
        return made
    node.peer = peer
    return node


def value_of(size):
    return random.Random(size).randbytes(size)


def both_ways(t, there, address, packet_bytes, name):
    """Values of many sizes, written and read, and one through the command"""
    with there.inside(lambda: client.Client(address, packet_bytes=packet_bytes)) as library:
        written = [library.write({b'%d' % size: value_of(size)}) for size in SIZES]
        read = [library.read(b'%d' % size) == (client.OK, value_of(size)) for size in SIZES]
    t.equal(set(written), {client.OK}, f'{name}: values of 0 to {max(SIZES)} bytes are written')
    t.ok(all(read), f'{name}: and read', read)
    done = subprocess.run(there.command(ABAFT, 'get', '-a', address, '--packet-bytes',
                                        str(packet_bytes), '5000'),
                          stdout=subprocess.PIPE, timeout=30)
    t.equal(done.stdout, value_of(5000) + b'\n', f'{name}: `abaft get` reads 5000 bytes')


def mtu(t, object, bytes_max):
    """One MTU on the whole path"""
    packet_bytes = min(wire.PACKET_BYTES_MAX, bytes_max - HEADERS)
    six = bytes_max >= 1280
    with cables.Cable(object, mtu=bytes_max) as cable, a_node(cable.client, six) as node:
        for address in (V4, V6) if six else (V4,):
            both_ways(t, cable.client, address, packet_bytes, f'MTU {bytes_max}, {address}')
        for way, counted in cable.counters().items():
            largest = counted['frame_bytes_max'] - ETHERNET
            t.ok(packet_bytes - PART < largest <= min(bytes_max, packet_bytes + HEADERS),
                 f'MTU {bytes_max}: the largest packet {way} has {largest} bytes')
            t.equal(counted['fragments'], 0, f'MTU {bytes_max}: no fragment {way}')
        t.equal(node.total('drop_checksum', 'drop_frame', 'tx_dropped'), [0, 0, 0],
                f'MTU {bytes_max}: no frame is refused or lost')


def jumbo(t):
    """An MTU of 9000, for which veth has no XDP of its own. No cable: what a program redirected is
    hidden from the kernel's generic XDP."""
    peer = nodes.PeerNamespace(mtu=9000)
    with a_node(peer, verify='no') as node:
        for address in (V4, V6):
            both_ways(t, peer, address, wire.PACKET_BYTES_MAX, f'MTU 9000, {address}')
        with peer.inside(lambda: wire.Peer(V4, workers=2)).socket as sock:
            drops = node.steer_counters()['drop_length']
            sock.sendto(wire.request(wire.new_id(), [wire.put(b'big', bytes(7000))]), (V4, 7400))
            t.equal(node.steer_counters()['drop_length'], drops + 1,
                    'MTU 9000: a request of 7 KB is refused, and counted')
        t.equal(node.total('drop_frame', 'tx_dropped'), [0, 0], 'MTU 9000: no frame is lost')
    peer.close()


def tags(t, object):
    """One and two 802.1Q tags"""
    with cables.Cable(object) as cable, a_node(cable.client) as node:
        cable.no_tag_offload()
        for count in (0, 1, 2):
            before = cable.counters()['to_client']
            cable.set(tags=count)
            for address in (V4, V6):
                both_ways(t, cable.client, address, 1400, f'{count} tags, {address}')
            after = cable.counters()['to_client']
            frames, tagged = (after[name] - before[name] for name in ('frames', 'tagged'))
            t.ok(tagged > 500 and frames - tagged < 20 if count else tagged == 0,
                 f'{count} tags: {tagged} of {frames} frames from the node bear one')
        t.equal(node.steer_counters()['pass_not_ip'] > 0, True,
                'what is not IP behind its tags goes to the kernel')


def ipv4(payload, more, offset):
    """An IPv4 packet of UDP, or a fragment of one, from the client. The kernel sums it."""
    return struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 77, more << 13 | offset >> 3,
                       64, 17, 0, socket.inet_aton('10.7.0.2'), socket.inet_aton(V4)) + payload


def fragments(t, object):
    """Fragments of IPv4 and IPv6, real ones and made ones"""
    with cables.Cable(object, mtu=1280) as cable, a_node(cable.client) as node:
        node.peer().write({b'before': b'1'})
        passed = node.steer_counters()['pass_fragment']
        for address in (V4, V6):
            # 1440 bytes: the kernel cuts them, as nobody told the sender of the MTU.
            peer = cable.client.inside(lambda: wire.Peer(address, workers=2))
            for _ in range(5):
                answer = peer.call(wire.request(wire.new_id(), [wire.put(b'cut', bytes(1340)),
                                                                wire.op(wire.COMMIT)]), 0.1)
                t.equal(answer, None, f'a request in fragments over {address} gets no answer')
            peer.close()
        counted = cable.counters()['to_node']['fragments']
        t.ok(counted >= 20, f'{counted} fragments were on the wire')
        whole = wire.request(wire.new_id(), [wire.put(b'made', b'v' * 400), wire.op(wire.COMMIT)])
        udp = struct.pack('!HHHH', 7777, 7400, 8 + len(whole), 0) + whole
        raw = cable.client.inside(
            lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
        made = (ipv4(udp, 1, 0),               # all of it, but "more follow"
                ipv4(udp, 0, 8), ipv4(udp, 0, 65528 - 8 * 100),  # an end without a beginning
                ipv4(udp[:16], 1, 0), ipv4(udp[8:], 0, 8),       # one that overlaps another
                ipv4(udp[:8], 1, 0), ipv4(b'', 1, 8))            # tiny and empty ones
        for packet in made * 20:
            raw.sendto(packet, (V4, 0))
        raw.close()
        t.equal(node.steer_counters()['pass_fragment'] - passed, counted + 20 * len(made),
                'all went to the kernel, counted as pass_fragment')
        t.equal(node.peer().read(b'before', b'cut', b'made'), [b'1', None, None],
                'nothing in them was executed, and the node goes on')
        t.ok(node.alive() and node.said().count('error') == 0, 'it complains of nothing')


reason = nodes.missing() or (None if os.path.exists('/dev/net/tun') else 'needs /dev/net/tun')
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
t = tap.Tap()
for bytes_max in (576, 1280, 1500):
    t.case(mtu, sys.argv[1], bytes_max)
t.case(jumbo)
t.case(tags, sys.argv[1])
t.case(fragments, sys.argv[1])
t.done()
