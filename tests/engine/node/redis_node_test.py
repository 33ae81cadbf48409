#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose commit logs are in Redis: what was acknowledged survives the node, its host and
Redis's own deaths; only one node writes; the node says what it waits for and goes on by itself."""
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f'{HERE}/../../lib', f'{HERE}/../../crash']
import redis_server  # noqa: E402
import wire  # noqa: E402
from engine_node import (OtherNode, await_ready, await_said, files_of,  # noqa: E402
                         forget, get, keys_of, metric, put, wait)
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from redis_server import Server  # noqa: E402
from storm import Storm, bad  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

PASSWORD = 'correct-horse'
SLOTS = 20000  # of three keys on average, and some pairs
ROUNDS = 3
STORM_S = 0.4
DOWN_S = 4


def survives(tap, server):
    """kill -9 under load, and a host that forgets: what was acknowledged is there"""
    storm = Storm(random.getrandbits(32), SLOTS, 'fresh')
    acknowledged = unknown = 0
    try:
        with Node(**keys_of(server)) as node:
            tap.ok(server.url() in node.ready, 'the node says where its logs are', node.ready)
            for number in range(ROUNDS):
                storm.say('load')
                time.sleep(STORM_S)
                node.kill()
                storm.say('halt')
                loaded = storm.answer()
                if number % 2:
                    forget(node)
                node.start()
                checked = storm.ask('check')
                tap.ok(not bad(checked) and not loaded['fractured'],
                       f'round {number}: {checked["checked"]} transactions are whole', bad(checked),
                       loaded, node.ready)
                acknowledged += loaded['acknowledged']
                unknown += loaded['unknown']
            tap.equal(bad(storm.ask('all')), {}, 'in the end: all slots')
            tap.ok(acknowledged > 100 * ROUNDS and unknown > ROUNDS, 'there was load, and kills '
                   'met it', f'{acknowledged} acknowledged, {unknown} not')
            own = [name for name in files_of(node) if not name.startswith('state/')]
            tap.equal(own, [], 'but for state nothing is on the node\'s host')
            counted(tap, node)
            tap.equal(node.stop(), 0, 'a clean stop')
            tap.ok(PASSWORD not in node.said(), 'the password is never said')
    finally:
        storm.close()


def counted(tap, node):
    """What was asked of the engine is counted in every place"""
    before = node.info()
    for i in range(10):
        put(node, b'counted%d' % i)
    after = node.info()
    puts = after['engine_puts'] - before['engine_puts']
    trips = after['engine_round_trips'] - before['engine_round_trips']
    groups = after['log_groups'] - before['log_groups']
    # A look at node/id may come between, or a segment that is made.
    tap.ok(groups == 10 and 10 <= puts <= 12, 'a commit is one object',
           f'{puts} puts, {groups} groups')
    tap.ok(10 <= trips <= 14, 'written in one round trip', f'{trips} round trips')
    tap.equal([after['engine_failed'], after['engine_failing_us'], after['engine_why'].strip(),
               after['engine_name'].strip()], [0, 0, '-', 'redis'], 'and all is well')
    wait(lambda: metric(node, 'abaft_engine_puts_total') >= after['engine_puts'],
         'the map to have as many')
    tap.ok(metric(node, 'abaft_engine_puts_total') <= node.info()['engine_puts'],
           'the map has no more than the node')
    tap.equal([metric(node, 'abaft_engine_failing_seconds'), metric(node, 'abaft_engine_error')],
              [0, 0], 'Prometheus sees it, too')


def it_comes_later(node, server):
    await_ready(503, 'starting: the storage engine does not answer since')
    await_said(node, 'starting: the storage engine does not answer since')
    server.start()


def ends_by_sigterm(node):
    """Its exit status, and how long that took."""
    await_ready(503, 'does not answer')
    begin = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    return node.process.wait(10), time.monotonic() - begin


def down_at_start(tap, server):
    """The engine is down when the node starts"""
    server.kill()
    with Node(start=False, **keys_of(server, 'later')) as node:
        node.start(meanwhile=lambda: it_comes_later(node, server))
        await_ready(200)
        tap.ok('starting: the storage engine is well again' in node.said(),
               'the node waits, says so, and goes on when the engine is there', node.said())
        tap.equal(put(node, b'k'), wire.OK, 'then it serves')
        tap.equal(node.stop(), 0, 'and stops')
        server.kill()
        ended = []
        try:
            node.start(meanwhile=lambda: ended.extend(ends_by_sigterm(node)))
        except Failed:
            pass
        tap.ok(ended and ended[0] == 0 and ended[1] < 5, 'SIGTERM ends a node that waits', ended,
               node.said())
        tap.ok('stopping (Terminated)' in node.said(), 'and it says so', node.said())
    server.start()


