#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes an image: a data directory as the daemon of this tree leaves it, and what must be in it.

    make.py closed|killed|cleaned DIRECTORY

writes DIRECTORY/NAME.tar.xz and NAME.txt. Runs the daemon and the abaft command of this tree's
build (or $ABAFTD, $ABAFT) as root. README.md tells which program made which image.
"""
import json
import os
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Node, ROOT, enter_namespace  # noqa: E402
import wire  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
SEGMENT_BYTES = 8 << 20  # the shortest a daemon makes


def text(key, times):
    """A value that xz makes small, and that no other key has."""
    return f'{key}/{times} '.encode() * times


class Writer:
    """Runs transactions, and knows what they leave."""

    def __init__(self):
        self.values = {}
        self.outcomes = {}
        self.open = []  # sent, and not answered

    def commit(self, writes):
        """Writes by the abaft command; None deletes. It is acknowledged when this returns."""
        txn = subprocess.run([ABAFT, 'txn', '--new-id'], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
        script = ''
        for key, value in writes.items():
            script += f'del {key}\n' if value is None else f"put {key} '{value.decode()}'\n"
        subprocess.run([ABAFT, 'txn', '-i', txn], input=script + 'commit\n', check=True, text=True,
                       stdout=subprocess.DEVNULL)
        self.outcomes[txn] = 'commit'
        self.values.update(writes)

    def abort(self, key):
        txn = subprocess.run([ABAFT, 'txn', '--new-id'], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
        subprocess.run([ABAFT, 'txn', '-i', txn], input=f'put {key} never\nabort\n', check=True,
                       text=True, stdout=subprocess.DEVNULL)
        self.outcomes[txn] = 'abort'

    def throw(self, node, count):
        """Sends commits and waits for none."""
        peer = node.peer()
        for i in range(count):
            txn, key = wire.new_id(), f'thrown-{len(self.open)}'
            peer.send(wire.request(txn, [wire.put(key.encode(), text(key, 40)),
                                         wire.op(wire.COMMIT)]),
                      peer.port + wire.owner(txn, node.workers))
            h = txn.hex()
            self.open.append((f'{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}', key,
                              text(key, 40)))
        peer.close()

    def some(self, name, count):
        """What there is: small, large and empty values, several keys, overwritten, deleted."""
        for i in range(count):
            self.commit({f'{name}-small-{i}': text(f'{name}{i}', 5), f'{name}-empty-{i}': b''})
            self.commit({f'{name}-large-{i}': text(f'{name}{i}', 30 + 40 * i),
                         f'{name}-gone-{i}': b'here'})
            self.commit({f'{name}-gone-{i}': None, f'{name}-small-{i}': text(f'{name}{i}', 6)})
        self.abort(f'{name}-small-0')
        self.commit({f'{name}-{i}': text(f'{name}{i}', 9) for i in range(30)})

    def expected(self):
        lines = [f'{what} {txn}' for txn, what in self.outcomes.items()]
        for key, value in self.values.items():
            lines.append(f'deleted {key}' if value is None
                         else f'value {key} {len(value)} {zlib.crc32(value):08x}')
        return '\n'.join(sorted(lines)) + '\n'


def closed(node, writer):
    """Two logs of several segments, closed in good order."""
    writer.some('a', 4)
    for i in range(60):
        writer.commit({f'huge-{i % 5}': text(f'huge{i}', 30000)})
    writer.some('b', 2)
    node.stop()


def killed(node, writer):
    """Four logs of several runs, the last ones killed with commits in flight."""
    for workers in (3, 1, 4):
        node.keys['workers'] = workers
        if not node.alive():
            node.start()
        writer.some(f'run-{workers}', 2)
        writer.throw(node, 40)
        node.kill()


def numbers(node, log):
    return sorted(int(name[4:], 16) for name in os.listdir(f'{node.keys["data_dir"]}/{log}')
                  if len(name) == 12)


def cleaned(node, writer):
    """Two checkpoints, segments missing that were cleaned, kept writes behind the marks: killed."""
    writer.some('a', 4)
    writer.commit({f'gone-{i}': text(f'gone{i}', 60) for i in range(9)})
    writer.commit({f'gone-{i}': None for i in range(9)})
    end = time.monotonic() + 60
    rounds = 0
    while True:
        segments = numbers(node, 'log-000')
        info = node.info()
        if segments[0] > 0 and info['kept_bytes'] > 0 and rounds >= 100:
            break
        if time.monotonic() > end:
            raise TimeoutError(f'nothing was cleaned: {segments}, {info}')
        writer.commit({f'huge-{rounds % 5}': text(f'huge{rounds}', 30000),
                       f'stays-{rounds % 40}': text(f'stays{rounds}', 400)})
        rounds += 1
    writer.some('b', 2)
    writer.throw(node, 40)
    node.kill()


def settle(node, writer):
    """Which of the commits that were not answered are there, by the program that wrote them."""
    dump = subprocess.run([ABAFT, 'log', 'dump', '-j', node.keys['data_dir']], check=True,
                          text=True, stdout=subprocess.PIPE).stdout
    there = {row.get('txn') for row in map(json.loads, dump.splitlines())}
    for txn, key, value in writer.open:
        if txn in there:
            writer.outcomes[txn] = 'commit'
            writer.values[key] = value


def main():
    name, directory = sys.argv[1:]
    enter_namespace()
    writer = Writer()
    keys = {'closed': {'workers': 2}, 'killed': {'workers': 3},
            'cleaned': {'workers': 2, 'checkpoint': '8M', 'clean_below': 90, 'clean_rate': 0}}
    with Node(segment_size=SEGMENT_BYTES, **keys[name]) as node:
        {'closed': closed, 'killed': killed, 'cleaned': cleaned}[name](node, writer)
        settle(node, writer)
        path = f'{directory}/{name}'
        with open(f'{path}.txt', 'w') as file:
            file.write(writer.expected())
        subprocess.run(f'tar --sort=name --owner=0 --group=0 --numeric-owner --sparse -cf - '
                       f'-C {node.keys["data_dir"]} . | xz -9e > {path}.tar.xz', shell=True,
                       check=True)
    print(f'{name}: {len(writer.outcomes)} outcomes, {len(writer.values)} keys, '
          f'{os.path.getsize(path + ".tar.xz")} bytes')


main()
