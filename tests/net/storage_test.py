#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a node keeps on disk over restarts: checkpoints, cleaning, other numbers of workers, damage,
directories that are not for it; and what it and `abaft status` say of all that."""
import glob
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import ROOT, Failed, Node, enter_namespace, missing, run  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
QUICK = {'checkpoint': '4M', 'segment_size': '8M', 'memory': '128M', 'clean_rate': 0}


def abaft(*arguments):
    return subprocess.run([ABAFT, *arguments], capture_output=True, text=True, timeout=60,
                          check=False)


def overwrite(peer, rounds, tag, keys=40, size=40000):
    """The same keys again and again, so that there is something to clean. The last values."""
    values = {}
    for i in range(rounds):
        for k in range(keys):
            key = b'over-%d' % k
            values[key] = (b'%s-%d-%d.' % (tag, i, k)).ljust(size, b'.')
            err = peer.write({key: values[key]})
            if err:
                raise OSError(f'{key}: {client.name(err)}')
    return values


def overwrite_until(peer, condition, tag, timeout_s=30):
    """Until the node has done it; commits that find no room come again."""
    end, values, i = time.monotonic() + timeout_s, {}, 0
    while time.monotonic() < end:
        try:
            values = overwrite(peer, 1, b'%s%d' % (tag, i))
        except OSError as error:
            if 'NO_SPACE' not in str(error):
                raise
            time.sleep(0.1)
            continue
        if condition():
            return values
        i += 1
        time.sleep(0.02)
    raise TimeoutError(f'{timeout_s} s of overwriting')


def cleans(node, segments=1):
    """A condition: it has cleaned so many more segments than now."""
    before = node.info()['cleaned_segments']
    return lambda: node.info()['cleaned_segments'] >= before + segments


def right(peer, values):
    return [key for key, value in values.items() if peer.read(key) != (0, value)]


def data(node, pattern):
    return sorted(glob.glob(f'{node.keys["data_dir"]}/{pattern}'))


def flip(path, at):
    with open(path, 'r+b') as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 16]))


def refused(tap, node, what, *says):
    try:
        node.start()
        tap.ok(False, what, 'it started')
        node.stop()
    except Failed as failed:
        last = str(failed).splitlines()[-1]
        tap.ok(all(word in last for word in says), what, last)
        tap.note(last)


def checkpoints_shorten_restarts(tap):
    """Checkpoints are written while serving; a kill leaves a tail, a clean stop next to nothing"""
    with Node(**QUICK) as node, client.Client(timeout_ms=5000) as peer:
        values = overwrite_until(peer, lambda: node.info()['checkpoints'] >= 2, b'a')
        info = node.info()
        tap.ok(info['restart_bytes'] >= info['checkpoint_bytes'] > 0 and
               info['restart_us'] <= info['restart_us_max'],
               'checkpoint: a restart is foretold', info)
        tap.equal(len(data(node, 'checkpoint-????????')), 2, 'checkpoint: two files')
        node.kill()
        node.start()
        tap.ok('recovered checkpoint ' in node.ready, 'checkpoint: used after a kill', node.ready)
        tap.equal(right(peer, values), [], 'checkpoint: every value is there')
        values.update(overwrite(peer, 2, b'b'))
        tap.equal(node.stop(), 0, 'checkpoint: clean stop')
        node.start()
        tap.ok(' and 0.0 MiB of 2 logs (0 records)' in node.ready,
               'checkpoint: a clean stop leaves nothing to read', node.ready)
        tap.equal(right(peer, values), [], 'checkpoint: every value is there, again')


def damaged_checkpoints(tap):
    """A damaged checkpoint is told and the one before used; without any valid one nothing is
    guessed"""
    with Node(**QUICK) as node, client.Client(timeout_ms=5000) as peer:
        values = overwrite_until(peer, cleans(node, 2), b'a')
        node.kill()
        newest = data(node, 'checkpoint-????????')[-1]
        flip(newest, 100)
        node.start()
        said = [line for line in node.said().splitlines() if 'passed over' in line][-1]
        tap.ok(os.path.basename(newest) in said and 'the one before' in said,
               'damage: which is damaged, and what was used', said)
        tap.note(said)
        tap.equal(right(peer, values), [], 'damage: every value is there')
        node.kill()
        for path in data(node, 'checkpoint-????????'):
            if path != newest:
                flip(path, 100)
        refused(tap, node, 'damage: no valid checkpoint is refused in words',
                'no checkpoint is valid')


def workers_with_cleaning(tap):
    """Logs without a worker are cleaned, too, and what was kept is found by any number of them"""
    with Node(workers=3, **QUICK) as node, client.Client(timeout_ms=5000) as peer:
        stay = {b'stay-%d' % i: (b'%d.' % i).ljust(20000, b's') for i in range(30)}
        tap.equal({peer.write({key: value}) for key, value in stay.items()}, {0},
                  'workers: written')
        values = overwrite_until(peer, lambda: len(data(node, 'log-002/seg-????????')) > 3, b'3')
        full = data(node, 'log-002/seg-????????')[0]
        for workers in (1, 2):
            tap.equal(node.stop(), 0, f'workers: clean stop before {workers}')
            node.keys['workers'] = workers
            node.start()
            tap.equal(right(peer, {**stay, **values}), [], f'workers: {workers}: all values')
            values = overwrite_until(peer, cleans(node, 2), b'%d' % workers)
        values = overwrite_until(peer, lambda: not os.path.exists(full), b'c')
        tap.ok(True, 'workers: a full segment of a log without a worker goes')
        node.kill()
        node.keys['workers'] = 3
        node.start()
        tap.equal(right(peer, {**stay, **values}), [], 'workers: 3 again: all values')
        tap.equal(node.stop(), 0, 'workers: clean stop')


def without_checkpoints(tap):
    """checkpoint = 0: none are written, nothing is cleaned, and it can be turned on and off"""
    with Node(**{**QUICK, 'checkpoint': 0}) as node, client.Client(timeout_ms=5000) as peer:
        values = overwrite(peer, 3, b'a')
        tap.equal(data(node, 'checkpoint-*') + data(node, 'log-064'), [], 'none: and no kept log')
        info = node.info()
        tap.ok('checkpoint_number' not in info and info['data_disk_bytes'] > 0,
               'none: INFO says so', info)
        said = abaft('status').stdout
        tap.ok('checkpoint = 0' in said and 'no bound without checkpoints' in said,
               'none: and status', said[:600])
        node.kill()
        node.start()
        tap.equal(right(peer, values), [], 'none: all logs are read again')
        node.stop()
        node.keys['checkpoint'] = '4M'
        node.start()
        values.update(overwrite_until(peer, cleans(node, 2), b'b'))
        tap.ok(True, 'none: turned on, it cleans')
        node.kill()
        node.keys['checkpoint'] = 0
        node.start()
        tap.equal(right(peer, values), [], 'none: turned off again, what was kept is read')
        values.update(overwrite(peer, 1, b'c'))
        node.kill()
        node.start()
        tap.equal(right(peer, values), [], 'none: and what came behind the last checkpoint')


def status_in_sentences(tap):
    """abaft status says what is on disk, what a restart costs, and that nothing is wrong"""
    with Node(**QUICK) as node, client.Client(timeout_ms=5000) as peer:
        overwrite_until(peer, cleans(node), b'a')
        said = abaft('status').stdout
        for word in ('data  ', 'cache  ', 'checkpoint  ', 'restart     now reads', 'cleaning  ',
                     'bytes written for each', 'faults      none'):
            tap.ok(word in said, f'status: {word.strip()}', said[:900])
        storage = json.loads(abaft('status', '--write=json').stdout)['storage']
        tap.ok(storage['checkpoint'] > 0 and storage['write_amplification'] >= 1 and
               storage['restart_s'] <= storage['restart_s_max'] and storage['faults'] == [],
               'status: JSON', storage)


def full_and_room_again(tap):
    """Bounded logs that are full of garbage are cleaned: commits go on by themselves"""
    # What found no room stays open until its deadline, and holds what it may read.
    keys = {'log_bytes_max': '64M', 'deadline': '1s', **QUICK}
    with Node(**keys) as node, client.Client(timeout_ms=5000) as peer:
        values = overwrite_until(
            peer, lambda: node.info()['log_record_bytes'] > 160 << 20, b'a', 60)
        tap.equal(right(peer, values), [], 'full: 160 MB of overwrites through 64 MB of logs')
        on_disk = sum(os.path.getsize(path) for path in data(node, 'log-*/seg-????????'))
        tap.ok(on_disk <= 64 << 20, 'full: within the bound', on_disk)
        tap.ok(node.info()['log_recycled'] > 0, 'full: by using segments again')
        tap.note(f'{node.info()["busy_log_space"]} found no room')
        node.kill()
        node.start()
        tap.equal(right(peer, values), [], 'full: a restart finds all')


def another_version(tap):
    """Directories that are not for this node are refused in words, and nothing is changed"""
    with Node() as node, client.Client() as peer:
        tap.equal(peer.write({b'k': b'1'}), client.OK, 'other: a commit')
        node.stop()
        path = f'{node.keys["data_dir"]}/abaft.id'
        with open(path) as file:
            good = file.read()
        for what, text, says in (
                ('a later format', good.replace('format ', 'format 9'), 'is of format 92'),
                ('another node', good[:-9] + '12345678\n', 'another node'),
                ('no identity', 'something else\n', 'damaged')):
            with open(path, 'w') as file:
                file.write(text)
            refused(tap, node, f'other: {what}', says)
        with open(path, 'w') as file:
            file.write(good)
        node.start()
        tap.equal(peer.read(b'k'), (0, b'1'), 'other: put right, it serves')


def read_only(tap):
    """A read-only file system is refused in words; put right, the node starts"""
    with Node() as node, client.Client() as peer:
        tap.equal(peer.write({b'k': b'1'}), client.OK, 'read-only: a commit')
        node.stop()
        directory = node.keys['data_dir']
        run('mount', '--bind', directory, directory)
        try:
            run('mount', '-o', 'remount,ro,bind', directory)
            refused(tap, node, 'read-only: refused', 'Read-only file system', directory)
        finally:
            run('umount', directory)
        node.start()
        tap.equal(peer.read(b'k'), (0, b'1'), 'read-only: put right, it serves')


def two_daemons(tap):
    """A second daemon on one directory is refused by name, also while the first one cleans"""
    with Node(**QUICK) as node, client.Client(timeout_ms=5000) as peer:
        overwrite_until(peer, cleans(node), b'a')
        second = Node(start=False, udp_port=7500, **{**QUICK, 'data_dir': node.keys['data_dir']})
        refused(tap, second, 'two: refused', f'in use by process {node.pid}')
        second.keys['data_dir'] = '/nowhere'
        second.close()
        tap.equal(right(peer, overwrite(peer, 1, b'b')), [], 'two: the first goes on')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    for case in (checkpoints_shorten_restarts, damaged_checkpoints, workers_with_cleaning,
                 without_checkpoints, status_in_sentences, full_and_room_again, another_version,
                 read_only, two_daemons):
        tap.case(case)
    tap.done()


main()
