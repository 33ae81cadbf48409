#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Something stands still: a disk that writes, a disk that reads, a worker whose core another thread
has. The histogram of it moves by as long as it stood, and no other does."""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import bad_disk  # noqa: E402
import client  # noqa: E402
from node import Node, _die_with_parent, enter_namespace, freeze, missing  # noqa: E402
from stats import Moved, slow, stats, watched  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402

STALL_S = 2.4  # ABAFT_LOG_STALL_MS is less: the log says that it stands
LEAST_S = 0.95 * STALL_S  # what was measured may begin a moment later, and buckets are 3 % wide
ELSEWHERE_S = STALL_S / 3  # the machine may be busy
TAKEN_S = 0.75  # for which a core is taken; the kernel gives others 5 % of a second
QUICK_S = 0.8 * TAKEN_S
SETTLE_S = 0.3  # counts of a log are told each 10 ms
WAIT_S = 10
COLD_KEYS = 120
KERNEL_DISK = ('uring_write', 'uring_sync', 'uring_read', 'block_write', 'block_flush',
               'block_read')


class Trial:
    """A case's checks, before they are told: what is asked of times that are to be short, the
    machine may spoil, and then the case has a second trial."""

    def __init__(self):
        self.checks = []
        self.spoilt = self.failed = False

    def ok(self, good, name, *notes):
        self.checks.append((good, name, notes))
        self.failed |= not good
        return bool(good)

    def equal(self, have, want, name):
        return self.ok(have == want, name, f'have {have!r}', f'want {want!r}')

    def short(self, good, name, *notes):
        self.checks.append((good, name, notes))
        self.spoilt |= not good

    def note(self, *notes):
        self.checks.append((None, None, notes))

    def tell(self, t):
        for good, name, notes in self.checks:
            if name is None:
                t.note(*notes)
            else:
                t.ok(good, name, *notes)


def tried(t, case, *arguments):
    """Runs a case, and once more if nothing is wrong with it but that something took long."""
    for again in (True, False):
        trial = Trial()
        try:
            case(trial, *arguments)
        except Exception:
            trial.tell(t)
            raise
        if not (again and trial.spoilt and not trial.failed):
            break
        t.note(f'{case.__doc__}: once more, as the machine may have been busy:',
               *(f'{name}: {notes}' for good, name, notes in trial.checks if good is False))
    trial.tell(t)


def cold_value(i):
    return (b'cold-%d|' % i * 900)[:5000]


def send(peer, worker, *ops):
    """A transaction of that worker's, sent and not waited for; its id."""
    txn = wire.new_id(worker=worker, workers=peer.workers)
    peer.send(wire.request(txn, [*ops, wire.op(wire.COMMIT)]))
    return txn


def text_of(txn):
    """As the command prints an id."""
    h = txn.hex()
    return '-'.join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def moved_alone(t, what, moved, those):
    """These took as long as the stall, and all other times stayed short."""
    times = moved.names() - {'log_group', 'log_depth', 'reclaim_lag', 'run_delay', 'preempted'}
    for name in those:
        t.ok(LEAST_S <= moved.longest_s(name) < STALL_S + WAIT_S, f'{what}: {name} moved by it',
             f'{name}: {moved.longest_s(name):.3f} s')
    rest = {name: round(moved.longest_s(name), 3) for name in sorted(times - set(those))
            if moved.longest_s(name) >= ELSEWHERE_S}
    t.short(not rest, f'{what}: no other time moved', rest)


def one_of(t, what, moved, names):
    """BPF programs look from the kernel's side: it waited in one of these."""
    have = {name: round(moved.longest_s(name), 3) for name in names if name in moved.names()}
    if not have:
        t.ok(True, f'{what}: {", ".join(names)} # SKIP these programs do not run here')
        return []
    t.ok(any(LEAST_S <= s < STALL_S + WAIT_S for s in have.values()),
         f'{what}: {" or ".join(names)} moved by it', have)
    return list(have)


def named_slow(t, what, node, txn, phase):
    """The slow transaction is told, with the phase that took the time."""
    found = [one for one in slow(node) if one['id'] == text_of(txn)]
    if not t.equal(len(found), 1, f'{what}: the slow transaction is told, once'):
        return
    phases = found[0]['phases_ns']
    rest = {name: ns for name, ns in phases.items() if name != phase and ns >= ELSEWHERE_S * 1e9}
    t.ok(phases[phase] >= LEAST_S * 1e9, f'{what}: it waited in "{phase}"', phases)
    t.short(not rest, f'{what}: and nowhere else', phases)
    t.equal((found[0]['worker'], found[0]['ended']), (wire.owner(txn, node.workers), True),
            f'{what}: whose it was, and that it ended')


