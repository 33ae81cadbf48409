#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A port whose whole device is the node's (a TAP device stands for a NIC): no kernel answers for
it, so the node answers ARP, neighbour solicitations and pings itself."""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Node, enter_namespace, missing, run  # noqa: E402
from ping import ping  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402


def owned(tap):
    """ARP, ND, ping and transactions on a device of the node's own"""
    with Node(port='tap:abaft0', addresses='10.8.0.1,fd08::1') as node:
        run('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'abaft0')
        run('ip', 'addr', 'add', 'fd08::2/64', 'dev', 'abaft0', 'nodad')
        run('ip', 'link', 'set', 'abaft0', 'up')
        for address in ('10.8.0.1', 'fd08::1'):
            tap.ok(ping(address), f'owned: {address} answers pings')
            tap.ok(not ping(address[:-1] + '9', 0.3), 'owned: a neighbour of it does not')
            peer = node.peer(address)
            tap.equal(peer.write({b'a': address.encode()}), wire.OK, f'owned: {address} commits')
            tap.equal(peer.read(b'a'), [address.encode()], f'owned: {address} reads')
            peer.close()
        peer = node.peer('10.8.0.1')
        info = peer.info()
        for name in ('arp', 'nd', 'echo'):
            tap.ok(info[name] > 0, f'owned: counted: {name}')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b'x' * 100, ('10.8.0.1', 9999))
        time.sleep(0.1)
        tap.ok(peer.info()['drop_not_ours'] > info['drop_not_ours'], 'owned: other ports are not')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b'x' * 100, ('10.8.0.1', 7400))
        time.sleep(0.1)
        after = peer.info()
        for name in ('redirected', 'pass_not_ip', 'pass_not_udp', 'pass_other_port'):
            tap.ok(after['steer_' + name] > 0, f'owned: the port\'s steering counted: {name}')
        tap.equal(after['steer_drop_magic'], info['steer_drop_magic'] + 1,
                  'owned: the port\'s steering drops what is malformed')
        tap.equal(after['steer_bytes_drop_magic'], info['steer_bytes_drop_magic'] + 42 + 100,
                  'owned: and counts the bytes of the whole frame')
        tap.equal(after['refused_magic'], info['refused_magic'], 'owned: ... before the core')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(wire.MAGIC, ('10.8.0.1', 7400))
        time.sleep(0.1)
        short = peer.info()
        tap.equal([short[name] - after[name] for name in ('steer_drop_short', 'refused_short')],
                  [1, 0], 'owned: and what is too short')
        peer.close()
        tap.equal(node.stop(), 0, 'owned: clean stop')
    tap.ok(not os.path.exists('/sys/class/net/abaft0') and 'abaft0' not in run('ip', 'link'),
           'owned: the device is gone')


def main():
    reason = missing()
    if not reason and not os.path.exists('/dev/net/tun'):
        reason = 'needs /dev/net/tun'
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    tap.case(owned)
    tap.done()


main()
