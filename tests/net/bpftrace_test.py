#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""bpftrace_test.py - the USDT probes as they stand in the daemon, and every script of
tools/bpftrace at once beside one node: each must print what a known little load did, exactly.

A script is ready when as many of its programs hang on the daemon as it has clauses: the kernel says
that, and the semaphores in the daemon's memory that each probe is watched."""
import glob
import json
import os
import re
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import bpftrace  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
import wire  # noqa: E402

ABAFTD = os.environ.get('ABAFTD', f'{nodes.ROOT}/build/control/abaftd')
SCRIPTS = sorted(glob.glob(f'{nodes.ROOT}/tools/bpftrace/*.bt'))
HEADER = f'{nodes.ROOT}/dataplane/core/probe.h'
READY_S = 40
END_S = 20
ANSWER_S = 10
TXNS = 6  # open ones of a worker
FREED = 4 + 3 + 1 + 2  # of hot/key, warm and w1, and the two deletions
DEADLINE_MS = 3000
ARGUMENTS = {'txn__start': 5, 'txn__first_read': 5, 'txn__put': 6, 'txn__commit': 5,
             'txn__durable': 3, 'txn__publish': 4, 'txn__ack': 5, 'txn__abort': 2,
             'txn__expire': 4, 'txn__handover': 4, 'version__reclaim': 3}


class Probe:
    """One of the daemon's notes."""

    def __init__(self, name, location, semaphore, arguments):
        self.name, self.arguments = name, arguments.split()
        self.location, self.semaphore = int(location, 16), int(semaphore, 16)


def notes():
    text = nodes.run('readelf', '-nW', ABAFTD)
    pattern = (r'Provider: abaft\s+Name: (\w+)\s+Location: (\w+), Base: \w+, Semaphore: (\w+)\s+'
               r'Arguments:([^\n]*)')
    return [Probe(*found) for found in re.findall(pattern, text)]


def instruction(address):
    """The name of the one there."""
    text = nodes.run('objdump', '-d', '--no-show-raw-insn', f'--start-address={address}',
                     f'--stop-address={address + 1}', ABAFTD)
    return text.strip().splitlines()[-1].split(':')[1].split()[0]


def in_binary(t, probes):
    """The notes say what probe.h and the documentation say"""
    with open(HEADER) as file:
        listed = re.findall(r'X\((\w+__\w+)\)', file.read())
    t.equal(sorted(listed), sorted(ARGUMENTS), 'this test knows all probes of probe.h')
    t.equal(sorted({p.name for p in probes}), sorted(ARGUMENTS), 'the daemon has all of them')
    t.equal({p.name: len(p.arguments) for p in probes}, ARGUMENTS, 'with their arguments')
    odd = [(p.name, a) for p in probes for a in p.arguments
           if not re.fullmatch(r'8@(%r\w+|\$-?\d+)', a)]
    t.equal(odd, [], 'each 64 bits wide, unsigned, in a register or a constant')
    t.ok(all(p.semaphore for p in probes), 'each has a semaphore')
    t.equal({instruction(p.location) for p in probes}, {'nop'}, 'each is a nop')


def semaphores(pid, probes):
    """name -> how many watch"""
    with open(f'/proc/{pid}/maps') as maps:
        base = int(next(line for line in maps if os.path.realpath(ABAFTD) in line).split('-')[0],
                   16)
    found = {}
    with open(f'/proc/{pid}/mem', 'rb') as memory:
        for probe in probes:
            memory.seek(base + probe.semaphore)
            found[probe.name] = struct.unpack('<H', memory.read(2))[0]
    return found