def refused_at_start(tap, server):
    """Wrong credentials end a start with a sentence"""
    server.write_credentials(password='horse-battery')
    node = Node(start=False, **keys_of(server))
    try:
        node.start()
        tap.ok(False, 'the node started with a wrong password')
    except Failed as failed:
        said = str(failed)
        tap.ok('the storage engine refuses us' in said, 'the reason is told', said)
        tap.ok('horse' not in said, 'without the password', said)
    finally:
        server.write_credentials()
        node.close()


def fenced(tap, server):
    """A second node takes over the first one's logs"""
    with Node(**keys_of(server, 'shared')) as first, \
            OtherNode(start=False, **keys_of(server, 'shared')) as second:
        tap.equal(put(first, b'k', b'of the first'), wire.OK, 'the first one commits')
        second.start()
        tap.equal(get(second, b'k'), (wire.OK, b'of the first'),
                  'the second one has what was acknowledged')
        tap.equal([put(first, b'k', b'late'), put(first, b'l')], [wire.LOG_FAILED] * 2,
                  'then the first one\'s commits get LOG_FAILED')
        await_said(first, 'another node has taken over the commit logs')
        tap.equal(get(first, b'k'), (wire.OK, b'of the first'), 'but it still reads')
        tap.equal([put(second, b'k', b'of the second'), get(second, b'k')],
                  [wire.OK, (wire.OK, b'of the second')], 'and the second one commits')
        await_ready(503, 'the commit log failed')
        first.stop()
        second.kill()
        second.start()
        tap.equal(get(second, b'k'), (wire.OK, b'of the second'), 'as is seen after its restart')


def down_under_load(tap, server):
    """The engine is down for a while under load: BUSY, then all goes on by itself"""
    storm = Storm(random.getrandbits(32), SLOTS, 'fresh')
    try:
        with Node(**keys_of(server, 'down')) as node:
            storm.say('load')
            time.sleep(STORM_S)
            server.kill()
            await_ready(503, 'the storage engine does not answer since')
            await_said(node, 'commits wait, and more of them get BUSY')
            stalled = node.info()['log_records']
            wait(lambda: node.info()['engine_failing_us'] > DOWN_S * 1e6, 'it to be down for long')
            info = node.info()
            tap.ok(info['log_records'] - stalled < 200 and info['engine_why'].strip() != '-',
                   'commits wait meanwhile', info)
            tap.equal(get(node, b'not there')[0], wire.NOT_FOUND, 'and reads do not')
            server.start()
            await_said(node, 'the storage engine is well again')
            await_ready(200)
            before = node.info()['commits']
            wait(lambda: node.info()['commits'] > before + 100, 'commits to go on')
            storm.say('halt')
            loaded = storm.answer()
            checked = storm.ask('check')
            tap.ok(not bad(checked) and not loaded['fractured'], 'nothing was lost', bad(checked),
                   loaded)
            tap.ok(loaded['acknowledged'] > 200, 'there was load', loaded)
            node.kill()
            forget(node)
            node.start()
            tap.equal(bad(storm.ask('all')), {}, 'nor is it after a restart')
    finally:
        storm.close()


def stops_while_down(tap, server):
    """SIGTERM while the engine is down: a bounded end that says what was not acknowledged"""
    with Node(**keys_of(server, 'stop')) as node:
        put(node, b'k')
        server.kill()
        tap.equal([put(node, b'l'), put(node, b'm')], [None, None], 'commits wait')
        begin = time.monotonic()
        process = node.process
        status = node.stop()
        took = time.monotonic() - begin
        tap.ok(status == 1 and took < 15, 'the node ends', f'status {status} after {took:.1f} s',
               process, node.said())
        tap.ok('2 commits in flight were not acknowledged' in node.said(), 'and says that two '
               'commits were not acknowledged', node.said())
        server.start()
        node.start()
        tap.equal(get(node, b'k'), (wire.OK, b'v'), 'the one before is there')


CASES = (survives, refused_at_start, fenced, down_under_load, stops_while_down, down_at_start)


def main():
    reason = missing() or redis_server.missing()
    if reason:
        skip_all(reason)
    enter_namespace()
    tap = Tap()
    with Server(password=PASSWORD, files=True) as server:
        for case in CASES:
            if len(sys.argv) < 2 or case.__name__ in sys.argv[1:]:
                begin = time.monotonic()
                tap.case(case, server)
                tap.note(f'{case.__name__}: {time.monotonic() - begin:.1f} s')
    tap.done()


if __name__ == '__main__':
    main()
