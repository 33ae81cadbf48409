#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose real disk fails, gets stuck, fills up, or becomes read-only: what was acknowledged
is never lost, nothing is acknowledged that is not durable, and reads go on where they can."""
import contextlib
import glob
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import bad_disk  # noqa: E402
from bad_disk import BadDisk  # noqa: E402
from node import ROOT, Failed, Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402
import wire  # noqa: E402

MIB = 1 << 20
ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
# Cold values: more than twice as many bytes as the cache holds.
COLD = {'cache': '256K', 'memory': '64M'}
COLD_KEYS = 200
# Cleaning: small checkpoints, and all that is garbage goes.
CLEAN = {'checkpoint': '4M', 'clean_below': 90, 'clean_rate': 0, 'cache': '1M', 'memory': '96M'}


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


def cold_value(i):
    return (b'cold-%d|' % i * 900)[:5000]


def fill_cold(peer):
    errors = {peer.write({b'cold-%d' % i: cold_value(i)}) for i in range(COLD_KEYS)}
    if errors != {0}:
        raise OSError(f'cold values: {errors}')


def reads_of(peer, keys=range(COLD_KEYS)):
    """What reads of cold values come to: each error, and how many were given right and wrong."""
    seen = {'right': 0, 'wrong': 0}
    for i in keys:
        err, got = peer.read(b'cold-%d' % i)
        name = err if err else 'right' if got == cold_value(i) else 'wrong'
        seen[name] = seen.get(name, 0) + 1
    return seen


def all_right(peer):
    return reads_of(peer) == {'right': COLD_KEYS, 'wrong': 0}


def status():
    """What `abaft status` prints."""
    return subprocess.run([ABAFT, 'status'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=30, check=False, text=True).stdout


def overwrite(peer, rounds, tag, keys=40, size=40000):
    """The same keys again and again, so that there is something to clean; the values that each key
    may have now, and what the last commit came to."""
    values = {}
    for n in range(rounds * keys):
        key = b'over-%d' % (n % keys)
        new = (b'%s-%d.' % (tag, n)).ljust(size, b'.')
        err = peer.write({key: new})
        if err:
            values.setdefault(key, []).append(new)  # not acknowledged: old or new
            return values, err
        values[key] = [new]
    return values, 0


def wrong_of(peer, values):
    return [key for key, may in values.items() if peer.read(key) not in [(0, v) for v in may]]


@contextlib.contextmanager
def filled_up(disk):
    """While inside, nobody gets any more room on the disk."""
    with open(f'{disk.mount}/other', 'wb') as other:
        for size in (MIB, 4096):
            with contextlib.suppress(OSError):
                while True:
                    os.write(other.fileno(), bytes(size))
    try:
        yield
    finally:
        os.unlink(f'{disk.mount}/other')


def place_of(node, needle):
    """The only place in the logs where these bytes stand: path and offset."""
    for path in sorted(glob.glob(f'{node.keys["data_dir"]}/log-*/seg-????????')):
        with open(path, 'rb') as file:
            at = file.read().find(needle)
        if at >= 0:
            return path, at
    raise LookupError(needle)


def rot(node, needle):
    """Turns one bit of it on disk; the file's place in the data directory."""
    path, at = place_of(node, needle)
    with open(path, 'r+b') as file:
        file.seek(at + len(needle) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
        file.flush()
        os.fsync(file.fileno())
    return os.path.relpath(path, node.keys['data_dir'])


def readyz():
    """What the node tells those who watch over it: (status, text)"""
    try:
        with urllib.request.urlopen('http://127.0.0.1:7400/readyz', timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def failing_writes(tap):
    """EIO on writes"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data') as node:
        with client.Client(timeout_ms=1500) as peer:
            tap.equal(set(fill(peer, 50)), {0}, 'EIO: 50 commits before')
            tap.equal(readyz(), (200, 'ready\n'), 'EIO: the node is ready before')
            with disk.failing('write'):
                errors = fill(peer, 5, 1)
                tap.ok(0 not in errors, 'EIO: no commit is acknowledged', errors)
                tap.equal(errors[-1], wire.LOG_FAILED, 'EIO: LOG_FAILED')
                read_back(tap, peer, {i: (0,) for i in range(50)}, 'EIO: reads go on')
            tap.equal(fill(peer, 1, 1), [wire.LOG_FAILED], 'EIO: stays so when the disk is well')
            tap.ok(node.info()['log_failed'] > 0, 'EIO: counted')
            wait_for(node, lambda _: readyz()[0] != 200)
            tap.equal(readyz(), (503, 'the commit log failed\n'), 'EIO: and no longer ready')
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
                info = wait_for(node, lambda info: info.get('log_stalled_us', 0) > 0)
                tap.ok(info.get('log_stalled_us', 0) >= 1000000, 'stuck: the node says so', info)
            info = wait_for(node, lambda info: info.get('log_stalled_us', 0) == 0)
            tap.equal(info.get('log_stalled_us'), 0, 'stuck: and says when it is over')
        with client.Client(timeout_ms=5000) as peer:
            tap.equal(set(fill(peer, 20, 2)), {0}, 'stuck: commits go on by themselves')
            read_back(tap, peer, {i: (2,) for i in range(20)}, 'stuck: and are read')


def full_disk(tap):
    """A disk that fills up, and is emptied again"""
    with BadDisk(mib=256) as disk, Node(data_dir=f'{disk.mount}/data', checkpoint=0) as node:
        with client.Client(timeout_ms=2000) as peer:
            tap.equal(set(fill(peer, 20)), {0}, 'full: 20 commits before')
            with filled_up(disk):
                error, written = 0, 0
                while error == 0 and written < 200:
                    error = peer.write({b'big%d' % (written % 8): bytes(MIB // 2)})
                    written += 1
                tap.equal(error, client.NO_SPACE, f'full: NO_SPACE after {written} halves of a MiB')
                read_back(tap, peer, {i: (0,) for i in range(20)}, 'full: reads go on')
                wait_for(node, lambda _: readyz()[0] != 200)
                tap.equal(readyz(), (503, 'no room for the commit log\n'),
                          'full: not ready for commits, and not failed')
            end = time.monotonic() + 10
            while (error := peer.write({b'k0': value(b'k0', 1)})) and time.monotonic() < end:
                time.sleep(0.1)
            tap.equal(error, 0, 'full: with room again commits are taken, without a restart')
            wait_for(node, lambda _: readyz()[0] == 200)
            tap.equal(readyz(), (200, 'ready\n'), 'full: and it is ready')
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


def cold_reads_fail(tap):
    """EIO on reads of cold values"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data', **COLD) as node:
        with client.Client(timeout_ms=1000) as peer:
            fill_cold(peer)
            peer.write({b'small': b'1'})
            tap.ok(all_right(peer), 'cold: all are read back')
            with disk.failing('read'):
                seen = reads_of(peer, range(5))
                tap.equal((seen.get(wire.READ_FAILED, 0), seen['wrong']), (5, 0),
                          f'cold: READ_FAILED under EIO: {seen}')
                tap.equal(peer.read(b'small'), (0, b'1'), 'cold: what is in memory is served')
                tap.equal(peer.write({b'new': b'2'}), 0, 'cold: commits are taken')
                info = node.info()
                tap.ok(info['log_read_errors'] > 0 and info['fetches_failed'] > 0,
                       'cold: counted', info)
            tap.ok(all_right(peer), 'cold: with the disk well all are read, without a restart')
            tap.equal(peer.read(b'new'), (0, b'2'), 'cold: and what was committed meanwhile')


def cold_reads_stick(tap):
    """A device that does not answer reads of cold values"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data', **COLD) as node:
        with client.Client(timeout_ms=2000) as peer, contextlib.closing(node.peer()) as raw:
            fill_cold(peer)
            last = b'cold-%d' % (COLD_KEYS - 1)
            peer.read(last)
            with disk.stuck():
                begin = time.monotonic()
                tap.equal(peer.read(last)[1], cold_value(COLD_KEYS - 1),
                          'stuck: a value in the cache is served')
                cached_s = time.monotonic() - begin
                begin = time.monotonic()
                answer = raw.call(wire.request(wire.new_id(), [wire.get(b'cold-0')]), 10)
                took_s = time.monotonic() - begin
                tap.equal(answer and answer.results[0].status, wire.READ_FAILED,
                          f'stuck: a cold one is READ_FAILED after {took_s:.1f} s')
                tap.note(f'the cached one took {cached_s * 1000:.1f} ms')
                tap.ok(node.info()['fetch_timeouts'] > 0, 'stuck: counted')
                tap.equal(peer.read(last)[1], cold_value(COLD_KEYS - 1),
                          'stuck: the cached one is still served')
            tap.ok(all_right(peer), 'stuck: all are read when it is over, without a restart')


def bit_rot(tap):
    """Bits that turn at rest, under a running node and between two runs"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data', **COLD) as node:
        with client.Client(timeout_ms=2000) as peer:
            fill_cold(peer)
            where = rot(node, cold_value(7))
            reads_of(peer, range(100, 160))  # nobody has it in the cache
            tap.equal(peer.read(b'cold-7'), (wire.CORRUPT, None), 'rot: CORRUPT, not wrong bytes')
            tap.equal(reads_of(peer, [i for i in range(COLD_KEYS) if i != 7]),
                      {'right': COLD_KEYS - 1, 'wrong': 0}, 'rot: all others are right')
            said = status()
            tap.ok(f'key {b"cold-7".hex()} ' in said and where in said,
                   'rot: status names key and segment', said[:900])
            tap.equal([peer.write({b'cold-7': cold_value(7)}), peer.read(b'cold-7')],
                      [0, (0, cold_value(7))], 'rot: written anew it is whole')
            tap.equal(node.stop(), 0, 'rot: stop')
            where = rot(node, cold_value(9))
            node.start()
            tap.equal(peer.read(b'cold-9'), (wire.CORRUPT, None),
                      'rot: between two runs: CORRUPT, not wrong bytes')
            tap.equal(reads_of(peer, [i for i in range(COLD_KEYS) if i != 9]),
                      {'right': COLD_KEYS - 1, 'wrong': 0}, 'rot: all others are right')
            tap.ok(where in status(), 'rot: status names the segment')


def cleaning_meets_eio(tap):
    """EIO on reads while segments are cleaned"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data', **CLEAN) as node:
        with client.Client(timeout_ms=3000) as peer:
            fill_cold(peer)
            values, error = overwrite(peer, 6, b'a')
            tap.equal(error, 0, 'cleaning, EIO: overwrites before')
            with disk.failing('read'):
                values, error = overwrite(peer, 8, b'b')
                tap.equal(error, 0, 'cleaning, EIO: commits go on')
                tap.equal(wrong_of(peer, {b'over-39': values[b'over-39']}), [],
                          'cleaning, EIO: cached values are read')
                end = time.monotonic() + 20
                # A victim is only read when there is enough to clean.
                while (info := node.info())['clean_read_errors'] == 0 and time.monotonic() < end:
                    values, error = overwrite(peer, 2, b'b')
                tap.ok(info['clean_read_errors'] > 0, 'cleaning, EIO: INFO says so', info)
            cleaned = node.info()['cleaned_segments']
            more, error = overwrite(peer, 10, b'c')
            values.update(more)
            tap.equal(error, 0, 'cleaning, EIO: commits after')
            info = wait_for(node, lambda info: info['cleaned_segments'] > cleaned, 30)
            tap.ok(info['cleaned_segments'] > cleaned, 'cleaning, EIO: goes on by itself', info)
            tap.equal(wrong_of(peer, values), [], 'cleaning, EIO: every value is right')
            tap.ok(all_right(peer), 'cleaning, EIO: cold ones, too')
            node.kill()
            node.start()
            tap.equal(wrong_of(peer, values), [], 'cleaning, EIO: also after a crash')
            tap.ok(all_right(peer), 'cleaning, EIO: cold ones, too, after a crash')


def checkpoint_meets_full_disk(tap):
    """A disk that is full when a checkpoint is due"""
    with BadDisk(mib=256) as disk, Node(data_dir=f'{disk.mount}/data', **CLEAN) as node:
        with client.Client(timeout_ms=3000) as peer:
            fill_cold(peer)
            values, error = overwrite(peer, 2, b'a')
            tap.equal(error, 0, 'checkpoint, full: overwrites before')
            failures = node.info()['checkpoint_failures']
            with filled_up(disk):
                more, error = overwrite(peer, 8, b'b')
                values.update(more)
                info = wait_for(node, lambda info: info['checkpoint_failures'] > failures)
                tap.ok(info['checkpoint_failures'] > failures and info['checkpoint_error'] == 28,
                       f'checkpoint, full: INFO says so; commits said {client.name(error)}', info)
                tap.ok('fault' in status(), 'checkpoint, full: and status')
                tap.equal(wrong_of(peer, values), [], 'checkpoint, full: reads go on')
            info = wait_for(node, lambda info: info['checkpoint_error'] == 0, 30)
            tap.equal(info['checkpoint_error'], 0, 'checkpoint, full: with room it is written')
            end = time.monotonic() + 20
            while (error := peer.write({b'k': b'1'})) and time.monotonic() < end:
                time.sleep(0.1)
            more, error = overwrite(peer, 2, b'c') if not error else ({}, error)
            values.update(more)
            tap.equal(error, 0, 'checkpoint, full: and commits are taken')
            tap.equal(wrong_of(peer, values), [], 'checkpoint, full: every value is right')
            node.kill()
            node.start()
            tap.equal(wrong_of(peer, values), [], 'checkpoint, full: also after a crash')
            tap.ok(all_right(peer), 'checkpoint, full: cold ones, too')


def writes_fail_in_cleaning(tap):
    """EIO on writes while the kept log and checkpoints are written"""
    with BadDisk() as disk, Node(data_dir=f'{disk.mount}/data', **CLEAN) as node:
        with client.Client(timeout_ms=1500) as peer:
            fill_cold(peer)
            values, error = overwrite(peer, 8, b'a')
            tap.equal(error, 0, 'keeper, EIO: overwrites before')
            with disk.failing('write'):
                more, error = overwrite(peer, 1, b'b')
                for key, may in more.items():
                    values[key] = values[key] + may
                tap.equal(error, wire.LOG_FAILED, 'keeper, EIO: LOG_FAILED')
                tap.equal(wrong_of(peer, values), [], 'keeper, EIO: reads go on')
                tap.ok('fault' in status(), 'keeper, EIO: status says so')
        node.kill()
        node.start()
        with client.Client(timeout_ms=3000) as peer:
            tap.equal(wrong_of(peer, values), [], 'keeper, EIO: all is there after a restart')
            tap.ok(all_right(peer), 'keeper, EIO: cold ones, too')
            more, error = overwrite(peer, 10, b'c')
            values.update(more)
            info = wait_for(node, lambda info: info['cleaned_segments'] > 0, 30)
            tap.ok(error == 0 and info['cleaned_segments'] > 0, 'keeper, EIO: and cleaned again')
            tap.equal(wrong_of(peer, values), [], 'keeper, EIO: every value is right')


def cleaning_is_all_the_room(tap):
    """A disk full by itself, log-bytes-max = 0: overwrites of many times its size"""
    with BadDisk(mib=192) as disk, Node(data_dir=f'{disk.mount}/data', **CLEAN) as node:
        with client.Client(timeout_ms=5000) as peer:
            fill_cold(peer)
            values, full = {}, 0
            end = time.monotonic() + 120
            for n in range(16):
                more, error = overwrite(peer, 20, b'%d' % n)
                values.update(more)
                while error == client.NO_SPACE and time.monotonic() < end:
                    full += 1
                    time.sleep(0.05)
                    more, error = overwrite(peer, 20, b'%d' % n)
                    values.update(more)
                if error:
                    break
            tap.equal(error, 0, f'no bound: 512 MB on a disk of 192, {full} times full')
            info = node.info()
            tap.ok(info['log_recycled'] > 0 and info['cleaned_segments'] > 10,
                   'no bound: by cleaning', info)
            tap.equal(wrong_of(peer, values), [], 'no bound: every value is right')
            tap.ok(all_right(peer), 'no bound: cold ones, too')


def main():
    why = missing() or bad_disk.missing()
    if why:
        skip_all(why)
    enter_namespace()
    tap = Tap()
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    for case in (failing_writes, stuck_device, full_disk, read_only, cold_reads_fail,
                 cold_reads_stick, bit_rot, cleaning_meets_eio, checkpoint_meets_full_disk,
                 writes_fail_in_cleaning, cleaning_is_all_the_room):
        if only in ('', case.__name__):
            tap.case(case)
    tap.done()


if __name__ == '__main__':
    main()