def writes(t, disk):
    """A disk that stands while a commit is written"""
    with Node(workers=2, data_dir=tempfile.mkdtemp(dir=disk.mount), watch='yes') as node:
        peer = node.peer()
        for worker in (0, 1):
            peer.write({b'warm %d' % worker: b'1'}, wire.new_id(worker=worker, workers=2))
        watched(node, 'uring_sync', 'block_flush')
        time.sleep(SETTLE_S)
        before = stats(node)
        with disk.stuck():
            begin = time.monotonic()
            txn = send(peer, 1, wire.put(b'stuck', b'1'))
            for worker in (0, 1):  # what needs no disk is served meanwhile
                peer.ask(wire.new_id(worker=worker, workers=2), wire.get(b'warm 0'),
                         wire.op(wire.COMMIT))
            time.sleep(STALL_S - (time.monotonic() - begin))
            during = stats(node)
        answer = peer.receive(WAIT_S)
        t.equal(answer and (answer.txn, answer.codes), (txn, [wire.OK, wire.OK]),
                'writes: the commit is answered when the disk goes on')
        time.sleep(SETTLE_S)
        after = stats(node)
        each = [worker['log']['stalled_us'] for worker in during['workers']]
        t.ok(each[1] >= 1e6, 'writes: stalled_us told that the log stood, while it stood', each)
        t.short(each[1] <= (STALL_S + 1) * 1e6 and each[0] == 0,
                'writes: how long, and that the other did not', each)
        t.equal([worker['log']['stalled_us'] for worker in after['workers']], [0, 0],
                'writes: and that it went on')
        moved = Moved(before, after, 1)
        kernel = one_of(t, 'writes', moved, ('uring_write', 'uring_sync'))
        kernel += one_of(t, 'writes', moved, ('block_write', 'block_flush'))
        moved_alone(t, 'writes', Moved(before, after, 1),
                    ['log_device', 'commit_durable', 'txn_life'] +
                    [name for name in kernel if moved.longest_s(name) >= ELSEWHERE_S])
        moved_alone(t, 'writes, the other worker', Moved(before, after, 0), [])
        t.equal([moved.count(name) for name in ('commit_durable', 'txn_life', 'handover')],
                [1, 2, 2], 'writes: as many numbers as there were requests')
        named_slow(t, 'writes', node, txn, 'device')


def reads(t, disk):
    """A disk that stands while a cold value is read"""
    with Node(workers=2, data_dir=tempfile.mkdtemp(dir=disk.mount), cache='256K',
              watch='yes') as node:
        peer = node.peer()
        with client.Client() as writer:
            for i in range(COLD_KEYS):
                with writer.txn(id=wire.new_id(worker=1, workers=2)) as txn:
                    if txn.put(b'cold %d' % i, cold_value(i)) or txn.commit():
                        raise OSError(f'value {i} was not written')
        peer.write({b'n': b'1'}, wire.new_id(worker=1, workers=2))
        watched(node, 'uring_read', 'block_read')
        time.sleep(SETTLE_S)
        before = stats(node)
        with disk.stuck():
            txn = send(peer, 1, wire.get(b'cold 3', 200))
            for worker in (0, 1):
                peer.ask(wire.new_id(worker=worker, workers=2), wire.get(b'n'),
                         wire.op(wire.COMMIT))
            time.sleep(STALL_S)
        answer = peer.receive(WAIT_S)
        t.equal(answer and (answer.txn, answer.codes, answer.results[0].data),
                (txn, [wire.OK, wire.OK], cold_value(3)[:200]),
                'reads: the value comes when the disk goes on')
        time.sleep(SETTLE_S)
        after = stats(node)
        moved = Moved(before, after, 1)
        kernel = one_of(t, 'reads', moved, ('uring_read',)) + one_of(t, 'reads', moved,
                                                                     ('block_read',))
        moved_alone(t, 'reads', moved, ['engine_call', 'txn_life', *kernel])
        t.equal([moved.count(name) for name in ('engine_call', 'log_device', 'commit_durable',
                                                'durable_ack', 'log_group')], [1, 0, 0, 0, 0],
                'reads: one value was read, and nothing written')
        moved_alone(t, 'reads, the other worker', Moved(before, after, 0), [])
        named_slow(t, 'reads', node, txn, 'fetch')


@contextlib.contextmanager
def thief(cpu, *how):
    """A thread that wants that CPU all the time; stopped, to begin with."""
    process = subprocess.Popen(['taskset', '-c', str(cpu), *how, sys.executable, '-c',
                                'while True: pass'], preexec_fn=_die_with_parent)
    try:
        time.sleep(0.3)  # until it is Python
        freeze(process.pid)
        yield process
    finally:
        process.kill()
        process.wait()


