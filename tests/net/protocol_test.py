#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The protocol by hand over lo: retries, repeated and late packets, every refusal, every kind of
malformed packet, with the counter that names it."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402
from wire import op, put, get, request, new_id  # noqa: E402

COMMIT, ABORT = op(wire.COMMIT), op(wire.ABORT)


def retried_function(tap, node, peer):
    """A later attempt of a step drops the earlier one's writes; the id takes effect once"""
    txn = new_id()
    tap.equal(peer.ask(txn, put(b'r-old', b'1'), put(b'r', b'1'), step=1, attempt=0).codes,
              [0, 0], 'retry: the first attempt writes and dies')
    answer = peer.ask(txn, put(b'r', b'2'), COMMIT, step=1, attempt=1)
    tap.equal(answer.codes, [0, 0], 'retry: the second attempt writes less and commits')
    tap.equal(peer.read(b'r', b'r-old'), [b'2', None], 'retry: only its writes are there')
    again = peer.ask(txn, put(b'r', b'3'), COMMIT, step=1, attempt=2)
    tap.equal((again.codes, again.results[1].flags & wire.REPEAT, again.results[1].time),
              ([0, 0], wire.REPEAT, answer.results[1].time),
              'retry: a third attempt is told the first outcome')
    tap.equal(peer.read(b'r'), [b'2'], 'retry: and changes nothing')
    stale = new_id()
    peer.ask(stale, put(b's', b'new'), step=1, attempt=2)
    late = peer.ask(stale, put(b's', b'old'), step=1, attempt=1)
    tap.equal(late.codes, [wire.STALE_ATTEMPT], 'retry: a replaced attempt is STALE_ATTEMPT')
    tap.equal(peer.ask(stale, COMMIT, step=1, attempt=2, seq=1).codes, [0], 'retry: commits')
    tap.equal(peer.read(b's'), [b'new'], 'retry: the later attempt counts')


def repeated_and_late(tap, node, peer):
    """Every packet twice, and packets in the wrong order"""
    txn = new_id()
    first = request(txn, [put(b'p', b'1'), get(b'p')])
    last = request(txn, [put(b'p', b'2'), COMMIT], seq=2)
    for name, packet in (('first', first), ('last', last)):
        one, two = peer.call(packet), peer.call(packet)
        tap.equal((one.codes, two.codes), ([0, 0], [0, 0]), f'twice: the {name} packet')
    tap.equal(peer.read(b'p'), [b'2'], 'twice: the value')
    tap.ok(wire.COMMITTED in peer.call(first).codes, 'late: a packet after the commit')
    tap.equal(peer.read(b'p'), [b'2'], 'late: changes nothing')
    txn = new_id()
    peer.ask(txn, put(b'q', b'late'), seq=9)
    peer.ask(txn, put(b'q', b'early'), seq=3)
    peer.ask(txn, COMMIT, seq=20)
    tap.equal(peer.read(b'q'), [b'late'], 'order: a higher number wins whenever it comes')
    txn = new_id()
    packet = request(txn, [put(b'burst', b'x'), COMMIT])
    for _ in range(50):
        peer.send(packet)
    answers = []
    while len(answers) < 50 and (answer := peer.receive(0.5)):
        answers.append(answer.codes)
    tap.ok(all(a in ([0, 0], [wire.IN_PROGRESS], [wire.IN_PROGRESS] * 2) for a in answers) and
           [0, 0] in answers, 'burst: 50 copies at once', set(map(tuple, answers)))
    times = {peer.ask(txn, COMMIT).results[0].time for _ in range(3)}
    tap.equal(len(times), 1, 'burst: one commit')


def status_and_abort(tap, node, peer):
    """STATUS through a transaction's life; ABORT is final"""
    def status(txn):
        return peer.ask(txn, op(wire.STATUS), flags=0).codes
    txn = new_id()
    tap.equal(status(txn), [wire.UNKNOWN_TXN], 'status: before')
    peer.ask(txn, put(b'st', b'1'))
    tap.equal(status(txn), [wire.OK], 'status: open')
    peer.ask(txn, COMMIT, seq=1)
    tap.equal(status(txn), [wire.COMMITTED], 'status: committed')
    tap.equal(peer.ask(txn, ABORT, seq=2).codes, [wire.COMMITTED], 'abort: after the commit')
    gone = new_id()
    peer.ask(gone, put(b'gone', b'1'))
    tap.equal(peer.ask(gone, ABORT, seq=1).codes, [wire.OK], 'abort: an open one')
    tap.equal(status(gone), [wire.ABORTED], 'status: aborted')
    answer = peer.ask(gone, put(b'gone', b'1'), COMMIT, seq=2)
    tap.equal(answer.codes, [wire.ABORTED, wire.ABORTED], 'abort: a later commit')
    tap.equal(peer.ask(gone, ABORT, seq=9).results[0].flags, wire.REPEAT, 'abort: repeated')
    never = new_id()
    tap.equal(peer.ask(never, ABORT).codes, [wire.OK], 'abort: an id that never came')
    tap.ok(wire.ABORTED in peer.ask(never, put(b'gone', b'1'), COMMIT).codes, 'abort: is final')
    tap.equal(peer.read(b'gone'), [None], 'abort: nothing is written')


