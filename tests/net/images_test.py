#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Data directories of older programs (tests/images) under this daemon: it starts on them, serves
every value, takes new ones, and starts once more."""
import os
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Node, ROOT, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402

IMAGES = ['format-1-closed', 'format-1-killed']


def expected(name):
    """What is to be there: a key's length and sum, or None if it was deleted."""
    keys = {}
    with open(f'{ROOT}/tests/images/{name}.txt') as file:
        for words in map(str.split, file):
            if words[0] == 'value':
                keys[words[1].encode()] = (int(words[2]), int(words[3], 16))
            elif words[0] == 'deleted':
                keys[words[1].encode()] = None
    return keys


def wrong(peer, keys):
    """The keys that do not read as they should."""
    found = []
    for key, want in keys.items():
        code, value = peer.read(key)
        good = code == client.NOT_FOUND if want is None else (
            code == 0 and (len(value), zlib.crc32(value)) == want)
        if not good:
            found.append(key)
    return found


def image_is_served(tap, name):
    keys = expected(name)
    with Node(start=False, workers=2) as node:
        data = node.keys['data_dir']
        os.makedirs(data)
        subprocess.run(['tar', '-xJf', f'{ROOT}/tests/images/{name}.tar.xz', '-C', data],
                       check=True)
        node.start()
        with client.Client() as peer:
            bad = wrong(peer, keys)
            tap.ok(len(keys) > 80 and not bad, f'{name}: {len(keys)} keys read as they were left',
                   bad)
            tap.equal(peer.write({b'new': b'x' * 5000, b'other': b'y'}), 0, f'{name}: takes more')
        node.kill()
        with open(f'{data}/abaft.id') as file:
            tap.ok('format 2' in file.read(), f'{name}: is marked as of format 2')
        node.start()
        with client.Client() as peer:
            bad = wrong(peer, keys)
            tap.ok(not bad, f'{name}: and so after a kill', bad)
            tap.equal(peer.read(b'new'), (0, b'x' * 5000), f'{name}: with what was added')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    enter_namespace()
    tap = Tap()
    for name in IMAGES:
        image_is_served(tap, name)
    tap.done()


main()