def cpu_ticks(pid):
    """For how long it has had a CPU."""
    with open(f'/proc/{pid}/stat') as file:
        return sum(map(int, file.read().rsplit(')', 1)[1].split()[11:13]))


def taken(t, cpus):
    """A core taken by another thread, and given back"""
    with Node(workers=1, cores=str(cpus[1]), poll='yes', watch='yes') as node, \
            thief(cpus[1]) as other:
        if not watched(node, 'preempted', 'run_delay', 'thieves'):
            t.note(node.said())
            t.ok(True, 'taken: who took the core # SKIP these programs do not run here')
            return

        def look():
            """What the thief took, and how long the worker was kept from running."""
            now = stats(node)
            his = [one for one in now['thieves'] or () if one['pid'] == other.pid]
            kept = sum(now['total']['kernel'][name]['sum'] for name in ('preempted', 'run_delay'))
            return sum(one['ns'] for one in his) / 1e9, kept / 1e9, [one['comm'] for one in his]

        first = look()  # he ran while he was started
        time.sleep(SETTLE_S)
        t.equal(look()[0], first[0], 'taken: who is stopped takes nothing')
        first = look()
        os.kill(other.pid, signal.SIGCONT)
        time.sleep(STALL_S)
        freeze(other.pid)
        time.sleep(SETTLE_S)
        second = look()
        time.sleep(STALL_S)
        third = look()
        took, kept = second[0] - first[0], second[1] - first[1]
        t.ok(STALL_S / 8 <= took <= STALL_S + WAIT_S, 'taken: the thief is known, and how much '
             'he took', f'{took:.3f} s of {STALL_S} s', second)
        t.ok(second[2] and second[2][0].startswith('python'), 'taken: by name, too', second)
        t.ok(kept >= 0.9 * took, 'taken: so long the worker was kept from running', kept, took)
        t.equal(third[0], second[0], 'taken: he is stopped again, and takes no more')


def handed_over(t, cpus):
    """Requests that wait for the worker that owns them"""
    count = 50
    with Node(workers=2, cores=f'{cpus[0]},{cpus[1]}') as node, \
            thief(cpus[1], 'chrt', '--fifo', '1') as other:
        peer = node.peer()
        peer.write({b'k': b'1'}, wire.new_id(worker=1, workers=2))
        time.sleep(SETTLE_S)
        before = stats(node)
        for _ in range(count):
            peer.ask(wire.new_id(worker=1, workers=2), wire.get(b'k'), wire.op(wire.COMMIT))
        for _ in range(count):
            peer.ask(wire.new_id(worker=0, workers=2), wire.get(b'k'), wire.op(wire.COMMIT))
        time.sleep(SETTLE_S)
        quick = stats(node)
        t.equal([Moved(before, quick, w).count('handover') for w in (0, 1)], [0, count],
                'handed over: what comes by the wrong worker, and nothing else')
        longest_s = Moved(before, quick, 1).longest_s('handover')
        t.short(longest_s < QUICK_S, 'handed over: at once while both have their cores', longest_s)
        had = cpu_ticks(other.pid)
        os.kill(other.pid, signal.SIGCONT)
        end = time.monotonic() + WAIT_S
        while cpu_ticks(other.pid) == had and time.monotonic() < end:
            time.sleep(0.005)
        txn = send(peer, 1, wire.get(b'k'))
        time.sleep(TAKEN_S)
        freeze(other.pid)
        answer = peer.receive(WAIT_S)
        t.equal(answer and answer.txn, txn, 'handed over: late is not never')
        time.sleep(SETTLE_S)
        moved = Moved(quick, stats(node), 1)
        t.ok(moved.longest_s('handover') >= QUICK_S,
             'handed over: the wait for an owner without a core is in handover',
             f'{moved.longest_s("handover"):.3f} s')
        rest = {name: round(moved.longest_s(name), 3) for name in
                ('service', 'commit_durable', 'durable_ack', 'log_device', 'engine_call',
                 'txn_life') if moved.longest_s(name) >= QUICK_S}
        t.short(not rest, 'handed over: and in no other', rest)


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    enter_namespace()
    t = Tap()
    reason = bad_disk.missing()
    if reason:
        t.ok(True, f'disks that stand still # SKIP {reason}')
    else:
        with bad_disk.BadDisk() as disk:
            t.case(tried, writes, disk)
            t.case(tried, reads, disk)
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        t.ok(True, 'cores that are taken # SKIP needs two CPUs')
    else:
        os.sched_setaffinity(0, cpus[:1])  # who asks is not what is measured
        t.case(taken, cpus)
        t.case(tried, handed_over, cpus)
    t.done()


main()
