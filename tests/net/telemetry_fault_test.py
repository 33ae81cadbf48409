#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Telemetry where something is missing or in the way: no BPF file system, no rights, no BTF, pins
of another version, of a dead node and of a living one, readers over restarts, two nodes. Each just
works, or says what is wrong and what to do; a node serves all the same, and leaves nothing."""
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import node as nodes  # noqa: E402
from node import Failed, run  # noqa: E402
from stats import ABAFT, abaft, stats, watched  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402

BPFFS = '/sys/fs/bpf'
BTF = '/sys/kernel/btf/vmlinux'
GONE, NONE = 0, 6  # what `abaft stats` ends with
STEER = {'steer', 'steer_bytes', 'steer_counters', 'steer_rules', 'steer_tenants', 'xsks_map'}
WATCHED = ('uring_write', 'block_write', 'preempted', 'softirqs')
WAIT_S = 15


def pins(node):
    try:
        return set(os.listdir(node.keys['pin_dir']))
    except FileNotFoundError:
        return set()


class Node(nodes.Node):
    """With fewer rights than root's, if it is told so; `own`: on a device of its own, which takes
    no more rights than these."""

    def __init__(self, without=None, own=False, **keys):
        self.without = without
        self.address = '10.8.0.1' if own else wire.ADDRESS
        if own:
            keys = {'port': 'tap:abaft0', 'addresses': self.address, 'udp_port': 7500, **keys}
        self.own = own
        super().__init__(**keys)

    def command(self):
        fewer = [] if self.without is None else [
            'setpriv', f'--bounding-set={self.without}', f'--inh-caps={self.without}']
        return fewer + super().command()

    def start(self, **options):
        super().start(**options)
        if self.own:
            run('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'abaft0')
            run('ip', 'link', 'set', 'abaft0', 'up')
        return self

    def write(self, count=1, first=0):
        peer = self.peer(self.address)
        try:
            return [peer.write({b'key %d' % i: b'1'}) for i in range(first, first + count)]
        finally:
            peer.close()


def commits(node):
    return stats(node)['total']['core']['commits']


def settled(read, wanted):
    """What is counted is so a moment after its answer."""
    end = time.monotonic() + WAIT_S
    while read() != wanted and time.monotonic() < end:
        time.sleep(0.02)
    return read()


def counts(t, what, node):
    """It serves, and its maps say so."""
    t.equal(node.write(3), [wire.OK] * 3, f'{what}: it serves')
    t.equal(settled(lambda: commits(node), 3), 3, f'{what}: its maps count')


def serves_without(t, what, node, *sentence):
    """It serves, has said why it has no maps, and what to do; who asks for maps hears it, too."""
    t.equal(node.write(3), [wire.OK] * 3, f'{what}: it serves')
    peer = node.peer(node.address)
    t.equal(peer.info()['commits'], 3, f'{what}: and counts, for who asks the node')
    peer.close()
    said = node.said()
    t.ok(said.count('no telemetry but what abaft status shows') == 1
         and all(part in said for part in sentence), f'{what}: it has said why it has no maps',
         said)
    done = abaft('stats', '--pin-dir', node.keys['pin_dir'])
    t.ok(done.returncode == NONE and node.keys['pin_dir'] in done.stderr and not done.stdout,
         f'{what}: abaft stats finds none', done)
    t.equal(pins(node), set(), f'{what}: there are no pins')
    return done.stderr


def ends(t, what, node):
    """In good order, and without a trace."""
    t.equal(node.stop(), 0, f'{what}: it ends in good order')
    t.ok(not os.path.exists(node.keys['pin_dir']), f'{what}: and leaves nothing', pins(node))


def pinned():
    """All that is pinned on the BPF file system; folders that libxdp makes stay, empty."""
    return {os.path.join(here, name) for here, _, names in os.walk(BPFFS) for name in names}


@contextlib.contextmanager
def unmounted():
    """No BPF file system, in this process's view of files."""
    while os.path.ismount(BPFFS):
        run('umount', BPFFS)
    try:
        yield
    finally:
        if not os.path.ismount(BPFFS):
            run('mount', '-t', 'bpf', 'bpf', BPFFS)


