#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""top_test.py - `abaft top` and `abaft slow` against nodes at work: what they show is what was
done, a stuck disk is seen where it is, dead nodes and restarts are told, and the terminal is left
as it was."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import bad_disk  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
import wire  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
STUCK_S = 0.6
WAIT_S = 10
UNITS = {'': 1, 'k': 1e3, 'M': 1e6, 'G': 1e9}
TIMES = {'ns': 1e-9, 'us': 1e-6, 'ms': 1e-3, 's': 1}


def number(text):
    """What `1.23k` or `12ms` means."""
    digits, unit = re.fullmatch(r'([0-9.]+)([a-zA-Z]*)', text).groups()
    return float(digits) * (UNITS.get(unit) or TIMES.get(unit))


def abaft(*arguments, **options):
    return subprocess.run([ABAFT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, timeout=60, check=False, **options)


class Running:
    """An abaft that goes on printing, a line at a time."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([ABAFT, *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        preexec_fn=nodes._die_with_parent)
        self.text = {self.process.stdout: '', self.process.stderr: ''}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for file in self.text:
            file.close()

    def wait_for(self, what, error=False, timeout_s=WAIT_S):
        """All that it said, when it has said that; raises when it does not."""
        file = self.process.stderr if error else self.process.stdout
        end = time.monotonic() + timeout_s
        while what not in self.text[file]:
            ready = select.select(list(self.text), [], [], max(0, end - time.monotonic()))[0]
            more = {f: os.read(f.fileno(), 65536) for f in ready}
            if not any(more.values()):
                raise TimeoutError(f'never said {what!r}, but: {self.text}')
            for f, data in more.items():
                self.text[f] += data.decode()
        return self.text[file]


def top(node, *more):
    return abaft('top', '-b', '--pin-dir', node.keys['pin_dir'], *more).stdout


def item(frame, section, name):
    """The number behind a name in a section of the overview, its further lines included."""
    block = re.search(r'^%s ((?:.*\n)(?: {14}.*\n)*)' % section, frame, re.M).group(1)
    return number(re.search(r'(?:^|  )%s ([0-9.]+[a-zA-Z]*)' % name, ' ' + block).group(1))


def row(frame, begin, column):
    """The cell of a table's line, by the name that stands over it."""
    lines = frame.splitlines()
    head = next(line for line in lines if line.startswith('WORKER') and f' {column}' in line)
    line = next(line for line in lines[lines.index(head):] if line.startswith(f'{begin} '))
    return number(line.split()[head.split().index(column)])


def each_worker(t, node, peer):
    """Whose work it was."""
    count = 50
    with Running('top', '-b', '-d', node.keys['pin_dir'], '-v', 'workers', '-c', '3') as view:
        view.wait_for('abaft top')
        for i in range(count):
            peer.write({b'c%d' % i: b'1'}, wire.new_id(worker=1, workers=2))
        view.process.wait(WAIT_S)
        view.text[view.process.stdout] += view.process.stdout.read().decode()
        text = view.text[view.process.stdout]
    have = {(worker, column): sum(row(frame, worker, column)
                                  for frame in text.split('\n\nabaft top'))
            for worker in ('0', '1', 'all') for column in ('PUT/S', 'HANDED/S')}
    t.ok(have['0', 'PUT/S'] == have['1', 'HANDED/S'] == 0
         and all(abs(have[which] - count) <= 2 for which in (('1', 'PUT/S'), ('all', 'PUT/S'),
                                                             ('0', 'HANDED/S'))),
         'each worker has a line with its own work', have, text)


def known_load(t):
    """What is shown is what was done"""
    count, seconds = 300, 1
    with nodes.Node(workers=2) as node, \
            Running('top', '-b', '--pin-dir', node.keys['pin_dir'], '--interval', str(seconds),
                    '--count', '4') as view:
        view.wait_for('abaft top')
        peer = node.peer()
        for i in range(count):  # all of worker 1, so that worker 0, which receives, hands over
            peer.write({b'a%d' % i: b'1', b'b%d' % i: b'2'}, wire.new_id(worker=1, workers=2))
        peer.send(wire.request(wire.new_id(), [wire.op(wire.COMMIT)], magic=b'NONE'))
        refused = peer.ask(wire.new_id(), wire.op(wire.COMMIT), flags=0).codes
        view.process.wait(WAIT_S)
        view.text[view.process.stdout] += view.process.stdout.read().decode()
        text = view.text[view.process.stdout]
        frames = text.split('\n\nabaft top')
        t.equal((view.process.returncode, len(frames)), (0, 4), 'so many frames, and it ends')
        ran = [float(re.search(r'the last ([0-9.]+) s', f).group(1)) for f in frames]

        def shown(section, name):
            return sum(item(f, section, name) * s for f, s in zip(frames, ran))

        for section, name, want in (('requests', 'in', count + 1), ('operations', 'put', 2 * count),
                                    ('operations', 'commit', count), ('operations', 'get', 0),
                                    ('transactions', 'commits', count)):
            have = shown(section, name)
            # Three digits are shown; info() is not asked here, requests are ours alone.
            t.ok(abs(have - want) <= 1 + want / 100, f'{section}: {name} as often as done',
                 f'have {have}, want {want}', text)
        busiest = max(frames, key=lambda f: item(f, 'requests', 'in'))
        share = re.search(r'handed over ([0-9.]+)%', busiest).group(1)
        t.ok(float(share) > 98, 'all were handed over', busiest)
        service = re.search(r'^service +\S+ +(\S+)', busiest, re.M).group(1)
        t.ok(1e-8 < number(service) < 0.1, 'a service time is there', busiest)

        t.equal(refused, [wire.UNKNOWN_TXN], 'a request was refused')
        drops = top(node, '--count', '1', '-i', '0.1', '--view', 'drops')
        t.ok(re.search(r'^drop_magic +0 +1 ', drops, re.M), 'what XDP dropped stands there', drops)
        t.ok(re.search(r'^refused_unknown +0 +1 ', drops, re.M), 'what was refused, too', drops)
        each_worker(t, node, peer)


def slow_ones(node, *more):
    done = abaft('slow', '--pin-dir', node.keys['pin_dir'], '-w', 'json', *more)
    return [json.loads(line) for line in done.stdout.splitlines()], done


@contextlib.contextmanager
def load(*arguments):
    process = subprocess.Popen([ABAFT, 'load', '-q', *arguments], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, preexec_fn=nodes._die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stuck_disk(t):
    """A disk that is stuck"""
    why = bad_disk.missing()
    if why:
        t.ok(True, f'a stuck disk # SKIP {why}')
        return
    # One worker, so that all that waits is in one ring.
    with bad_disk.BadDisk(mib=256) as disk, \
            nodes.Node(workers=1, data_dir=f'{disk.mount}/data', slow='200ms') as node:
        peer = node.peer()
        t.equal(peer.write({b'fast': b'1'}), 0, 'a commit')
        t.equal(slow_ones(node, '--last', '10')[0], [], 'is not slow')
        txn = wire.new_id()
        with disk.stuck():
            peer.send(wire.request(txn, [wire.put(b'k', b'v'), wire.op(wire.COMMIT)]))
            time.sleep(STUCK_S)
        t.ok(peer.receive(WAIT_S) is not None, 'one that the disk delays is answered')
        found, done = slow_ones(node, '--last', '10')
        t.equal([bytes.fromhex(s['id'].replace('-', '')) for s in found], [txn],
                'abaft slow knows it, and no other')
        phases = found[0]['phases_ns']
        t.ok(phases['log_wait'] + phases['device'] > STUCK_S * 0.9e9, 'its time went to the disk',
             found)
        others = found[0]['total_ns'] - phases['log_wait'] - phases['device']
        t.ok(0 <= others < STUCK_S * 0.5e9, 'and to nothing else', found)
        t.equal((found[0]['status'], found[0]['ended'], found[0]['ops']), ('OK', True, 2),
                'what it was')
        line = abaft('slow', '--pin-dir', node.keys['pin_dir'], '-n', '1').stdout
        t.ok(re.search(r'OK, ended  \S+: .*(log_wait|device) \d+ms', line), 'as a line', line)
        t.equal(slow_ones(node, '--last', '10', '--min', '60000')[0], [], '--min leaves it out')
        overtaken(t, node, disk)


def overtaken(t, node, disk):
    """More at a time than are kept, while the follower does not look."""
    with Running('slow', '--pin-dir', node.keys['pin_dir']) as follower:
        follower.wait_for('ended')
        os.kill(follower.process.pid, signal.SIGSTOP)
        with load('-T', '1', '-c', '600', '-F', '1', '--reads', '0', '-b', '16', '-t', '20000'):
            with disk.stuck():
                time.sleep(STUCK_S)
            deadline = time.monotonic() + WAIT_S
            while len(slow_ones(node, '-n', '1000')[0]) < 256 and time.monotonic() < deadline:
                time.sleep(0.2)
            shown = top(node, '--count', '1', '-i', '0.2')
        os.kill(follower.process.pid, signal.SIGCONT)
        said = follower.wait_for('overwritten', error=True)
        lost = int(re.search(r'slow: (\d+) of worker 0 were overwritten', said).group(1))
        t.ok(lost > 0, f'{lost} that were overwritten are told')
        t.ok('running' in shown, 'top goes on beside it')


def stalled(t):
    """A disk that does not come back"""
    why = bad_disk.missing()
    if why:
        t.ok(True, f'a disk that does not come back # SKIP {why}')
        return
    with bad_disk.BadDisk(mib=256) as disk, \
            nodes.Node(workers=1, data_dir=f'{disk.mount}/data') as node:
        peer = node.peer()
        with disk.stuck():
            peer.send(wire.request(wire.new_id(), [wire.put(b'k', b'v'), wire.op(wire.COMMIT)]))
            deadline = time.monotonic() + WAIT_S
            while node.info()['log_stalled_us'] == 0 and time.monotonic() < deadline:
                time.sleep(0.1)
            shown = top(node, '--count', '1', '-i', '0.2')
            t.ok(re.search(r'^log +STALLED \S+s ', shown, re.M), 'top says so', shown)
        t.ok(peer.receive(WAIT_S) is not None, 'the disk comes back')
        shown = top(node, '--count', '1', '-i', '0.5')
        t.ok(re.search(r'^log +ok ', shown, re.M), 'and top says that, too', shown)


def dead_and_back(t):
    """A node that is killed, and started again"""
    with nodes.Node(slow='1ms') as node:
        pin_dir = node.keys['pin_dir']
        peer = node.peer()
        for i in range(200):
            peer.write({b'k%d' % i: b'v'})
        with Running('top', '-b', '--pin-dir', pin_dir, '-i', '0.2') as view, \
                Running('slow', '--pin-dir', pin_dir) as slow:
            view.wait_for('running')
            pid = node.pid
            node.kill()
            text = view.wait_for(' is DEAD: ')
            t.ok(f'process {pid} ended' in text, 'top says that it is dead')
            t.ok('requests      in 200  ' in view.wait_for('in 200  '),
                 'and shows what it had done')
            t.ok(f'process {pid} of {pin_dir} ended' in slow.wait_for('dead', error=True),
                 'slow says so')
            done = abaft('slow', '--pin-dir', pin_dir)
            t.ok(done.returncode == 0 and 'the node is dead' in done.stderr,
                 'and does not wait for who was dead before', done)
            node.start()
            peer.write({b'again': b'v'})
            view.wait_for('restarted 1 time ')
            text = view.wait_for('in 0/s')
            t.ok('BACK' not in text, 'a restart is told, and is no going back of counters', text)
            slow.wait_for(f'on with process {node.pid}', error=True)
            t.equal(slow.process.poll(), None, 'slow goes on with the new process')
            node.stop()
            view.wait_for(' is GONE')
            t.ok(True, 'a node that was stopped is gone')
    for command in (('top', '-b', '--count', '1'), ('slow', '-n', '1')):
        done = abaft(*command, '--pin-dir', pin_dir)
        t.ok(done.returncode == 6 and pin_dir in done.stderr and done.stdout == '',
             f'{command[0]}: without a node it says so', done)


@contextlib.contextmanager
def thieves(count):
    """Processes that never rest."""
    started = [subprocess.Popen([sys.executable, '-c', 'while True: pass'],
                                preexec_fn=nodes._die_with_parent) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def kernel_side(t):
    """Who keeps a worker from running"""
    with nodes.Node(workers=1, cores='0', watch='yes') as node, load('-c', '16', '-s', '60'):
        shown = top(node, '--count', '1', '-i', '0.3')
        if 'run delay not watched' in shown:
            t.note(node.said())
            t.ok(True, 'who stole the CPU # SKIP the BPF programs do not run here')
            return
        with thieves(2 * len(os.sched_getaffinity(0))):
            shown = top(node, '--count', '1', '-i', '2')
        stole = re.search(r'^thieves .*?(?:  | )python\S* ([0-9.]+m?s) of worker 0', shown, re.M)
        t.ok(stole and 0.05 < number(stole.group(1)) < 3, 'a thief is named, with his time', shown)
        t.ok(re.search(r'^threads +run delay [0-9].* preempted [0-9.]+k?/s', shown, re.M),
             'how long the worker waited stands there', shown)
        t.ok(re.search(r'^softirqs +cpu\d+  [0-9.<]+%, most ', shown, re.M),
             'and what softirqs took', shown)


class Terminal:
    """`abaft top` on a terminal of its own."""

    def __init__(self, node, columns=80, rows=24, term='xterm'):
        self.ours, self.theirs = pty.openpty()
        self.size(columns, rows)
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [ABAFT, 'top', '--pin-dir', node.keys['pin_dir'], '-i', '0.2'], stdin=self.theirs,
            stdout=self.theirs, stderr=self.theirs, env={**node.environment, 'TERM': term},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.text = ''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def size(self, columns, rows):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def wait_for(self, what, timeout_s=WAIT_S):
        end = time.monotonic() + timeout_s
        while what not in self.text:
            if not select.select([self.ours], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f'never showed {what!r}, but: {self.text!r}')
            self.text += os.read(self.ours, 65536).decode(errors='replace')

    def press(self, keys, shows):
        self.text = ''
        os.write(self.ours, keys.encode())
        self.wait_for(shows)

    def ended(self):
        """Its exit status, and whether the terminal is as it was."""
        status = self.process.wait(WAIT_S)
        while select.select([self.ours], [], [], 0)[0]:
            self.text += os.read(self.ours, 65536).decode(errors='replace')
        return status, termios.tcgetattr(self.theirs) == self.before


def keys(t):
    """A terminal"""
    leave = '\x1b[?1049l'  # xterm's: back to the screen that was there before
    with nodes.Node(workers=2) as node:
        with Terminal(node) as screen:
            screen.wait_for('operations')
            t.ok(termios.tcgetattr(screen.theirs) != screen.before, 'the terminal is taken')
            for key, shows in (('w', 'WORKER'), ('d', 'TRANSACTIONS'), ('l', 'KERNEL'),
                               ('?', 'quit'), ('o', 'operations'), ('p', 'PAUSED')):
                screen.press(key, shows)
                t.ok(True, f'{key} shows {shows}')
            screen.press('p\x1b[6~', 'durable_ack')
            t.ok(True, 'what is below the window comes by scrolling')
            os.write(screen.ours, b'q')
            t.equal(screen.ended(), (0, True), 'q quits and leaves the terminal as it was')
            t.ok(leave in screen.text, 'with what was on it')
        for name, status in (('TERM', 0), ('INT', 0), ('HUP', 0), ('SEGV', -signal.SIGSEGV)):
            with Terminal(node) as screen:
                screen.wait_for('operations')
                screen.text = ''
                screen.process.send_signal(getattr(signal, f'SIG{name}'))
                t.equal(screen.ended() + (leave in screen.text,), (status, True, True),
                        f'SIG{name} ends it and leaves the terminal as it was')
        with Terminal(node, 40, 10, 'vt100') as screen:
            screen.wait_for('requests')
            t.ok(not re.search('\x1b\\[[0-9;]*[34][0-9]m', screen.text),
                 'a small one without colours is enough', repr(screen.text))
            screen.text = ''
            screen.size(90, 30)
            screen.process.send_signal(signal.SIGWINCH)
            screen.wait_for('LATENCY')
            t.ok(True, 'when it grows more is shown')
        with Terminal(node, 1, 1) as screen:
            time.sleep(0.5)
            os.write(screen.ours, b'wq')
            t.equal(screen.ended(), (0, True), 'the smallest one does no harm')
        for term in ('', 'no-such-terminal'):
            with Terminal(node, term=term) as screen:
                screen.wait_for('top -b')
                t.equal(screen.ended(), (6, True), f'TERM={term}: says what to do')
        done = abaft('top', '--pin-dir', node.keys['pin_dir'])
        t.ok(done.returncode == 6 and 'top -b' in done.stderr, 'without a terminal, too', done)


reason = nodes.missing()
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
t = tap.Tap()
for case in (known_load, stuck_disk, stalled, dead_and_back, kernel_side, keys):
    t.case(case)
t.done()
