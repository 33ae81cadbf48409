#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Values that no memory is left for: they are read back from the node's disk, checked, also after a
restart; and damaged ones are told, not served."""
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402
import wire  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
KEYS = 90
MIB = 1 << 20


def value_of(i):
    size = MIB if i % 10 == 0 else 153 + 8001 * i
    block = b'%d|' % i * 50
    return (block * (size // len(block) + 1))[:size]


def all_come_back(tap, node, when):
    """Every value is what was written, and most had left memory"""
    before = node.total('fetches', 'cache_misses')
    with client.Client() as peer:
        wrong = [i for i in range(KEYS) if peer.read(b'key-%d' % i) != (0, value_of(i))]
    after = node.total('fetches', 'cache_misses')
    tap.equal(wrong, [], f'{when}: every value is right')
    tap.ok(after[0] - before[0] > KEYS / 2 and after[1] > before[1],
           f'{when}: most came from disk', f'{before} {after}')


def many_at_once(tap, node):
    """One transaction reads several in one packet; they wait together"""
    raw = node.peer()
    gets = [wire.op(wire.GET, b'key-%d' % i, want=64) for i in range(21, 29)]
    answer = raw.ask(wire.new_id(), *gets, wire.op(wire.COMMIT))
    raw.close()
    tap.equal([r.data for r in answer.results[:-1]], [value_of(i)[:64] for i in range(21, 29)],
              'eight values in one answer')


def no_fetch_fails(tap, node):
    names = ('fetches_failed', 'fetches_corrupt', 'fetch_timeouts', 'busy_fetches')
    tap.equal(node.total(*names), [0] * len(names), 'no read failed')


def damage(node, needle):
    """Turns a bit in the only place where these bytes stand; its file."""
    for path in sorted(glob.glob(f'{node.dir}/data/log-*/seg-*')):
        with open(path, 'r+b') as file:
            at = file.read().find(needle)
            if at >= 0:
                file.seek(at + len(needle) // 2)
                byte = file.read(1)[0]
                file.seek(at + len(needle) // 2)
                file.write(bytes([byte ^ 1]))
                file.flush()
                os.fsync(file.fileno())
                return os.path.relpath(path, f'{node.dir}/data')
    return None


def damaged_is_told(tap, node):
    """A value whose bytes on disk have changed is CORRUPT, and status says where it stands"""
    where = damage(node, value_of(7))
    tap.ok(where is not None, 'its bytes stand in a segment')
    with client.Client() as peer:
        for i in range(30, 45):  # what was read last leaves
            peer.read(b'key-%d' % i)
        err = peer.read(b'key-7')[0]
        tap.equal(err, 21, 'CORRUPT')
        tap.equal(peer.read(b'key-8'), (0, value_of(8)), 'others are served')
    said = subprocess.run([ABAFT, 'status'], stdout=subprocess.PIPE, timeout=30, check=False)
    key = b'key-7'.hex()
    tap.ok(f'key {key} (hexadecimal), in {where} at byte ' in said.stdout.decode(),
           'abaft status says which and where', said.stdout.decode()[-300:])
    with client.Client() as peer:
        tap.equal([peer.write({b'key-7': b'new'}), peer.read(b'key-7')], [0, (0, b'new')],
                  'written anew it is whole')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    with Node(workers=2, memory='24M') as node:
        with client.Client() as peer:
            for i in range(KEYS):
                err = peer.write({b'key-%d' % i: value_of(i)})
                if err:
                    tap.ok(False, f'write {i}', client.name(err))
        tap.ok(node.total('cache_evictions') > KEYS / 2, 'values have left memory')
        tap.case(all_come_back, node, 'first')
        tap.case(many_at_once, node)
        tap.case(no_fetch_fails, node)
        node.kill()
        node.start()
        tap.case(all_come_back, node, 'after a crash')
        tap.case(no_fetch_fails, node)
        tap.case(damaged_is_told, node)
        tap.equal(node.stop(), 0, 'clean stop')
    tap.done()


main()