def not_mounted(t):
    """No BPF file system is mounted"""
    with unmounted():
        with Node() as node:
            t.ok(os.path.ismount(BPFFS), 'not mounted: the node mounts it')
            counts(t, 'not mounted', node)
            ends(t, 'not mounted', node)
        run('umount', BPFFS)
        with Node(own=True, without='-sys_admin') as node:
            heard = serves_without(t, 'cannot be mounted', node, node.keys['pin_dir'],
                                   'Operation not permitted', 'mount -t bpf bpf /sys/fs/bpf')
            t.ok('mount -t bpf bpf /sys/fs/bpf' in heard, 'cannot be mounted: it says what to do',
                 heard)
            ends(t, 'cannot be mounted', node)


def elsewhere(t):
    """pin-dir lies on another file system"""
    with Node(own=True, pin_dir=f'/tmp/abaft-pins-{os.getpid()}') as node:
        serves_without(t, 'elsewhere', node, node.keys['pin_dir'],
                       'mounted bpf file system')
        ends(t, 'elsewhere', node)


def no_rights(t):
    """A process that may not make maps"""
    with open('/proc/sys/kernel/unprivileged_bpf_disabled') as file:
        anybody_may = file.read().strip() == '0'
    with Node(own=True, without='-sys_admin,-bpf,-perfmon') as node:
        if anybody_may:
            t.ok(True, 'no rights # SKIP unprivileged_bpf_disabled is 0: anybody may make maps')
        else:
            serves_without(t, 'no rights', node, 'Operation not permitted', 'CAP_BPF',
                           'telemetry = no')
        ends(t, 'no rights', node)
    with Node(own=True, without='-sys_admin') as node:
        counts(t, 'CAP_BPF alone', node)
        ends(t, 'CAP_BPF alone', node)


def no_btf(t):
    """A kernel that does not tell its types"""
    if not os.path.exists(BTF):
        t.ok(True, 'no BTF: nothing to hide # SKIP this kernel has none')
    else:
        run('mount', '--bind', '/dev/null', BTF)
    try:
        with Node(watch='yes') as node:
            counts(t, 'no BTF', node)
            end = time.monotonic() + WAIT_S
            while 'not measured' not in node.said() and time.monotonic() < end:
                time.sleep(0.05)
            t.ok(BTF in node.said(), "no BTF: it says what of the kernel's side is not measured",
                 node.said())
            t.equal(stats(node)['total']['kernel'], {}, 'no BTF: and nothing says otherwise')
            ends(t, 'no BTF', node)
    finally:
        if os.path.ismount(BTF):
            run('umount', BTF)


def start_of(pid):
    with open(f'/proc/{pid}/stat') as file:
        return int(file.read().rsplit(')', 1)[1].split()[19])


