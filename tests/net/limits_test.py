#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Limits reached on purpose, over lo: each is answered with its code, counted under its name, and
the node goes on."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402
import wire  # noqa: E402
from wire import op, put, get, request, new_id  # noqa: E402

COMMIT = op(wire.COMMIT)
KIB, MIB = 1 << 10, 1 << 20


def wait_for(node, condition, timeout_s=5):
    """The node's facts when they are as wanted, or at the end of the time."""
    end = time.monotonic() + timeout_s
    while not condition(info := node.info()) and time.monotonic() < end:
        time.sleep(0.05)
    return info


def open_transactions(tap):
    """More open transactions than there is room for"""
    with Node(txns=8) as node:
        peer = node.peer()
        ids = [new_id() for _ in range(8)]
        for txn in ids:
            tap.equal(peer.ask(txn, put(txn, b'1')).codes, [wire.OK], 'txns: one of 8')
        tap.equal(peer.write({b'x': b'0'}), wire.OK, 'txns: the 9th displaces the first')
        tap.equal(node.info()['displaced'], 1, 'txns: displaced')
        for txn in ids:
            instance = peer.ask(txn, put(txn, b'1'), attempt=1).instance
            tap.equal(peer.ask(txn, get(txn), attempt=1, seq=1, flags=0, instance=instance).codes,
                      [wire.OK], 'txns: all 8 come back')
        answer = peer.call(request(new_id(), [put(b'x', b'1'), COMMIT]))
        tap.equal(answer.codes, [wire.BUSY], 'txns: the 9th is BUSY')
        tap.equal(node.info()['busy_txns'], 1, 'txns: busy_txns')
        tap.equal(peer.ask(ids[0], COMMIT, attempt=1, seq=2).codes, [wire.OK], 'txns: one commits')
        tap.equal(peer.write({b'x': b'1'}), wire.OK, 'txns: then there is room')
        peer.close()


def keys_of_the_index(tap):
    """More keys than the index holds"""
    with Node(keys=64) as node:
        peer = node.peer()
        codes = [peer.write({b'key-%d' % i: b'v'}) for i in range(300)]
        tap.ok(codes[0] == wire.OK and codes[-1] == wire.NO_SPACE and
               set(codes) == {wire.OK, wire.NO_SPACE}, 'keys: NO_SPACE in the end', codes)
        held = codes.index(wire.NO_SPACE)
        tap.ok(held >= 48, f'keys: {held} fitted')
        tap.ok(node.info()['busy_keys'] > 0, 'keys: busy_keys')
        tap.equal(peer.write({b'key-0': b'w'}), wire.OK, 'keys: known ones are still written')
        tap.equal(peer.read(b'key-0', b'key-1'), [b'w', b'v'], 'keys: and read')
        peer.close()


def small_values(peer, batches):
    """Writes 200 keys a transaction until one is refused: these stay in memory. The errors."""
    errors = []
    while len(errors) < batches and (not errors or errors[-1] == 0):
        errors.append(peer.write({b's-%d-%d' % (len(errors), i): b'v' * 150 for i in range(200)}))
    return errors


def memory_for_values(tap):
    """More small values than there is memory: these never leave it"""
    with Node(memory='8M', keys=1 << 18) as node, client.Client(timeout_ms=5000) as peer:
        errors = small_values(peer, 400)
        written = len(errors) - 1
        tap.equal(errors[-1], client.NO_SPACE, f'memory: NO_SPACE after {written} x 200 small ones')
        tap.ok(written > 20, 'memory: some fitted')
        tap.ok(node.info()['busy_memory'] > 0, 'memory: busy_memory')
        for run in ('full', 'restarted'):
            got = [peer.read(b's-%d-199' % i) == (0, b'v' * 150) for i in range(written)]
            tap.equal(got, [True] * written, f'memory: all small ones are read, {run}')
            tap.equal(node.stop(), 0, f'memory: clean stop, {run}')
            node.start()


