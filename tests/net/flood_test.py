#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""flood_test.py - floods of garbage, of transactions that are opened and never go on, and of parts
that ask for much memory, while honest clients work: these commit as ever, each refusal is counted,
memory stays, and afterwards all is as before. bench/hostile measures how much is left of them.

    flood_test.py FLOOD   the program built from flood.c"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import client  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
import wire  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
TXNS, MEMORY = 256, '64M'
FLOOD_S, LOAD_S = 5, 3
RATE = 15000
REFUSALS = ('refused_flags', 'refused_ops', 'refused_id', 'refused_tenant')
DROPS = ('drop_short', 'drop_magic', 'drop_version', 'drop_kind', 'drop_length')


def start(*command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            preexec_fn=nodes._die_with_parent)


def rss_kib(node):
    with open(f'/proc/{node.pid}/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmRSS'))


def honest(prefix, seconds, history):
    return start(ABAFT, 'load', '-q', '-k', '500', '-b', '400', '-c', '8', '-s', str(seconds), '-t',
                 '5000', '-w', 'json', '--prefix', prefix, '--history', history)


def retried(library, function):
    """Runs a transaction as a platform does: again, with the same id and a later attempt, when it
    was displaced, which can happen only once."""
    id = wire.new_id()
    for attempt in range(2):
        with library.txn(id=id, attempt=attempt) as txn:
            err, value = function(txn)
            err = err or txn.commit()
        if err != client.UNKNOWN_TXN:
            break
    return err, value


def big_values(t, name):
    """Large values, whose first part is a first operation, too"""
    with client.Client(timeout_ms=5000) as library:
        value = os.urandom(700000)
        keys = [b'big-%d' % i for i in range(5)]
        errors = [retried(library, lambda txn: (txn.put(key, value), None))[0] for key in keys]
        t.equal(errors, [client.OK] * 5, f'{name}: values of 700 KB are written')
        same = [retried(library, lambda txn: txn.get(key)) == (client.OK, value) for key in keys]
        t.equal(same, [True] * 5, f'{name}: and read')


def flooded(t, node, kind, counters, drops=()):
    """One kind of flood"""
    history = f'{node.dir}/history-{kind}'
    before, before_steer, before_kib = node.total(*counters), node.steer_counters(), rss_kib(node)
    flood = start(sys.argv[1], '127.0.0.1', '7400', str(node.workers), kind, str(RATE),
                  str(FLOOD_S))
    time.sleep(0.5)
    load = honest(f'{kind}-', LOAD_S, history)
    big_values(t, kind)
    kib = rss_kib(node)
    result = json.loads(load.communicate(timeout=90)[0])
    sent = int(flood.communicate(timeout=30)[0])
    during = [after - b for after, b in zip(node.total(*counters), before)]
    t.ok(sent > FLOOD_S * RATE / 20, f'{kind}: {sent} packets came')
    t.ok(result['committed'] > 100, f'{kind}: honest clients committed {result["committed"]}',
         result)
    t.equal([result['failed'], result['unknown']], [0, 0], f'{kind}: all that they began')
    for name, number in zip(counters, during):
        t.ok(number > 0, f'{kind}: {name} {number}')
    for name in drops:
        number = node.steer_counters()[name] - before_steer[name]
        t.ok(number > 0, f'{kind}: {name} {number}')
    t.ok(kib - before_kib < 16384, f'{kind}: {kib - before_kib} KiB more memory')
    done = subprocess.run([ABAFT, 'check', history], stdout=subprocess.PIPE, text=True, timeout=60)
    t.equal(done.returncode, 0, f'{kind}: no anomaly')
    return during


def floods(t):
    """Floods, one after the other, and the time after them"""
    with nodes.Node(workers=2, port='afxdp:lo', txns=TXNS, memory=MEMORY, deadline='20s') as node:
        # What the node touches when it works is in memory before the measured time.
        honest('warm-', 2, f'{node.dir}/history-warm').communicate(timeout=90)
        big_values(t, 'before')
        t.case(flooded, node, 'garbage', REFUSALS, DROPS)
        t.case(flooded, node, 'first', ('opened', 'displaced'))
        t.case(flooded, node, 'reserve', ('opened', 'displaced'))
        t.equal(node.total('busy_memory'), 0, 'memory never lacked')
        t.ok(node.total('txns_open') <= node.workers * TXNS, 'open transactions are bounded')
        after = honest('after-', 2, f'{node.dir}/history-after')
        result = json.loads(after.communicate(timeout=90)[0])
        t.ok(result['committed'] > 100 and result['failed'] == 0, 'afterwards clients commit',
             result)
        big_values(t, 'after')
        t.equal(node.stop(), 0, 'it stops well')
        node.start()
        t.equal(node.peer().write({b'again': b'1'}), 0, 'and starts again')


reason = nodes.missing()
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
t = tap.Tap()
t.case(floods)
t.done()
