#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""clock_test.py - clients whose clock is wrong. A client's clock is in nothing but its
transactions' ids: within the limits such a client is served like any other, beyond them it is
refused and counted, and in no case do others notice."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import client  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
import wire  # noqa: E402

SKEW_MS, WINDOW_MS = 2000, 60000
MARGIN_MS = 20000  # no packet takes so long, whatever else runs here
COUNTERS = ('refused_skew', 'refused_expired')


def commit(peer, key, txn):
    """Writes the id's own bytes; the answer."""
    return peer.ask(txn, wire.put(key, txn), wire.op(wire.COMMIT))


def limits(t, node, peer):
    """Ids at the limits"""
    for name, age_ms, wanted, counter in (
            ('as far ahead as allowed', -SKEW_MS, wire.OK, None),
            ('further ahead', -SKEW_MS - MARGIN_MS, wire.CLOCK_SKEW, 'refused_skew'),
            ('minutes ahead', -300000, wire.CLOCK_SKEW, 'refused_skew'),
            ('years ahead', -10**11, wire.CLOCK_SKEW, 'refused_skew'),
            ('nearly as old as outcomes', WINDOW_MS - MARGIN_MS, wire.OK, None),
            ('older than outcomes', WINDOW_MS + 1, wire.EXPIRED, 'refused_expired'),
            ('minutes behind', 300000, wire.EXPIRED, 'refused_expired'),
            ('from 1970', int(time.time() * 1000) - 1, wire.EXPIRED, 'refused_expired')):
        before = node.total(*COUNTERS)
        txn = wire.new_id(age_ms)
        t.equal(commit(peer, name.encode(), txn).codes[-1], wanted, f'{name}: status {wanted}')
        now = [a - b for a, b in zip(node.total(*COUNTERS), before)]
        t.equal(now, [int(counter == c) for c in COUNTERS], f'{name}: counted as {counter}')
        t.equal(peer.read(name.encode()), [txn if wanted == wire.OK else None],
                f'{name}: {"visible" if wanted == wire.OK else "nothing is visible"}')


def others(t, node, peer):
    """A client ahead, one behind and a right one write the same key in turn"""
    times = []
    for i in range(30):
        age_ms = (0, -SKEW_MS, WINDOW_MS - MARGIN_MS)[i % 3]
        answer = commit(peer, b'shared', wire.new_id(age_ms))
        t.equal(answer.codes, [wire.OK, wire.OK], f'turn {i}: id of {-age_ms} ms commits')
        times.append((answer.results[-1].time, answer.results[-1].origin))
        t.equal(peer.read(b'shared'), [answer.txn], f'turn {i}: its value is read')
    t.ok(times == sorted(times) and len(set(times)) == len(times),
         "versions are in the order of the commits: the clients' clocks are in none of them", times)
    ahead = times[-1][0] // 4096 / 1e6 - time.time()
    t.ok(ahead < 1, f'the node\'s clock was not drawn along ({ahead:.3f} s ahead)')


def retries(t, node, peer):
    """Exactly once, also with a wrong clock"""
    for age_ms in (-SKEW_MS, WINDOW_MS - MARGIN_MS):
        txn = wire.new_id(age_ms)
        first = commit(peer, b'once', txn)
        peer.write({b'once': b'somebody else'})
        again = commit(peer, b'once', txn)
        t.equal(again.results[-1].time, first.results[-1].time, f'{age_ms} ms: the first outcome')
        t.ok(again.results[-1].flags & wire.REPEAT, f'{age_ms} ms: told as a repetition')
        t.equal(peer.read(b'once'), [b'somebody else'], f'{age_ms} ms: no second effect')


def library(t, node):
    """The client library, its clock wrong"""
    with client.Client(timeout_ms=3000) as peer:
        for age_ms, wanted in ((-SKEW_MS, 'OK'), (-300000, 'CLOCK_SKEW'), (300000, 'EXPIRED')):
            with peer.txn(id=wire.new_id(age_ms)) as txn:
                err = txn.put(b'library', b'%d' % age_ms) or txn.commit()
            t.equal(client.name(err), wanted, f'library: an id of {-age_ms} ms: {wanted}')
        t.equal(peer.read(b'library'), (client.OK, b'%d' % -SKEW_MS), 'library: the first is there')


reason = nodes.missing()
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
t = tap.Tap()
with nodes.Node(workers=2, skew=f'{SKEW_MS}ms', window=f'{WINDOW_MS}ms') as node:
    peer = node.peer()
    t.case(limits, node, peer)
    t.case(others, node, peer)
    t.case(retries, node, peer)
    t.case(library, node)
    peer.close()
t.done()