def values_on_disk(tap):
    """Large values beyond the cache stay on disk, and are read from there"""
    with Node(memory='16M', cache='4M') as node, client.Client(timeout_ms=5000) as peer:
        big = {b'big-%d' % i: bytes([i]) * (MIB // 2) for i in range(40)}
        tap.equal({peer.write({key: value}) for key, value in big.items()}, {0},
                  'disk: 20 MiB of values, 4 MiB of cache')
        for run in ('written', 'restarted'):
            got = [peer.read(key) == (0, value) for key, value in big.items()]
            tap.equal(got, [True] * len(big), f'disk: all are read, {run}')
            info = node.info()
            tap.ok(info['fetches'] > 20 and info['cache_bytes'] <= 4 * MIB,
                   f'disk: most from disk, {run}', info['fetches'], info['cache_bytes'])
            tap.equal(node.stop(), 0, f'disk: clean stop, {run}')
            node.start()


def too_small_to_restart(tap):
    """A node restarted with room for less than it has committed says what to raise"""
    with Node(keys=1 << 18) as node, client.Client(timeout_ms=5000) as peer:
        errors = small_values(peer, 200)
        tap.equal(set(errors), {0}, f'restart: {200 * len(errors)} keys')
        for name, small, fits in (('keys', '64', 1 << 18), ('memory', '4M', '64M')):
            tap.equal(node.stop(), 0, f'restart: clean stop, {name}')
            node.keys[name] = small
            try:
                node.start()
                tap.ok(False, f'restart: {name} = {small} is refused', 'it started')
                node.stop()
            except Failed as failed:
                last = str(failed).splitlines()[-1]
                tap.ok(last.endswith(f'do not fit; raise {name}'), f'restart: raise {name}', last)
            node.keys[name] = fits
            node.start()
        tap.equal(peer.read(b's-199-199'), (0, b'v' * 150), 'restart: with room all is there')


def memory_is_reused(tap):
    """Overwritten and deleted values are freed"""
    with Node(memory='8M') as node, client.Client(timeout_ms=2000) as peer:
        many = [peer.write({b'same': bytes([i]) * (256 * KIB)}) for i in range(80)]
        tap.equal(set(many), {0}, 'memory: 20 MiB of overwrites in 8 MiB')
        errors = []
        for i in range(40):
            errors.append(peer.write({b'gone-%d' % i: bytes(512 * KIB)}))
            with peer.txn() as txn:
                errors += [txn.delete(b'gone-%d' % i), txn.commit()]
        tap.equal(set(errors), {0}, 'memory: 20 MiB written and deleted in 8 MiB')
        tap.ok(node.info()['versions_freed'] >= 100, 'memory: versions_freed')


def one_transaction(tap):
    """Reads, writes, bytes and steps of one transaction"""
    with Node(keys=4096) as node:
        peer = node.peer()
        for name, make, counter in (('reads', lambda k: get(k, 1), 'busy_reads'),
                                    ('writes', lambda k: put(k, b'v'), 'busy_writes')):
            txn, codes = new_id(), []
            for i in range(0, 264, 8):
                ops = [make(b'%s-%d' % (name.encode(), i + j)) for j in range(8)]
                codes += peer.ask(txn, *ops, seq=i).codes
            good = wire.NOT_FOUND if name == 'reads' else wire.OK
            tap.equal(codes[:257], [good] * 256 + [wire.TOO_LARGE], f'txn: 256 {name}')
            tap.ok(node.info()[counter] > 0, f'txn: {counter}')
            peer.ask(txn, op(wire.ABORT), seq=999)
        txn = new_id()
        codes = [peer.ask(txn, put(b'step', b'%d' % i), step=i).codes[0] for i in range(33)]
        tap.equal(codes, [wire.OK] * 32 + [wire.TOO_LARGE], 'txn: 32 steps')
        with client.Client() as library, library.txn() as big:
            errors = [big.put(b'v-%d' % i, bytes(MIB)) for i in range(4)]
        tap.equal(errors, [0, 0, 0, client.TOO_LARGE], 'txn: 3 MiB of values')
        peer.close()


def versions_held(tap):
    """What an old transaction may still read is held back, counted, and freed at its end"""
    with Node() as node:
        peer, txn = node.peer(), new_id()
        keys = [b'held-%d' % i for i in range(4)]
        peer.write({key: b'old' for key in keys})
        tap.equal(peer.ask(txn, get(keys[0])).codes, [wire.OK], 'held: it reads one of four keys')
        tap.equal(node.info()['versions_held'], 0, 'held: none at first')
        for i in range(3):
            peer.write({key: b'new-%d' % i for key in keys})
        info = wait_for(node, lambda info: info['versions_held'] >= 4)
        tap.ok(info['versions_held'] >= 4 and info['txns_frozen'] == 1, 'held: when it is old',
               info['versions_held'], info['txns_frozen'])
        results = peer.ask(txn, *[get(key) for key in keys], op(wire.ABORT), seq=1).results
        tap.equal([r.data for r in results[:4]], [b'old'] * 4, 'held: it still reads them')
        info = wait_for(node, lambda info: info['versions_held'] == 0)
        tap.equal(info['versions_held'], 0, 'held: none at its end')
        tap.ok(info['versions_freed'] >= 12, 'held: all were freed', info['versions_freed'])
        peer.close()


def log_space(tap):
    """A log that may take no more: commits get NO_SPACE, reads go on, a restart finds all"""
    keys = {'log_bytes_max': '16M', 'segment_size': '8M', 'memory': '64M', 'checkpoint': 0}
    with Node(**keys) as node:
        with client.Client(timeout_ms=2000) as peer:
            written = 0
            while written < 60 and (err := peer.write({b'l-%d' % written: bytes(MIB // 2)})) == 0:
                written += 1
            tap.equal(err, client.NO_SPACE, f'log: NO_SPACE after {written} halves of a MiB')
            tap.ok(written >= 10, 'log: some fitted')
            tap.ok(node.info()['busy_log_space'] > 0, 'log: busy_log_space')
            tap.equal(peer.read(b'l-0'), (0, bytes(MIB // 2)), 'log: reads go on')
        tap.equal(node.stop(), 0, 'log: clean stop')
        tap.ok('commit log is full' in node.said(), 'log: the daemon said so', node.said())
        node.start()
        with client.Client(timeout_ms=2000) as peer:
            good = [peer.read(b'l-%d' % i) == (0, bytes(MIB // 2)) for i in range(written)]
            tap.equal(good, [True] * written, 'log: a restart finds every commit')
            tap.equal(peer.read(b'l-%d' % written)[0], client.NOT_FOUND, 'log: and no other')
    try:
        with Node(**keys, start=False) as small:
            small.keys['data_dir'] = '/proc/nowhere'
            small.start()
        tap.ok(False, 'data-dir: a hopeless one is refused')
    except Failed as failed:
        tap.ok('/proc/nowhere' in str(failed), 'data-dir: a hopeless one is refused', failed)


def outcomes_remembered(tap):
    """More outcomes than are remembered: the window shrinks, an id never runs twice"""
    with Node(outcomes=64) as node:
        peer = node.peer()
        first = new_id()
        tap.equal(peer.write({b'o': b'0'}, first), wire.OK, 'outcomes: the first')
        time.sleep(0.02)
        codes = {peer.write({b'o': b'%d' % i}) for i in range(1, 200)}
        tap.equal(codes, {wire.OK}, 'outcomes: 200 commits')
        info = node.info()
        tap.ok(info['outcomes'] <= 64 and info['outcomes_evicted'] > 0, 'outcomes: bounded',
               info['outcomes'], info['outcomes_evicted'])
        tap.equal(peer.ask(first, put(b'o', b'again'), COMMIT).codes, [wire.EXPIRED],
                  'outcomes: a forgotten id is EXPIRED')
        tap.equal(peer.read(b'o'), [b'199'], 'outcomes: and changes nothing')
        peer.close()


def flood(tap):
    """Far more requests at once than can be served: answers or silence of the network, no crash"""
    with Node(workers=2, txns=64) as node:
        peer = node.peer()
        for i in range(6000):
            peer.send(request(new_id(), [put(b'f-%d' % (i % 100), bytes(1000)), COMMIT]))
        codes = {}
        while answer := peer.receive(0.3):
            for code in answer.codes[-1:]:
                codes[code] = codes.get(code, 0) + 1
        tap.note(f'answers by code: {codes}; handed over, full: '
                 f'{node.total("handed_over", "handover_full")}')
        tap.ok(set(codes) <= {wire.OK, wire.BUSY} and codes.get(wire.OK, 0) > 0,
               'flood: only OK and BUSY')
        tap.equal(peer.write({b'after': b'1'}), wire.OK, 'flood: the node goes on')
        peer.close()
        tap.equal(node.stop(), 0, 'flood: clean stop')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    for case in (open_transactions, keys_of_the_index, memory_for_values, values_on_disk,
                 too_small_to_restart, memory_is_reused, one_transaction, versions_held, log_space,
                 outcomes_remembered, flood):
        tap.case(case)
    tap.done()


main()
