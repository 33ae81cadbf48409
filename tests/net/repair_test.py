#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A damaged data directory is refused. `abaft log repair` makes one that a node starts on, and
says what was lost; all else reads right."""
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
KEYS = 60
DAMAGED = (10, 50)  # one before the checkpoint's mark, one behind it


def value_of(i):
    block = b'%d|' % i * 50
    return (block * (300000 // len(block) + 1))[:300000 + i]


def damage(data, needle):
    """Turns a bit in the place where these bytes stand."""
    for path in sorted(glob.glob(f'{data}/log-*/seg-*')):
        with open(path, 'r+b') as file:
            at = file.read().find(needle)
            if at >= 0:
                file.seek(at + len(needle) // 2)
                byte = file.read(1)[0]
                file.seek(at + len(needle) // 2)
                file.write(bytes([byte ^ 1]))
                return path
    return None


def log(*arguments):
    done = subprocess.run([ABAFT, 'log', *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout.decode()


def write(tap, keys):
    with client.Client() as peer:
        wrong = [i for i in keys if peer.write({b'key-%d' % i: value_of(i)}) != 0]
    tap.equal(wrong, [], 'written')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    with Node(workers=1, memory='24M') as node:
        write(tap, range(KEYS // 2))
        tap.equal(node.stop(), 0, 'clean stop, with a checkpoint')
        node.start()
        write(tap, range(KEYS // 2, KEYS))
        node.kill()
        data, to = node.keys['data_dir'], f'{node.dir}/repaired'
        code, said = log('repair', data, f'{node.dir}/whole')
        tap.equal(code, 0, 'a whole directory is copied')
        tap.ok(': whole, 0 places mended' in said, 'and said to be whole', said)
        for i in DAMAGED:
            tap.ok(damage(data, value_of(i)) is not None, f'value {i} is damaged')
        try:
            node.start()
            tap.ok(False, 'the damaged directory is refused')
        except Failed as failed:
            tap.ok('corruption in segment' in str(failed), 'the damaged directory is refused',
                   str(failed)[-300:])
        tap.equal(log('verify', data)[0], 1, 'verify finds it damaged')
        code, said = log('repair', data, to)
        tap.equal(code, 1, 'repaired')
        tap.equal(said.count(': from segment '), len(DAMAGED), 'each loss is told once')
        tap.ok('value lost: key "key-10"' in said, 'with the key', said)
        tap.equal(log('repair', data, to)[0], 6, 'never into a directory that is not empty')
        tap.equal(log('verify', to)[0], 0, 'verify finds the repaired one whole')
        node.keys['data_dir'] = to
        node.start()
        with client.Client() as peer:
            wrong = [i for i in range(KEYS) if i not in DAMAGED and
                     peer.read(b'key-%d' % i) != (0, value_of(i))]
            tap.equal(wrong, [], 'what was not damaged reads right')
            tap.equal(peer.read(b'key-10')[0], 21, 'the value before the mark is CORRUPT')
            tap.ok(peer.read(b'key-50')[1] in (None, b''), 'the commit behind it is not there')
            tap.equal([peer.write({b'key-10': b'new'}), peer.read(b'key-10')], [0, (0, b'new')],
                      'it can be written again')
        tap.equal(node.stop(), 0, 'clean stop')
    tap.done()


main()
