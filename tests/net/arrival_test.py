#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From the XDP program to a request's execution: each request that comes by a kernel interface is
measured from when it arrived there, in the driver's and in generic XDP. What waits in the socket's
ring shows in `arrival`, not in `service`. On a device of the node's own nothing is known."""
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Node, PeerNamespace, enter_namespace, freeze, missing, run  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402

WAIT_S = 0.4
ROUNDS = 20
SETTLE_S = 2


def entries(node, name):
    """A pinned map's values, by key."""
    dump = json.loads(run('bpftool', '-j', 'map', 'dump', 'pinned',
                          f'{node.keys["pin_dir"]}/{name}'))
    return {entry['formatted']['key']: entry['formatted']['value'] for entry in dump}


def total(node, name, field):
    return sum(value[field] for value in entries(node, name).values())


def tenants(node):
    """Requests by tenant, all CPUs together."""
    dump = json.loads(run('bpftool', '-j', 'map', 'dump', 'pinned',
                          f'{node.keys["pin_dir"]}/steer_tenants'))
    return {entry['formatted']['key']: sum(cpu['value']['packets']
                                           for cpu in entry['formatted']['values'])
            for entry in dump}


def most_s(node, name):
    return max(value['max'] for value in entries(node, name).values()) / 1e9


def settled(read, wanted):
    """A worker notes some at a time, so the last of them a moment after their answers."""
    end = time.monotonic() + SETTLE_S
    while read() != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return read()


def work(tap, peer, what):
    """Transactions, spread over the workers by their ids."""
    for i in range(ROUNDS):
        key = b'key %d' % i
        if peer.write({key: what.encode()}) != wire.OK or peer.read(key) != [what.encode()]:
            tap.ok(False, f'{what}: transaction {i}')
            return
    tap.ok(True, f'{what}: {ROUNDS} transactions')


def wait_for_ring(node, peer):
    """A request that waits while the node is stopped."""
    freeze(node.pid)
    threading.Timer(WAIT_S, os.kill, (node.pid, signal.SIGCONT)).start()
    start = time.monotonic()
    peer.info(0)
    return time.monotonic() - start


def measured(tap, what, address, inside=lambda function: function(), **keys):
    """All requests, none twice; a wait in the socket's ring is theirs."""
    with Node(workers=2, **keys) as node:
        peer = inside(lambda: node.peer(address))
        work(tap, peer, what)
        requests = total(node, 'worker_counters', 'requests')
        tap.ok(requests >= 2 * ROUNDS, f'{what}: all came in', requests)
        tap.equal(settled(lambda: total(node, 'arrival', 'count'), requests), requests,
                  f'{what}: each was measured from its arrival')
        tap.ok(total(node, 'arrival', 'sum') >= requests * 100,
               f'{what}: which takes longer than a tenth of a microsecond')
        tap.ok(most_s(node, 'arrival') < 30, f'{what}: and not for ever')
        took = wait_for_ring(node, peer)
        tap.ok(took > WAIT_S / 2, f'{what}: a stopped node answers late', took)
        tap.ok(WAIT_S / 2 < most_s(node, 'arrival') < took + 0.1,
               f'{what}: arrival tells how long the request waited', most_s(node, 'arrival'))
        tap.ok(most_s(node, 'service') < WAIT_S / 2, f'{what}: service does not',
               most_s(node, 'service'))
        peer.close()
        steered = node.steer_counters()['redirected']
        tap.equal(tenants(node), {0: steered}, f'{what}: of no tenant, as all')
        tap.equal(node.stop(), 0, f'{what}: clean stop')


def loopback(tap):
    """Loopback, generic XDP"""
    measured(tap, 'lo', '127.0.0.1', port='afxdp:lo')


def veth(tap):
    """A veth pair, the driver's XDP"""
    peer = PeerNamespace(queues=2)
    measured(tap, 'veth', '10.7.0.1', peer.inside, port='afxdp:ours,queues=2',
             addresses='10.7.0.1')
    peer.close()


def owned(tap):
    """A device of the node's own"""
    if not os.path.exists('/dev/net/tun'):
        tap.ok(True, 'a TAP port # SKIP no /dev/net/tun')
        return
    with Node(port='tap:abaft0', addresses='10.8.0.1') as node:
        run('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'abaft0')
        run('ip', 'link', 'set', 'abaft0', 'up')
        peer = node.peer('10.8.0.1')
        work(tap, peer, 'tap')
        peer.close()
        requests = total(node, 'worker_counters', 'requests')
        tap.equal(settled(lambda: total(node, 'service', 'count'), requests), requests,
                  'tap: service is measured')
        tap.equal(total(node, 'arrival', 'count'), 0, 'tap: no arrival, as no XDP program saw any')
        tap.equal(node.stop(), 0, 'tap: clean stop')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    enter_namespace()
    tap = Tap()
    tap.case(loopback)
    tap.case(veth)
    tap.case(owned)
    tap.done()


if __name__ == '__main__':
    main()
