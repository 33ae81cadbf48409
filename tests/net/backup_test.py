#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Backups beside a node that serves, checkpoints and cleans: what was acknowledged before is in
them, transactions are in them whole, and a node on a restored one serves."""
import fcntl
import glob
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import ROOT, Node, enter_namespace, missing  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
PARTS = 3  # keys of one transaction
PAIRS = 8


def abaft(*arguments, timeout=60):
    return subprocess.run([ABAFT, *arguments], capture_output=True, text=True, timeout=timeout,
                          check=False)


def small_node(**keys):
    """Checkpoints and cleans within seconds."""
    return Node(workers=2, checkpoint='4M', segment_size='8M', memory='192M', clean_rate=0, **keys)


def wait(condition, timeout_s=30):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


class Load:
    """Clients that each write transaction after transaction: keys of its own, which stay, and a
    pair that all overwrite, with large values that become garbage."""

    def __init__(self, clients=3):
        self.acknowledged = [[] for _ in range(clients)]
        self.begun = [0] * clients
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def keys(number, i):
        return [b'own-%d-%d-%d' % (number, i, part) for part in range(PARTS)]

    def _run(self, number):
        with client.Client(timeout_ms=5000) as peer:
            i = 0
            while not self.stop.is_set():
                tag = b'%d-%d' % (number, i)
                writes = {key: tag for key in self.keys(number, i)}
                pair = i % PAIRS
                writes[b'left-%d' % pair] = writes[b'right-%d' % pair] = tag + b'.' * 8000
                self.begun[number] = i + 1
                if peer.write(writes) == client.OK:
                    self.acknowledged[number].append(i)
                i += 1
                time.sleep(0.004)  # all of it is read again, more than once

    def so_far(self):
        return [list(done) for done in self.acknowledged]

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)


def read_all(peer, keys):
    """In one transaction; None: no such key."""
    with peer.txn() as txn:
        values = [txn.get(key) for key in keys]
        txn.commit()
    bad = {client.name(err) for err, _ in values} - {'OK', 'NOT_FOUND'}
    if bad:
        raise ValueError(f'reading {keys}: {bad}')
    return [value for _, value in values]


def judge(tap, load, before, what):
    """The node that runs now holds `before`, whole transactions, no effect without its cause."""
    lost, torn, uncaused, torn_pairs = [], [], [], []
    with client.Client(timeout_ms=5000) as peer:
        for number, done in enumerate(load.acknowledged):
            there = set()
            for i in range(load.begun[number]):
                values = read_all(peer, Load.keys(number, i))
                if len(set(values)) != 1:
                    torn.append((number, i, values))
                elif values[0] is not None:
                    there.add(i)
            lost += [(number, i) for i in before[number] if i not in there]
            # A client began the next one when it had the answer: it can not be there alone.
            last = max(there, default=-1)
            uncaused += [(number, i) for i in done if i < last and i not in there]
        for pair in range(PAIRS):
            left, right = read_all(peer, [b'left-%d' % pair, b'right-%d' % pair])
            if left != right:
                torn_pairs.append((pair, left and left[:10], right and right[:10]))
    tap.equal(lost, [], f'{what}: all {sum(map(len, before))} acknowledged before are there')
    tap.equal(torn, [], f'{what}: each of {sum(load.begun)} transactions wholly or not at all')
    tap.equal(uncaused, [], f'{what}: none without those before it')
    tap.equal(torn_pairs, [], f'{what}: pairs are of one writer')


def beside_a_node_that_serves(tap):
    """A backup under load, cleaning and checkpointing; restored, it is the node of that moment"""
    with small_node() as node:
        load = Load()
        tap.ok(wait(lambda: node.info()['cleaned_segments'] > 2 and node.info()['checkpoints'] > 2),
               'online: the node cleans and writes checkpoints')
        copies = []
        for number in range(3):
            before = load.so_far()
            done = abaft('backup', node.keys['data_dir'], f'{node.dir}/backup-{number}')
            tap.equal((done.returncode, done.stderr), (0, ''), f'online: backup {number}')
            tap.note(done.stdout)
            copies.append((f'{node.dir}/backup-{number}', before))
        load.end()
        tap.equal(node.stop(), 0, 'online: clean stop')
        tap.ok(sum(map(len, load.acknowledged)) > 300, 'online: there was load')
        for number, (copy, before) in enumerate(copies):
            target = f'{node.dir}/restored-{number}'
            done = abaft('restore', copy, target)
            tap.equal((done.returncode, done.stderr), (0, ''), f'online: restore {number}')
            node.keys['data_dir'] = target
            node.keys['workers'] = 2 + number % 2
            node.start()
            tap.note(node.ready)
            judge(tap, load, before, f'online {number}')
            with client.Client() as peer:
                tap.equal(peer.write({b'after': b'1'}), client.OK, f'online {number}: it serves on')
            node.stop()
        node.start()
        judge(tap, load, before, f'online {number}, restarted')


def judged_by_the_checker(tap):
    """Reads from a restored node and the history of what was written fit together"""
    with small_node() as node:
        written, read = f'{node.dir}/written', f'{node.dir}/read'
        load = subprocess.Popen([ABAFT, 'load', '--preload', '--keys=200', '--value-bytes=3000',
                                 '--seconds=6', '--quiet', f'--history={written}'],
                                stdout=subprocess.DEVNULL)
        time.sleep(3)
        done = abaft('backup', node.keys['data_dir'], f'{node.dir}/copy')
        tap.equal((done.returncode, done.stderr), (0, ''), 'checker: backup')
        tap.equal(load.wait(60), 0, 'checker: the load ended well')
        node.stop()
        tap.equal(abaft('restore', f'{node.dir}/copy', f'{node.dir}/restored').returncode, 0,
                  'checker: restore')
        node.keys['data_dir'] = f'{node.dir}/restored'
        node.start()
        done = abaft('load', '--keys=200', '--read-share=1', '--reads=4', '--transactions=2000',
                     '--quiet', '--seed=7', f'--history={read}')
        tap.equal(done.returncode, 0, 'checker: reads of the restored node')
        done = abaft('check', written, read)
        tap.ok(done.returncode == 0, 'checker: no anomaly', done.stdout, done.stderr)


def killed_on_the_way(tap):
    """kill -9 of a backup or a restore leaves nothing that could be taken for one"""
    with small_node() as node:
        with client.Client() as peer:
            tap.equal(peer.write({b'k': b'1'}), client.OK, 'killed: a commit')
        copy, target = f'{node.dir}/copy', f'{node.dir}/restored'
        half = subprocess.Popen([ABAFT, 'backup', node.keys['data_dir'], copy])
        tap.ok(wait(lambda: os.path.isdir(copy)), 'killed: it has begun')
        half.send_signal(signal.SIGKILL)
        half.wait(10)
        done = abaft('restore', copy, target)
        tap.ok(done.returncode == 6 and 'cut short' in done.stderr and not os.path.exists(target),
               'killed: restore refuses it', done.stderr)
        done = abaft('backup', node.keys['data_dir'], f'{copy}-2')
        tap.equal((done.returncode, done.stderr), (0, ''), 'killed: the node can be backed up')
        # As a restore that was killed before its last file.
        tap.equal(abaft('restore', f'{copy}-2', target).returncode, 0, 'killed: restore')
        node.stop()
        os.unlink(f'{target}/abaft.id')
        node.keys['data_dir'] = target
        try:
            node.start()
            tap.ok(False, 'killed: no node starts on half a restore', 'it started')
        except Exception as failed:
            tap.ok('abaft.id' in str(failed), 'killed: no node starts on half a restore', failed)


def files(node):
    return {path: os.stat(path).st_ino for path in glob.glob(f'{node.keys["data_dir"]}/log-*/seg-*')
            if not path.endswith('.new')}


def nothing_is_freed_meanwhile(tap):
    """While a backup holds the directory segments stay; afterwards they go"""
    with small_node() as node:
        load = Load(2)
        tap.ok(wait(lambda: node.info()['cleaned_segments'] > 0), 'hold: the node cleans')
        with open(f'{node.keys["data_dir"]}/backup', 'rb') as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            time.sleep(0.5)  # one that it was about to free may still go
            before = files(node)
            cleaned = node.info()['cleaned_segments']
            tap.ok(wait(lambda: node.info()['cleaned_segments'] > cleaned),
                   'hold: it cleans on', node.info()['cleaned_segments'])
            time.sleep(1)
            tap.equal({path: ino for path, ino in files(node).items() if path in before}, before,
                      'hold: every segment stays')
        tap.ok(wait(lambda: any(files(node).get(path) != ino for path, ino in before.items())),
               'hold: and goes when it is given up')
        load.end()


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    for case in (beside_a_node_that_serves, judged_by_the_checker, killed_on_the_way,
                 nothing_is_freed_meanwhile):
        tap.case(case)
    tap.done()


main()
