# SPDX-License-Identifier: Apache-2.0
"""node.py - a node for tests, demonstrations and benchmarks: in a network namespace of its own, in
directories of its own, gone at exit.

    enter_namespace()                     this process leaves the machine's network for good
    with Node(workers=2) as node:         starts abaftd and waits until it is ready
        node.peer().info()
        node.kill(); node.start()         the same data again
    # here process, directories, pins and namespace are gone, also after an exception

With $ABAFT_GUEST in the environment a Node is one in a virtual machine: guest_node.py.

The daemon is found by $ABAFTD, else in build/control. Every process is ended by its pid, and the
kernel ends it if this process dies first. Everything waits for a bounded time.
"""
import atexit
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import wire  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
# Unpacked by tools/setup, for tests alone.
os.environ['PATH'] += ':/var/cache/abaft/prometheus/usr/bin'
SUPPRESSIONS = f'{ROOT}/tests/lsan.supp'  # only a build with sanitizers reads it
READY_S = 30
STOP_S = 20
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x20000
_libc = ctypes.CDLL(None, use_errno=True)
_libc_prctl_pdeathsig = 1
_count = 0
_undo = []


def _die_with_parent():
    _libc.prctl(_libc_prctl_pdeathsig, signal.SIGKILL)


def _undo_all():
    while _undo:
        try:
            _undo.pop()()
        except Exception as error:  # go on undoing the rest
            print(f'# undo: {error}', file=sys.stderr)


def _on_signal(number, _frame):
    sys.exit(128 + number)


atexit.register(_undo_all)
signal.signal(signal.SIGTERM, _on_signal)


def missing():
    """Why nodes cannot be run here, in words, or None."""
    if os.geteuid() != 0:
        return 'needs root (network namespaces, XDP)'
    if not os.path.ismount('/sys/fs/bpf'):
        return 'needs a BPF file system on /sys/fs/bpf'
    return None


def elsewhere():
    """Nodes run in a virtual machine."""
    return 'ABAFT_GUEST' in os.environ


def run(*command):
    """Runs a short command to its end; raises with its output when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30,
                          text=True)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(command)}: {done.stdout.strip()}')
    return done.stdout


def enter_namespace():
    """A new network namespace for this process and all it starts: it has no name and goes with
    them. Its loopback is up. Who starts a guest has done so already."""
    if elsewhere():
        return
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    run('ip', 'link', 'set', 'lo', 'up')


def enter_bpffs():
    """A BPF file system on /sys/fs/bpf for this process and all it starts, which holds nobody
    else's pins and goes with them."""
    if _libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    run('mount', '--make-rprivate', '/')
    run('mount', '-t', 'bpf', 'bpf', '/sys/fs/bpf')


class Namespace:
    """A second namespace, with its loopback up."""

    def __init__(self):
        self.holder = subprocess.Popen(['unshare', '--net', 'sleep', '3600'],
                                       preexec_fn=_die_with_parent)
        _undo.append(self.close)
        path = f'/proc/{self.holder.pid}/ns/net'
        own = os.stat('/proc/self/ns/net').st_ino
        _wait(lambda: os.stat(path).st_ino != own, 5, 'the second namespace')
        self.run('ip', 'link', 'set', 'lo', 'up')

    def command(self, *command):
        return ('nsenter', f'--net=/proc/{self.holder.pid}/ns/net') + command

    def run(self, *command):
        return run(*self.command(*command))

    def inside(self, function):
        """What the function returns when this thread runs it in there: sockets made in it stay."""
        ours = os.open('/proc/self/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        theirs = os.open(f'/proc/{self.holder.pid}/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(theirs, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), 'setns')
            return function()
        finally:
            _libc.setns(ours, CLONE_NEWNET)
            os.close(ours)
            os.close(theirs)

    def close(self):
        self.holder.kill()
        self.holder.wait()
        if self.close in _undo:
            _undo.remove(self.close)


class PeerNamespace(Namespace):
    """Joined to ours by a veth pair: `here` on our side, `there` in it."""

    def __init__(self, here='ours', there='theirs', queues=1, mtu=1500):
        super().__init__()
        self.here = here
        q = str(queues)
        run('ip', 'link', 'add', here, 'mtu', str(mtu), 'numrxqueues', q, 'numtxqueues', q, 'type',
            'veth', 'peer', 'name', there, 'mtu', str(mtu), 'numrxqueues', q, 'numtxqueues', q,
            'netns', str(self.holder.pid))
        run('ip', 'addr', 'add', '10.7.0.1/24', 'dev', here)
        run('ip', 'addr', 'add', 'fd07::1/64', 'dev', here, 'nodad')
        run('ip', 'link', 'set', here, 'up')
        self.run('ip', 'addr', 'add', '10.7.0.2/24', 'dev', there)
        self.run('ip', 'addr', 'add', 'fd07::2/64', 'dev', there, 'nodad')
        self.run('ip', 'link', 'set', there, 'up')

    def close(self):
        subprocess.run(['ip', 'link', 'del', self.here], stderr=subprocess.DEVNULL, check=False)
        super().close()