class Script:
    """One script beside the node, from its start to its end."""

    def __init__(self, path, pid, arguments, folder):
        self.name = os.path.basename(path)
        self.file = f'{folder}/{self.name}.out'
        with open(path) as source:
            self.clauses = re.findall(r'^usdt::abaft:(\w+)', source.read(), re.M)
        with open(self.file, 'w') as out:
            self.process = subprocess.Popen(['bpftrace', '-p', str(pid), path] + arguments,
                                            stdout=out, stderr=subprocess.STDOUT,
                                            preexec_fn=nodes._die_with_parent)

    def end(self):
        """Its output, and its exit status."""
        bpftrace.end(self.process)
        with open(self.file) as file:
            self.text = file.read()
        return self

    def values(self, name):
        """@name[key]: number, or @name: number under the key ''."""
        found = re.findall(r'^@%s(?:\[(.*?)\])?: (-?\d+)$' % name, self.text, re.M)
        return {key: int(value) for key, value in found}

    def histogram(self, name):
        """Of each key, (lowest number, how many) of each bucket."""
        pattern = r'^@%s(?:\[(.*?)\])?: \n((?:[\[\(].*\n)*)' % name
        units = {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
        found = {}
        for key, rows in re.findall(pattern, self.text, re.M):
            found[key] = [(int(low) * units[unit], int(count)) for low, unit, count in
                          re.findall(r'^[\[\(](-?\d+)([KMG]?)[,\]].*?(\d+) \|', rows, re.M)]
        return found

    def counts(self, name):
        return {key: sum(count for _, count in rows) for key, rows in self.histogram(name).items()}


class Load:
    """Known transactions, and what the probes must have seen of them. Nothing is sent twice."""

    def __init__(self, node):
        self.node = node
        self.peer = wire.Peer(workers=2)
        self.lent = 0  # requests for worker 1; all come by worker 0
        self.ended = dict.fromkeys(('committed', 'read only', 'aborted', 'expired', 'displaced'), 0)
        self.expired = {}  # id -> (writes, why)
        self.followed = wire.new_id(worker=1, workers=2)

    def call(self, txn, *ops, **fields):
        self.lent += wire.owner(txn, 2)
        answer = self.peer.call(wire.request(txn, ops, **fields), ANSWER_S)
        if answer is None:
            raise TimeoutError('no answer')
        bad = [code for code in answer.codes if code not in (wire.OK, wire.NOT_FOUND)]
        if bad:
            raise RuntimeError(f'answered {answer.codes}')
        return answer

    def id(self, worker):
        return wire.new_id(worker=worker, workers=2)

    def commit(self, worker, *ops):
        self.call(self.id(worker), *ops, wire.op(wire.COMMIT))
        self.ended['committed'] += 1

    def run(self):
        for i in range(5):
            self.commit(i % 2, wire.put(b'hot/key', b'x' * 100))
        for i in range(3):
            self.commit(0, wire.put(b'warm', b'y' * 10), wire.put(b'w%d' % i, b'z'))
        self.commit(1, wire.op(wire.DELETE, b'warm'))
        for worker in (0, 1):
            self.call(self.id(worker), wire.get(b'hot/key'), wire.get(b'w0'),
                      wire.op(wire.COMMIT))
            self.ended['read only'] += 1
            txn = self.id(worker)
            self.call(txn, wire.put(b'undone', b'12345'), deadline_ms=60000)
            self.call(txn, wire.op(wire.ABORT))
            self.ended['aborted'] += 1
        self.abandon()
        self.follow()

    def abandon(self):
        """One packet of each: the first goes when there is no place; the others expire."""
        for i in range(TXNS + 1):
            txn = self.id(0)
            ops = [wire.put(b'left/%d' % n, b'v') for n in range(i + 1)]
            self.call(txn, *ops, deadline_ms=DEADLINE_MS)
            why = 'displaced' if i == 0 else 'expired'
            self.expired[txn.hex()] = (i + 1, why)
            self.ended[why] += 1

    def follow(self):
        first = self.call(self.followed, wire.get(b'hot/key'), wire.put(b'followed', b'abc'))
        self.call(self.followed, wire.op(wire.DELETE, b'w1'), wire.op(wire.COMMIT), seq=2, flags=0,
                  instance=first.instance)
        self.ended['committed'] += 1

    def settle(self):
        """Waits until the last has expired and everything is reclaimed that can be."""
        end = time.monotonic() + ANSWER_S
        while time.monotonic() < end:
            expired, freed = counted(self.node, 'expired'), counted(self.node, 'versions_freed')
            if (expired, freed) == (self.ended['expired'], FREED):
                return
            time.sleep(0.3)
        raise TimeoutError(f'expired {expired}, versions freed {freed}')


def counted(node, name):
    """A counter of the core, of all workers: no packet asks for it."""
    dump = json.loads(nodes.run('bpftool', '-j', 'map', 'dump', 'pinned',
                                f'{node.keys["pin_dir"]}/node_counters'))
    return sum(entry['formatted']['value'][name] for entry in dump)


def armed(scripts):
    """Waits until all scripts watch; whether they do."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end and all(s.process.poll() is None for s in scripts):
        held = bpftrace.uprobes()
        if all(held.count(s.process.pid) >= len(s.clauses) for s in scripts):
            return True
        time.sleep(0.2)
    return False


def txn_life(t, s, load):
    """txn_life.bt"""
    t.equal(s.values('txns'), load.ended, f'{s.name}: transactions by their ends')
    t.equal(s.counts('life_us'), load.ended, f'{s.name}: as many lives')
    rows = s.histogram('life_us')
    lowest = min(low for low, count in rows['expired'] if count)
    t.ok(lowest >= 1 << 20, f'{s.name}: who expired lived for {DEADLINE_MS} ms', rows)
    highest = max(low for low, count in rows['read only'] if count)
    t.ok(highest < 1 << 20, f'{s.name}: who only read did not', rows)


def commit_phases(t, s, load):
    """commit_phases.bt"""
    commits = load.ended['committed']
    t.equal(s.values('commits'), {'': commits}, f'{s.name}: commits')
    for name in ('commit_to_durable_us', 'durable_to_ack_us', 'record_bytes'):
        t.equal(s.counts(name), {'': commits}, f'{s.name}: as many in @{name}')
    t.equal([row for row in s.histogram('keys').get('', []) if row[1]], [(1, 6), (2, 4)],
            f'{s.name}: keys of each')


def hot_keys(t, s, load):
    """hot_keys.bt"""
    left = {f'left/{n}': TXNS + 1 - n for n in range(TXNS + 1)}
    t.equal(s.values('puts'), {'hot/key': 5, 'warm': 3, 'w0': 1, 'w1': 1, 'w2': 1, 'undone': 2,
                               'followed': 1, **left}, f'{s.name}: puts by key')
    t.equal(s.values('put_bytes'), {'hot/key': 500, 'warm': 30, 'w0': 1, 'w1': 1, 'w2': 1,
                                    'undone': 10, 'followed': 3, **left}, f'{s.name}: their bytes')
    t.equal(s.values('deletes'), {'warm': 1, 'w1': 1}, f'{s.name}: deletes')
    t.equal(s.values('first_reads'), {'hot/key': 3}, f'{s.name}: first reads')


def handover(t, s, load):
    """handover.bt"""
    t.equal(s.values('requests'), {'0, 1': load.lent}, f'{s.name}: requests handed over')
    seconds = re.findall(r'^@second\[0, 1\]: (\d+)$', s.text, re.M)
    t.equal(sum(map(int, seconds)), load.lent, f'{s.name}: as many by the second')


def expired(t, s, load):
    """expired.bt"""
    lines = re.findall(r'^\d\d:\d\d:\d\d ([0-9a-f-]{36}) (\d+) ms, (\d+) writes, (\w+)$', s.text,
                       re.M)
    t.equal({txn.replace('-', ''): (int(writes), why) for txn, _, writes, why in lines},
            load.expired, f'{s.name}: their ids, writes and ends')
    ages = [int(age) for _, age, _, why in lines if why == 'expired']
    t.ok(ages and min(ages) >= DEADLINE_MS, f'{s.name}: they were older than their deadline', ages)
    t.equal(s.values('txns'), {'expired': TXNS, 'displaced': 1}, f'{s.name}: how many')


def reclaim(t, s, load):
    """reclaim.bt"""
    t.equal(s.values('versions'), {'': FREED}, f'{s.name}: as many versions as were freed')
    t.equal(s.values('bytes'), {'': 4 * 100 + 3 * 10 + 1}, f'{s.name}: of as many bytes')
    for name in ('version_bytes', 'lag_ms'):
        t.equal(s.counts(name), {'': FREED}, f'{s.name}: as many in @{name}')


def follow(t, s, load):
    """follow.bt"""
    lines = [line for line in s.text.splitlines() if ' us  ' in line]
    times = [int(line.split()[0]) for line in lines]
    steps = [re.sub(r'  +', ' ', line.split(' us  ', 1)[1]) for line in lines]
    want = ['handover from worker 0 to worker 1', r'start instance \d+, step 0, attempt 0',
            'first read hot/key, value of 100 bytes', 'put followed, 3 bytes',
            'handover from worker 0 to worker 1', 'delete w1, 0 bytes',
            r'commit log sequence \d+, record of \d+ bytes, 2 keys', r'durable log sequence \d+',
            r'publish version \d+, 2 keys', r'ack commit, \d+ us behind its execution, worker 1']
    t.ok(len(steps) == len(want) and all(re.fullmatch(w, s) for w, s in zip(want, steps)),
         f'{s.name}: all of its transaction, and of no other', s.text)
    t.equal(times, sorted(times), f'{s.name}: in the order of time')


def scripts(t, probes):
    """All scripts under a known load"""
    with nodes.Node(workers=2, port='afxdp:lo', txns=TXNS) as node:
        load = Load(node)
        text = load.followed.hex()
        groups = [f'0x{text[a:b]}' for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))]
        t.equal(semaphores(node.pid, probes), dict.fromkeys(ARGUMENTS, 0), 'nobody watches yet')
        running = [Script(path, node.pid, groups if path.endswith('/follow.bt') else [], node.dir)
                   for path in SCRIPTS]
        if t.ok(armed(running), 'all scripts watch'):
            watched = semaphores(node.pid, probes)
            t.ok(all(watched.values()), 'each probe is watched', watched)
            load.run()
            load.settle()
            t.ok(running[[s.name for s in running].index('follow.bt')].process.wait(END_S) == 0,
                 'follow.bt ends with its transaction')
        ended = [script.end() for script in running]
        t.ok(all(s.process.returncode == 0 for s in ended), 'all end well',
             *[f'{s.name} {s.process.returncode}: {s.text}' for s in ended])
        t.equal(semaphores(node.pid, probes), dict.fromkeys(ARGUMENTS, 0),
                'nobody watches any more')
        t.ok(node.alive(), 'the node still runs')
        for script in ended:
            check = CHECKS.get(script.name)
            if t.ok(check, f'{script.name} has a check of its own'):
                t.case(check, script, load)


CHECKS = {f'{check.__name__}.bt': check for check in
          (txn_life, commit_phases, hot_keys, handover, expired, reclaim, follow)}

reason = nodes.missing() or bpftrace.missing()
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
t = tap.Tap()
found = notes()
t.case(in_binary, found)
t.case(scripts, found)
t.done()
