#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Values of every size that matters, written and read by the client library over AF_XDP."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Node, PeerNamespace, elsewhere, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402
import wire  # noqa: E402

MIB = 1 << 20
# One packet holds a header of 80 bytes, an operation of 16 and, in an answer, a result of 32.
SIZES = (0, 1, 255, 256, 257, 1300, 1312, 1327, 1328, 1329, 1340, 1343, 1344, 1345, 1346, 1360,
         1440, 1441, 4096, 65535, 300001, MIB - 1, MIB)


def value_of(size):
    block = bytes(range(251))
    return (block * (size // len(block) + 1))[:size]


def sizes_come_back(tap, peer, where):
    """Values of all sizes come back as they were written"""
    for size in SIZES:
        key = b'size-%d' % size
        err = peer.write({key: value_of(size), b'other': b'x'})
        got = peer.read(key)
        tap.ok(err == 0 and got == (0, value_of(size)), f'{where}: a value of {size} bytes',
               f'write {client.name(err)}, read {client.name(got[0])}')


def own_large_write_is_read(tap, peer, where):
    """A large value is read in the transaction that wrote it, before it commits"""
    with peer.txn() as txn:
        value = value_of(500000)
        tap.equal(txn.put(b'own', value), 0, f'{where}: put')
        tap.ok(txn.get(b'own') == (0, value), f'{where}: own value of 500000 bytes')
        tap.equal(txn.abort(), 0, f'{where}: abort')
    tap.equal(peer.read(b'own')[0], client.NOT_FOUND, f'{where}: an aborted write is gone')


def too_large_is_refused(tap, peer, where):
    """One byte more than the limit is refused and the client goes on"""
    tap.equal(peer.write({b'large': bytes(MIB + 1)}), client.TOO_LARGE,
              f'{where}: a value of 1 MiB and 1 byte is TOO_LARGE')
    tap.equal(peer.read(b'large')[0], client.NOT_FOUND, f'{where}: nothing of it is there')


def raw_too_large_is_refused(tap, node):
    """The node itself refuses it, not only the client"""
    raw = node.peer()
    before = node.info()['refused_too_large']
    part = wire.op(wire.PUT_PART, b'large', bytes(512), total=MIB + 1)
    tap.equal(raw.ask(wire.new_id(), part).codes, [wire.TOO_LARGE], 'raw: TOO_LARGE')
    tap.ok(node.info()['refused_too_large'] > before, 'raw: refused_too_large counts it')


def parts_are_counted(tap, node):
    """What does not fit in one answer is fetched by parts, each counted"""
    raw = node.peer()
    tap.equal(raw.write({b'parts': bytes(512)}), wire.OK, 'parts: write')
    before = node.info()
    parts = [wire.op(wire.GET_PART, b'parts', offset=at, want=256) for at in (0, 256)]
    results = raw.ask(wire.new_id(), *parts, wire.op(wire.COMMIT)).results
    tap.equal([len(r.data) for r in results], [256, 256, 0], 'parts: two')
    after = node.info()
    tap.equal([after[name] - before[name] for name in ('get_parts', 'gets')], [2, 0],
              'parts: get_parts counts them')
    raw.close()


def deletes_and_overwrites(tap, peer, where):
    """Deletes hide a key, later puts bring it back, sizes may change"""
    tap.equal(peer.write({b'd': value_of(9000)}), 0, f'{where}: write')
    with peer.txn() as txn:
        tap.equal([txn.delete(b'd'), txn.commit()], [0, 0], f'{where}: delete')
    tap.equal(peer.read(b'd')[0], client.NOT_FOUND, f'{where}: deleted')
    tap.equal(peer.write({b'd': b''}), 0, f'{where}: write again, empty')
    tap.equal(peer.read(b'd'), (0, b''), f'{where}: empty is not absent')


def large_keys(tap, peer, where):
    """Keys of 1 byte and of 1 KiB"""
    for size in (1, 1024):
        key = b'k' * size
        tap.equal(peer.write({key: b'v'}), 0, f'{where}: key of {size} bytes')
        tap.equal(peer.read(key), (0, b'v'), f'{where}: and back')
    tap.equal(peer.write({b'k' * 1025: b'v'}), client.TOO_LARGE, f'{where}: 1025 bytes')


def all_cases(tap, node, open_client, where):
    with open_client() as peer:
        tap.case(sizes_come_back, peer, where)
        tap.case(own_large_write_is_read, peer, where)
        tap.case(too_large_is_refused, peer, where)
        tap.case(deletes_and_overwrites, peer, where)
        tap.case(large_keys, peer, where)
    tap.ok(node.alive(), f'{where}: the node lives')


def on_its_port(tap):
    """Over lo, or over the network card of a guest's node."""
    with Node() as node:
        all_cases(tap, node, client.Client, 'IPv4, 1 worker')
        tap.case(raw_too_large_is_refused, node)
        tap.case(parts_are_counted, node)
        tap.equal(node.stop(), 0, 'clean stop')
    with Node(workers=2) as node:
        all_cases(tap, node, lambda: client.Client(wire.ADDRESS6), 'IPv6, 2 workers')
        tap.ok(node.total('handed_over') > 0, 'two workers: requests handed over')


def on_veth(tap):
    there = PeerNamespace()
    for workers, queues, address in ((1, 1, '10.7.0.1'), (2, 1, 'fd07::1'), (3, 2, '10.7.0.1')):
        if queues == 2:
            there.close()
            there = PeerNamespace(queues=2)
        with Node(workers=workers, port=f'afxdp:{there.here},queues={queues}',
                  addresses='10.7.0.1,fd07::1') as node:
            all_cases(tap, node, lambda a=address: there.inside(lambda: client.Client(a)),
                      f'veth, {address}, {workers} worker(s), {queues} queue(s)')
            peer = there.inside(lambda n=node, a=address: n.peer(a))
            infos = [peer.info(w) for w in range(workers)]
            peer.close()
            # Which queue a packet takes is the sender's CPU's affair.
            frames = [info['frames'] for info in infos]
            tap.ok(sum(frames[:queues]) > 0 and sum(frames[queues:]) == 0,
                   'veth: frames come by the queues', frames)
            tap.ok(workers == 1 or sum(info['handed_over'] for info in infos) > 0,
                   'veth: hand-over is counted')
            tap.ok(all(info['requests'] > 0 for info in infos), 'veth: all workers serve')
            tap.ok('receive queues' not in node.said(), 'veth: no queue is missed', node.said())
            tap.equal(node.stop(), 0, 'veth: clean stop')
    with Node(port=f'afxdp:{there.here}', addresses='10.7.0.1') as node:
        tap.ok('has 2 receive queues, of which we listen on 1' in node.said(),
               'veth: a queue too few is told', node.said())


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    on_its_port(tap)
    if not elsewhere():
        on_veth(tap)
    tap.done()


main()