def pin_map(path, value_bytes, entries, value=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    run('bpftool', 'map', 'create', path, 'type', 'array', 'key', '4', 'value', str(value_bytes),
        'entries', str(entries), 'name', os.path.basename(path))
    if value is not None:
        run('bpftool', 'map', 'update', 'pinned', path, 'key', 'hex', '00', '00', '00', '00',
            'value', 'hex', *(f'{byte:02x}' for byte in value.ljust(value_bytes, b'\0')))


def other_version(t):
    """Pins of a node of another layout"""
    pid = os.getpid()
    with Node(start=False) as node:
        folder = node.keys['pin_dir']
        # Their process is gone: the pid is another's by now.
        pin_map(f'{folder}/node', 32, 1, struct.pack('<IIQ', 99, pid, start_of(pid) - 1))
        pin_map(f'{folder}/service', 24, 3)
        pin_map(f'{folder}/node_counters', 4096, 1)
        done = abaft('stats', '--pin-dir', folder)
        t.ok(done.returncode == NONE and 'layout: 99' in done.stderr and folder in done.stderr,
             'another version: abaft stats says that it does not know this layout', done)
        node.start()
        counts(t, 'another version', node)
        t.equal(stats(node)['node']['layout'], 1, 'another version: its pins are replaced')
        ends(t, 'another version', node)
    with Node(start=False) as node:
        folder = node.keys['pin_dir']
        pin_map(f'{folder}/node', 32, 1, struct.pack('<IIQ', 99, pid, start_of(pid)))
        try:
            node.start()
            said = 'it started'
        except Failed as failed:
            said = str(failed)
        t.ok(f'(pid {pid})' in said and folder in said,
             'another version, whose process lives: refused, and said whose it is', said)
        t.equal(pins(node), {'node'}, 'another version, whose process lives: its pins stay')


def running(t):
    """Pins of a node that runs"""
    with Node() as first, Node(start=False, own=True, pin_dir=first.keys['pin_dir']) as second:
        counts(t, 'running', first)
        before = pins(first)
        try:
            second.start()
            said = 'it started'
        except Failed as failed:
            said = str(failed)
        t.ok(f'(pid {first.pid})' in said and first.keys['pin_dir'] in said
             and 'another pin-dir' in said, 'running: a second node is refused, and told why', said)
        t.equal((pins(first), first.write(2)), (before, [wire.OK] * 2),
                'running: the first one keeps its pins')
        t.equal(settled(lambda: commits(first), 5), 5, 'running: and counts on')
        second.keys['telemetry'] = 'no'
        second.start()
        t.equal((second.write(), pins(first)), ([wire.OK], before),
                'running: a second node without telemetry leaves them alone')
        t.equal(second.stop(), 0, 'running: it ends')
        t.equal(settled(lambda: commits(first), 5), 5, 'running: also when it ends')
        ends(t, 'running', first)


def killed(t):
    """What a killed node leaves, and the next start"""
    core = max(os.sched_getaffinity(0))  # of the worker's own: else nobody counts its softirqs
    with Node(watch='yes', cores=str(core)) as node:
        seen = watched(node, *WATCHED)
        t.equal(set(node.write(7)), {wire.OK}, 'killed: it served')
        settled(lambda: commits(node), 7)
        nodes.freeze(node.pid)  # and nothing moves between this look and its end
        time.sleep(0.1)
        before, pid, had = stats(node), node.pid, pins(node)
        node.kill()
        t.equal(pins(node), had, 'killed: its pins stay')
        done = abaft('stats', '--pin-dir', node.keys['pin_dir'])
        t.ok(done.returncode == GONE and f'process, {pid}' in done.stderr
             and 'last numbers' in done.stderr, 'killed: abaft stats says that it is gone', done)
        after = stats(node)
        for look in (before, after):  # it wakes up once more, to die
            for name in ('run_delay', 'preempted'):
                look['total']['kernel'].pop(name, None)
        t.equal((after['alive'], after['total'], after['steer']['packets']['redirected']),
                (False, before['total'], before['steer']['packets']['redirected']),
                'killed: and prints its last numbers')
        node.keys['watch'] = 'no'
        node.start()
        t.equal((stats(node)['alive'], commits(node)), (True, 0),
                'killed: the next one begins at 0')
        if not seen:
            t.ok(True, 'killed: what its BPF programs saw # SKIP they do not run here')
        t.ok(not pins(node) & set(WATCHED) and stats(node)['total']['kernel'] == {},
             "killed: what the dead one's BPF programs saw is not shown as this one's", pins(node))
        t.equal(node.write(2, first=7), [wire.OK] * 2, 'killed: it serves')
        t.equal(settled(lambda: commits(node), 2), 2, 'killed: and counts')
        node.kill()
        node.keys['telemetry'] = 'no'
        node.start()
        t.equal(pins(node), STEER, 'telemetry = no: only the steering program is pinned')
        t.equal(node.write(), [wire.OK], 'telemetry = no: it serves')
        done = abaft('stats', '--pin-dir', node.keys['pin_dir'])
        t.ok(done.returncode == NONE and 'telemetry = no' in done.stderr,
             'telemetry = no: abaft stats says that there is nothing', done)
        ends(t, 'telemetry = no', node)


class Reader:
    """A command that goes on reading; what it says goes to a file."""

    def __init__(self, name, *command):
        self.path = f'/tmp/abaft-reader-{os.getpid()}-{name}'
        with open(self.path, 'wb') as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT,
                                            preexec_fn=nodes._die_with_parent)

    def text(self):
        with open(self.path, errors='replace') as file:
            return file.read()

    def end(self):
        """What it ended by before it was told to, None if it had not."""
        status = self.process.poll()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_S)
        os.unlink(self.path)
        return status