def _wait(condition, timeout_s, what):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f'waited {timeout_s} s for {what}')
        time.sleep(0.01)


def freeze(pid):
    """Stops a process; returns when none of its threads runs any more."""
    def threads():
        for thread in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{thread}/stat') as file:
                yield file.read().rsplit(')', 1)[1].split()[0]
    os.kill(pid, signal.SIGSTOP)
    _wait(lambda: set(threads()) == {'T'}, 5, f'process {pid} to stop')


class Failed(Exception):
    """The daemon did not become ready; the text is what it said."""


class Node:
    """One abaftd. Keyword arguments are keys of its configuration, '_' for '-'."""

    def __init__(self, start=True, environment=None, **keys):
        global _count
        _count += 1
        self.dir = tempfile.mkdtemp(prefix='abaft-node-', dir=os.environ.get('TMPDIR', '/var/tmp'))
        self.keys = {'data_dir': f'{self.dir}/data', 'state_dir': f'{self.dir}/state',
                     'pin_dir': f'/sys/fs/bpf/abaft-test-{os.getpid()}-{_count}',
                     'segment_size': '8M', 'memory': '64M', 'keys': '16384',
                     # Watchers run at each context switch of the machine: who tests them asks.
                     'watch': 'no', 'log_level': 'info', **keys}
        self.environment = {'LSAN_OPTIONS': f'print_suppressions=0:suppressions={SUPPRESSIONS}',
                            **os.environ, **(environment or {})}
        self.process = None
        self.ready = ''
        _undo.append(self.close)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def workers(self):
        return int(self.keys.get('workers', 1))

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        program = os.environ.get('ABAFTD', f'{ROOT}/build/control/abaftd')
        flags = [f'--{name.replace("_", "-")}={value}' for name, value in self.keys.items()]
        return [program] + flags

    def start(self, timeout_s=READY_S, meanwhile=None):
        """Starts it and waits for its line; raises Failed with what it said. Calls `meanwhile` when
        it runs, whether it is ready or not."""
        os.makedirs(self.keys['state_dir'], exist_ok=True)
        with open(f'{self.dir}/stderr', 'ab') as errors:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=errors,
                                            stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent,
                                            env=self.environment)
        if meanwhile:
            meanwhile()
        self.ready = self._line(timeout_s)
        if not self.ready.startswith('abaftd: ready'):
            self.kill()
            raise Failed(self.said() or self.ready or 'said nothing')
        return self

    def _line(self, timeout_s):
        end = time.monotonic() + timeout_s
        line = b''
        out = self.process.stdout
        while not line.endswith(b'\n'):
            left = end - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                break
            more = os.read(out.fileno(), 4096)
            if not more:
                break
            line += more
        return line.decode(errors='replace').strip()

    def said(self):
        """Its standard error so far, all starts together."""
        with open(f'{self.dir}/stderr', errors='replace') as file:
            return file.read()

    def stop(self):
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self):
        """SIGKILL: what a crash leaves behind stays."""
        return self._end(signal.SIGKILL)

    def _end(self, number):
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(number)
        try:
            status = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
        process.stdout.close()
        return status

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """Ends it if it still runs, and removes directories and pins."""
        if self.process is not None and self.stop() is None:
            print('# the daemon had to be killed', file=sys.stderr)
        shutil.rmtree(self.dir, ignore_errors=True)
        for here, _, names in os.walk(self.keys['pin_dir'], topdown=False):
            for name in names:
                os.unlink(os.path.join(here, name))
            os.rmdir(here)
        if self.close in _undo:
            _undo.remove(self.close)

    def peer(self, address=wire.ADDRESS):
        return wire.Peer(address, int(self.keys.get('udp_port', 7400)), self.workers)

    def info(self, worker=0):
        peer = self.peer()
        try:
            return peer.info(worker)
        finally:
            peer.close()

    def total(self, *names):
        """Sums of counters over all workers: one number for one name, else a list."""
        infos = [self.info(w) for w in range(self.workers)]
        sums = [sum(info[name] for info in infos) for name in names]
        return sums[0] if len(sums) == 1 else sums

    def steer_counters(self):
        """What the XDP program counted, all CPUs together, out of its pinned map."""
        dump = json.loads(run('bpftool', '-j', 'map', 'dump', 'pinned',
                              f'{self.keys["pin_dir"]}/steer_counters'))
        sums = {}
        for cpu in dump[0]['formatted']['values']:
            for name, value in cpu['value'].items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def cpu_s(self):
        """CPU time it has used."""
        with open(f'/proc/{self.pid}/stat') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


if elsewhere():
    from guest_node import GuestNode as Node  # noqa: E402, F811
