#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose real disk fails, gets stuck, fills up, or becomes read-only: what was acknowledged
is never lost, nothing is acknowledged that is not durable, and reads go on where they can."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import bad_disk  # noqa: E402
from bad_disk import BadDisk  # noqa: E402
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402

MIB = 1 << 20
LOG_FAILED = 16


def value(key, generation=0):
    return (key * 40)[:300] + b'%d' % generation


def fill(peer, count, generation=0):
    """Writes count keys; returns what each commit came to."""
    return [peer.write({b'k%d' % i: value(b'k%d' % i, generation)}) for i in range(count)]


def read_back(tap, peer, have, name):
    """`have`: key to the generations that it may have."""
    wrong = []
    for i, generations in have.items():
        err, got = peer.read(b'k%d' % i)
        if err != 0 or got not in [value(b'k%d' % i, g) for g in generations]:
            wrong.append((i, err, got and got[-8:]))
    tap.equal(wrong, [], name)


def wait_for(node, condition, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not condition(info := node.info()) and time.monotonic() < end:
        time.sleep(0.05)
    return info


def failing_writes(tap):
    """EIO on writes"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data') as node:
        with client.Client(timeout_ms=1500) as peer:
            tap.equal(set(fill(peer, 50)), {0}, 'EIO: 50 commits before')
            with disk.failing('write'):
                errors = fill(peer, 5, 1)
                tap.ok(0 not in errors, 'EIO: no commit is acknowledged', errors)
                tap.equal(errors[-1], LOG_FAILED, 'EIO: LOG_FAILED')
                read_back(tap, peer, {i: (0,) for i in range(50)}, 'EIO: reads go on')
            tap.equal(fill(peer, 1, 1), [LOG_FAILED], 'EIO: stays so when the disk is well')
            tap.ok(node.info()['log_failed'] > 0, 'EIO: counted')
        node.stop()
        node.start()
        with client.Client(timeout_ms=2000) as peer:
            allowed = {i: (0, 1) if i < 5 else (0,) for i in range(50)}
            read_back(tap, peer, allowed, 'EIO: after a restart all that was acknowledged is there')
            tap.equal(set(fill(peer, 20, 2)), {0}, 'EIO: and commits are taken again')
            read_back(tap, peer, {i: (2,) for i in range(20)}, 'EIO: and read')


def stuck_device(tap):
    """A device that does not answer for seconds"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data') as node:
        with client.Client(timeout_ms=700) as peer:
            tap.equal(set(fill(peer, 20)), {0}, 'stuck: 20 commits before')
            with disk.stuck():
                errors = fill(peer, 3, 1)
                tap.ok(0 not in errors, 'stuck: no commit is acknowledged', errors)
                read_back(tap, peer, {i: (0,) for i in range(20)}, 'stuck: reads go on')
                info = wait_for(node, lambda info: info.get('log_stalled_ms', 0) > 0)
                tap.ok(info.get('log_stalled_ms', 0) >= 1000, 'stuck: the node says so', info)
            info = wait_for(node, lambda info: info.get('log_stalled_ms', 0) == 0)
            tap.equal(info.get('log_stalled_ms'), 0, 'stuck: and says when it is over')
        with client.Client(timeout_ms=5000) as peer:
            tap.equal(set(fill(peer, 20, 2)), {0}, 'stuck: commits go on by themselves')
            read_back(tap, peer, {i: (2,) for i in range(20)}, 'stuck: and are read')


def full_disk(tap):
    """A disk that fills up, and is emptied again"""
    with BadDisk(mib=256) as disk, Node(data_dir=f'{disk.mount}/data') as node:
        with client.Client(timeout_ms=2000) as peer:
            tap.equal(set(fill(peer, 20)), {0}, 'full: 20 commits before')
            with open(f'{disk.mount}/other', 'wb') as other:
                try:
                    while True:
                        os.write(other.fileno(), bytes(MIB))
                except OSError:
                    pass
            error, written = 0, 0
            while error == 0 and written < 200:
                error = peer.write({b'big%d' % (written % 8): bytes(MIB // 2)})
                written += 1
            tap.equal(error, client.NO_SPACE, f'full: NO_SPACE after {written} halves of a MiB')
            read_back(tap, peer, {i: (0,) for i in range(20)}, 'full: reads go on')
            os.unlink(f'{disk.mount}/other')
            end = time.monotonic() + 10
            while (error := peer.write({b'k0': value(b'k0', 1)})) and time.monotonic() < end:
                time.sleep(0.1)
            tap.equal(error, 0, 'full: with room again commits are taken, without a restart')
            read_back(tap, peer, {0: (1,), 1: (0,)}, 'full: and read')


def read_only(tap):
    """A file system that becomes read-only under the node"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data') as node:
        with client.Client(timeout_ms=1500) as peer:
            tap.equal(set(fill(peer, 20)), {0}, 'read-only: 20 commits before')
            disk.remount('abort')
            errors = fill(peer, 3, 1)
            read_back(tap, peer, {i: (0, 1) if i < 3 else (0,) for i in range(20)},
                      f'read-only: reads go on, commits said {errors}')
        node.stop()
        try:
            node.start()
            tap.ok(False, 'read-only: the node does not start')
        except Failed as failed:
            tap.ok('Read-only' in str(failed), 'read-only: a start says why it cannot', failed)


def main():
    why = missing() or bad_disk.missing()
    if why:
        skip_all(why)
    enter_namespace()
    tap = Tap()
    for case in (failing_writes, stuck_device, full_disk, read_only):
        tap.case(case)
    tap.done()


if __name__ == '__main__':
    main()