def outside_the_window(tap, node, peer):
    """EXPIRED, CLOCK_SKEW, UNKNOWN_TXN, each with its counter"""
    before = node.info()
    tap.equal(peer.ask(new_id(age_ms=700000), put(b'w', b'1')).codes, [wire.EXPIRED],
              'window: an id of 700 s ago')
    tap.equal(peer.ask(new_id(age_ms=-100000), put(b'w', b'1')).codes, [wire.CLOCK_SKEW],
              'window: an id of 100 s ahead')
    tap.equal(peer.ask(new_id(), put(b'w', b'1'), flags=0).codes, [wire.UNKNOWN_TXN],
              'unknown: a packet that does not open')
    txn = new_id()
    instance = peer.ask(txn, put(b'w', b'1')).instance
    tap.equal(peer.ask(txn, get(b'w'), flags=0, instance=instance ^ 1, seq=1).codes,
              [wire.UNKNOWN_TXN], 'unknown: another instance')
    tap.equal(peer.ask(txn, get(b'w'), flags=0, instance=instance, seq=1).codes, [wire.OK],
              'unknown: but not the right one')
    after = node.info()
    for name, count in (('refused_expired', 1), ('refused_skew', 1), ('refused_unknown', 2)):
        tap.equal(after[name] - before[name], count, f'counted: {name}')


def disappearing_client(tap, node, peer):
    """A client that goes away in mid-transaction: its deadline ends it, nothing of it is seen"""
    before = node.info()
    txn = new_id()
    answer = peer.ask(txn, put(b'away', b'1'), deadline_ms=200)
    tap.equal(node.info()['txns_open'], before['txns_open'] + 1, 'deadline: open')
    time.sleep(0.5)
    after = node.info()
    tap.equal((after['txns_open'], after['expired'] - before['expired']),
              (before['txns_open'], 1), 'deadline: ended')
    late = peer.ask(txn, COMMIT, flags=0, instance=answer.instance, seq=1)
    tap.equal(late.codes, [wire.UNKNOWN_TXN], 'deadline: a late commit is UNKNOWN_TXN')
    tap.equal(peer.read(b'away'), [None], 'deadline: nothing was written')
    tap.equal(peer.ask(txn, put(b'away', b'2'), COMMIT, attempt=1).codes, [0, 0],
              'deadline: the same id may run again')


