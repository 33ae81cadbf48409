#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose commit logs are in a Redis that is full, or that loses what it has acknowledged:
which promise breaks then, and that the node says so instead of going on with what is left. And one
that has its logs on a disk first."""
import os
import random
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f'{HERE}/../../lib', f'{HERE}/../../crash']
import redis_server  # noqa: E402
import wire  # noqa: E402
from engine_node import (await_ready, await_said, forget, get, keys_of, put, wait)  # noqa: E402
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from redis_server import Server  # noqa: E402
from storm import Storm, bad  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

SLOTS = 20000  # of three keys on average, and some pairs
STORM_S = 0.4
FULL_BYTES = 3 << 20  # beside what Redis itself takes


def refusal(node):
    """Why it does not start."""
    try:
        node.start()
    except Failed as failed:
        return str(failed)
    return f'it started: {node.ready}'


def full(tap):
    """Redis has no memory left, and gets more"""
    storm = Storm(random.getrandbits(32), SLOTS, 'fresh')
    try:
        with Server() as server, Node(**keys_of(server)) as node:
            used = int(server.cli('INFO', 'memory').split('used_memory:')[1].split()[0])
            server.cli('CONFIG', 'SET', 'maxmemory', used + FULL_BYTES)
            storm.say('load')
            await_said(node, 'the storage engine is full since')
            await_ready(503, 'the storage engine is full since')
            tap.ok('OOM' in node.said() and 'more of them get BUSY' in node.said(),
                   'the node says that its engine is full', node.said())
            tap.ok(node.info()['engine_full'] > 0, 'and counts it')
            server.cli('CONFIG', 'SET', 'maxmemory', 0)
            await_said(node, 'the storage engine is well again')
            before = node.info()['commits']
            wait(lambda: node.info()['commits'] > before + 50, 'commits to go on')
            storm.say('halt')
            loaded = storm.answer()
            checked = storm.ask('all')
            tap.ok(not bad(checked) and not loaded['fractured'],
                   'when it has memory again all goes on, and nothing was lost', bad(checked),
                   loaded)
            await_ready(200)
    finally:
        storm.close()


def forgets(tap):
    """Redis without persistence is restarted, under a node and between two runs"""
    with Server() as server, Node(**keys_of(server)) as node:
        tap.equal(put(node, b'k'), wire.OK, 'a commit is acknowledged')
        server.kill()
        server.start()
        await_said(node, 'has lost what it had acknowledged: the object node/id is gone')
        wait(lambda: put(node, b'l') == wire.LOG_FAILED, 'commits to be refused')
        tap.ok(True, 'a running node sees it and takes no more commits')
        tap.equal(get(node, b'k'), (wire.OK, b'v'), 'what is in memory is still read')
        await_ready(503, 'the commit log failed')
        tap.equal(node.stop(), 0, 'it stops')
        said = refusal(node)
        tap.ok('has lost what it had acknowledged: nothing is there, but this node\'s commits were'
               in said, 'it does not start again', said)
        server.cli('FLUSHALL')
        os.unlink(f'{node.keys["state_dir"]}/engine')
        node.start()
        tap.equal(get(node, b'k')[0], wire.NOT_FOUND, 'but with nothing, if it is told so')


def groups_of(server, log):
    """The objects of its groups, in their order."""
    return sorted(key for key in server.cli('KEYS', f'*{{log-{log:03}-*}}:*').split())


def loses_some(tap):
    """Redis loses a single object, of many"""
    with Server() as server, Node(cache='4096', checkpoint='0', **keys_of(server)) as node:
        for i in range(20):
            put(node, b'k%d' % i, b'%d' % i * 500)
        groups = groups_of(server, 0)
        tap.ok(20 <= len(groups) <= 22, 'each commit is an object', groups)
        tap.equal(server.cli('UNLINK', groups[5]), '1', 'one is lost')
        answers = [get(node, b'k%d' % i)[0] for i in range(20)]
        tap.equal(sorted(answers), [wire.OK] * 19 + [wire.CORRUPT],
                  'a value that is gone is never taken for another: CORRUPT')
        await_said(node, '1 values that were read are damaged')
        node.kill()
        said = refusal(node)
        tap.ok('log-000' in said and 'segment 0000000' in said, 'a start refuses the gap', said)


def behind(tap):
    """engine-ack = log: commits do not wait for Redis; then the disk is lost"""
    storm = Storm(random.getrandbits(32), SLOTS, 'fresh')
    try:
        with Server(files=True) as server, \
                Node(**keys_of(server, engine_ack='log')) as node:
            storm.say('load')
            time.sleep(STORM_S)
            server.kill()
            await_said(node, 'commits go on until engine-lag is used up')
            before = node.info()['commits']
            wait(lambda: node.info()['commits'] > before + 20, 'commits to go on without Redis')
            tap.ok(node.info()['engine_lag_bytes'] > 0, 'commits go on while Redis is down')
            tap.equal([await_ready(200)], [None], 'and the node is ready')
            node.kill()
            storm.say('halt')
            loaded = storm.answer()
            server.start()
            node.start()
            checked = storm.ask('check')
            tap.ok(not bad(checked), 'killed meanwhile, it has all on its disk', bad(checked),
                   loaded)
            wait(lambda: node.info()['engine_lag_bytes'] == 0, 'Redis to have it, too')
            node.kill()
            forget(node)
            said = refusal(node)
            tap.ok('has the logs of another data directory' in said,
                   'a new disk is not taken for the old one', said)
            shutil.rmtree(node.keys['data_dir'])
            node.keys['engine_ack'] = 'storage'
            node.start()
            tap.equal(bad(storm.ask('all')), {}, 'from Redis alone all is there')
    finally:
        storm.close()


def unfenced(tap):
    """An engine that would take a second node's writes is told of"""
    with Node(engine='memory:?conditional=no') as node:
        tap.ok('nothing keeps a second node out' in node.said(), 'the node says so', node.said())
        tap.equal(put(node, b'k'), wire.OK, 'and serves')
    with Node(engine='memory:') as node:
        tap.ok('nothing keeps' not in node.said(), 'of others it does not', node.said())


def behind_stops(tap):
    """engine-ack = log: a stop while Redis is down"""
    with Server(files=True) as server, Node(**keys_of(server, engine_ack='log')) as node:
        server.kill()
        tap.equal(put(node, b'k'), wire.OK, 'a commit does not wait for Redis')
        await_said(node, 'the storage engine does not answer since')
        begin = time.monotonic()
        status = node.stop()
        took = time.monotonic() - begin
        tap.ok(status == 0 and took < 8, 'nor does a stop', f'{status} after {took:.1f} s')
        tap.ok('what it lacks is on the disk, and the next start brings it over' in node.said(),
               'the node says what is missing', node.said())
        server.start()
        node.start()
        wait(lambda: node.info()['engine_lag_bytes'] == 0, 'Redis to have it')
        node.kill()
        forget(node)
        node.keys['engine_ack'] = 'storage'
        node.start()
        tap.equal(get(node, b'k'), (wire.OK, b'v'), 'which it does')


CASES = (unfenced, full, forgets, loses_some, behind, behind_stops)


def main():
    reason = missing() or redis_server.missing()
    if reason:
        skip_all(reason)
    enter_namespace()
    tap = Tap()
    for case in CASES:
        if len(sys.argv) < 2 or case.__name__ in sys.argv[1:]:
            begin = time.monotonic()
            tap.case(case)
            tap.note(f'{case.__name__}: {time.monotonic() - begin:.1f} s')
    tap.done()


if __name__ == '__main__':
    main()