def last_pid(text):
    """Of the last whole line with a JSON object."""
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            return json.loads(line)['node']['pid']
    return None


def restarts_under_readers(t):
    """Readers that go on while a node restarts"""
    with Node(start=False) as node:
        folder = node.keys['pin_dir']
        dump = ('for map in node op_counters service slow_txns steer_counters; do '
                f'bpftool -j map dump pinned {folder}/$map >/dev/null 2>&1; '
                'status=$?; [ $status -lt 128 -o $status -eq 255 ] || exit $status; done')
        node.start()
        readers = [Reader('stats', ABAFT, 'stats', '--json', '--every', '0.02', '-d', folder),
                   Reader('bpftool', 'sh', '-c', f'while :; do {dump}; done')]
        for end in (node.stop, node.kill, node.stop):
            t.equal(set(node.write(20)), {wire.OK}, 'restarts under readers: it serves')
            end()
            node.start()
        node.write(5)
        end = time.monotonic() + WAIT_S
        while last_pid(readers[0].text()) != node.pid and time.monotonic() < end:
            time.sleep(0.05)
        t.equal(last_pid(readers[0].text()), node.pid,
                'restarts under readers: abaft stats goes on with the newest process')
        lives = {json.loads(line)['node']['pid'] for line in readers[0].text().splitlines()
                 if line.startswith('{') and line.endswith('}')}
        t.ok(len(lives) >= 3, 'restarts under readers: it has seen the others, too', lives)
        t.equal([reader.end() for reader in readers], [None, None],
                'restarts under readers: nobody crashes')
        ends(t, 'restarts under readers', node)


def two_nodes(t):
    """Two nodes of one host, each with its own pin-dir"""
    with Node() as first, Node(own=True) as second:
        t.equal(set(first.write(4) + second.write(9)), {wire.OK}, 'two nodes: both serve')
        t.equal((settled(lambda: commits(first), 4), settled(lambda: commits(second), 9)), (4, 9),
                'two nodes: each counts its own')
        done = abaft('stats')
        t.ok(done.returncode != 0 and all(one.keys['pin_dir'] in done.stderr
                                          for one in (first, second)),
             'two nodes: who does not say which is told that there are two', done)
        ends(t, 'two nodes', second)
        t.equal(settled(lambda: commits(first), 4), 4, 'two nodes: the other one goes on')
        ends(t, 'two nodes', first)


def main():
    reason = nodes.missing()
    if reason:
        skip_all(reason)
    if nodes.elsewhere():
        skip_all('needs its own files, which a guest has not')
    nodes.enter_namespace()
    nodes.enter_bpffs()
    t = Tap()
    for case in (not_mounted, elsewhere, no_rights, no_btf, other_version, running, killed,
                 restarts_under_readers, two_nodes):
        before = pinned()
        t.case(case)
        t.equal(pinned() - before, set(), f'{case.__name__}: nothing is left pinned')
    t.done()


main()