def malformed():
    """(name, packet, statuses or None for no answer, counter, in steer)"""
    txn = new_id()
    bad_id = bytearray(txn)
    bad_id[6] = 0x40 | bad_id[6] & 0x0f
    one = [put(b'm', b'1')]
    yield 'empty', b'', None, 'drop_short', True
    yield 'one byte', b'A', None, 'drop_short', True
    yield 'a header less a byte', request(txn, [])[:79], None, 'drop_short', True
    yield 'wrong magic', request(txn, one, magic=b'ABFU'), None, 'drop_magic', True
    yield 'version 2', request(txn, one, version=2), None, 'drop_version', True
    yield 'kind answer', request(txn, one, kind=2), None, 'drop_kind', True
    yield 'kind 0', request(txn, one, kind=0), None, 'drop_kind', True
    yield 'length too small', request(txn, one, length=81), None, 'drop_length', True
    yield 'length too large', request(txn, one, length=1400), None, 'drop_length', True
    yield 'unknown flag', request(txn, one, flags=0x8001), [wire.MALFORMED], 'refused_flags', False
    yield 'flag REFUSED', request(txn, one, flags=2), [wire.MALFORMED], 'refused_flags', False
    yield 'no operation', request(txn, []), [wire.MALFORMED], 'refused_ops', False
    yield ('more operations than stand there', request(txn, one, count=2), [wire.MALFORMED],
           'refused_ops', False)
    yield ('too many operations', request(txn, [get(b'm', 1)] * 41), [wire.MALFORMED],
           'refused_ops', False)
    yield ('bytes behind the operations', request(txn, one + [b'x' * 9], count=1),
           [wire.MALFORMED], 'refused_length', False)
    yield ('key longer than the packet', request(txn, [op(wire.GET, b'm')[:2] + b'\xff\x03' +
           op(wire.GET, b'm')[4:]]), [wire.MALFORMED], 'refused_ops', False)
    yield 'no key', request(txn, [op(wire.PUT, b'', b'1')]), [wire.MALFORMED], 'refused_key', False
    yield ('key of 1025 bytes', request(txn, [op(wire.GET, b'k' * 1025)]), [wire.MALFORMED],
           'refused_key', False)
    yield ('key on COMMIT', request(txn, [op(wire.COMMIT, b'k')]), [wire.MALFORMED],
           'refused_key', False)
    yield ('total that is not the data', request(txn, [op(wire.PUT, b'm', b'1', total=2)]),
           [wire.MALFORMED], 'refused_range', False)
    yield ('part off its granule', request(txn, [op(wire.PUT_PART, b'm', b'1' * 256, total=1024,
           offset=1)]), [wire.MALFORMED], 'refused_range', False)
    yield ('part beyond its total', request(txn, [op(wire.PUT_PART, b'm', b'1' * 256, total=256,
           offset=256)]), [wire.MALFORMED], 'refused_range', False)
    yield ('part from 4 GiB - 256', request(txn, [op(wire.PUT_PART, b'm', b'1' * 256, total=1024,
           offset=0xffffff00)]), [wire.MALFORMED], 'refused_range', False)
    yield ('data of 4 GiB - 1', request(txn, [op(wire.PUT, b'm', b'1', total=0xffffffff,
           want=0xffffffff)]), [wire.MALFORMED], 'refused_ops', False)
    yield ('operation flags', request(txn, [op(wire.GET, b'm', flags=1)]), [wire.MALFORMED],
           'refused_range', False)
    yield 'operation 0', request(txn, [op(0, b'm')]), [wire.UNSUPPORTED], 'refused_op', False
    yield 'operation 99', request(txn, [op(99, b'm')]), [wire.UNSUPPORTED], 'refused_op', False
    yield 'APPEND', request(txn, [op(wire.APPEND, b'm')]), [wire.UNSUPPORTED], 'refused_op', False
    yield ('COMMIT before a PUT', request(txn, [COMMIT] + one), [wire.MALFORMED], 'refused_ops',
           False)
    yield 'UUIDv4', request(bytes(bad_id), one), [wire.MALFORMED], 'refused_id', False
    yield 'a tenant', request(txn, one, tenant=1), [wire.UNSUPPORTED], 'refused_tenant', False
    yield ('an authenticator', request(txn, one, auth=b'x' * 16), [wire.UNSUPPORTED],
           'refused_tenant', False)
    yield ('an incomplete value', request(txn, [op(wire.PUT_PART, b'm', b'1' * 256, total=1024)]),
           [wire.OK], 'put_parts', False)
    yield ('its commit', request(txn, [COMMIT], seq=1), [wire.INCOMPLETE], 'refused_incomplete',
           False)


def malformed_packets(tap, node, peer):
    """Each malformed packet is refused, counted under its reason, and changes nothing"""
    for name, packet, codes, counter, steer in malformed():
        read = node.steer_counters if steer else node.info
        before = read()[counter]
        peer.send(packet, peer.port)
        answer = peer.receive(0.1 if codes is None else 1)
        tap.equal(answer and answer.codes, codes, f'malformed: {name}')
        tap.equal(read()[counter] - before, 1, f'malformed: {name}: {counter}')
    tap.equal(peer.read(b'm'), [None], 'malformed: nothing was written')


def random_bytes(tap, node, peer):
    """2000 packets of random bytes behind a right header, and 2000 with one byte changed"""
    seed = int.from_bytes(os.urandom(4), 'little')
    random.seed(seed)
    tap.note(f'seed {seed}')
    good = request(new_id(), [put(b'z' * 20, b'v' * 30), get(b'z'), op(wire.STATUS)])
    for i in range(4000):
        if i % 2:
            body = random.randbytes(random.randrange(0, 1300))
            packet = request(new_id(), [body], count=random.randrange(0, 70))
        else:
            packet = bytearray(good)
            packet[random.randrange(len(packet))] ^= 1 << random.randrange(8)
        peer.send(bytes(packet), peer.port)
        if i % 50 == 0:
            time.sleep(0.002)
    while peer.receive(0.1):
        pass
    tap.ok(node.alive() and peer.read(b'zz') == [None], 'random: the node lives')


def one_run(tap, workers):
    with Node(workers=workers) as node:
        peer = node.peer()
        tap.note(f'{workers} worker(s)')
        for case in (retried_function, repeated_and_late, status_and_abort):
            tap.case(case, node, peer)
        if workers == 1:
            for case in (outside_the_window, disappearing_client, malformed_packets):
                tap.case(case, node, peer)
        tap.case(random_bytes, node, peer)
        peer.close()
        tap.equal(node.stop(), 0, 'clean stop')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    for workers in (1, 2):
        tap.case(one_run, workers)
    tap.done()


main()
