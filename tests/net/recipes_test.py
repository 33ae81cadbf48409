#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""recipes_test.py - every recipe of docs/operations.md, as it stands there, against a live node
whose load is known: a fenced block `sh recipe NAME` is pasted into bash behind the functions of
those before it, and what it prints is compared with what was done, and with the maps.

Changed is only what a reader would change: the node's folder, and how long something is watched."""
import collections
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import bpftrace  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
import wire  # noqa: E402

PAGE = f'{nodes.ROOT}/docs/operations.md'
ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
BLOCK = re.compile(r'^```sh recipe (\S+)\n(.*?)^```$', re.M | re.S)
FUNCTION = re.compile(r'^\w+\(\) \{.*?(?:^\}| \})$|^export [^\n]*$', re.M | re.S)
ABAFT_HERE = f"""#!/bin/bash
case "$1 $*" in
*" --pin-dir "*) ;;
"stats "*|"top "*|"slow "*) set -- "$1" --pin-dir "$PINS" "${{@:2}}" ;;
esac
exec {ABAFT} "$@"
"""
RUN_S = 30
CLOSED = 7439
READY_S = 40
ANSWER_S = 10
REST_S = 1.3
ROB_S = 2
WAITS = ('run_delay', 'preempted')
ROBBER = """import sys, time
open('/proc/self/comm', 'w').write('robber')
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    pass"""
SLOW_MS = 50
STALL_S = 0.2
HISTOGRAMS = ('service', 'txn_life', 'commit_durable', 'durable_ack', 'log_device', 'log_group',
              'log_depth', 'handover', 'reclaim_lag', 'arrival', 'engine_call')
SHARES = ((50, 0.5), (90, 0.9), (99, 0.99), (99.9, 0.999))


class Page:
    """The recipes in their order, and a shell for each that has pasted those before it."""

    def __init__(self):
        with open(PAGE) as file:
            self.text = file.read()
        self.recipes = dict(BLOCK.findall(self.text))
        self.count = len(BLOCK.findall(self.text))
        self.used = set()

    def script(self, name, node, changes=()):
        self.used.add(name)
        before = []
        for other, block in self.recipes.items():
            if other == name:
                break
            before += FUNCTION.findall(block)
        text = '\n'.join(before + [self.recipes[name]])
        text = text.replace('PINS=/sys/fs/bpf/abaft', f'PINS={node.keys["pin_dir"]}')
        for old, new in changes:
            if old not in text:
                raise ValueError(f'the recipe {name} has no {old!r} any more')
            text = text.replace(old, new)
        return text

    def start(self, name, node, changes=(), errors=subprocess.STDOUT):
        # An abaft that names the node's folder: other nodes of this machine are none of ours.
        os.makedirs(f'{node.dir}/bin', exist_ok=True)
        with open(f'{node.dir}/bin/abaft', 'w', opener=lambda p, f: os.open(p, f, 0o755)) as file:
            file.write(ABAFT_HERE)
        environment = {**os.environ, 'PATH': f'{node.dir}/bin:{os.environ["PATH"]}',
                       'TERM': 'xterm', 'PINS': node.keys['pin_dir']}
        return subprocess.Popen(['bash', '-c', self.script(name, node, changes)], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                env=environment, start_new_session=True, cwd=node.dir,
                                preexec_fn=nodes._die_with_parent)

    def run(self, t, name, node, changes=()):
        """What it prints; what it says on standard error is in self.said, and is no good sign."""
        shell = self.start(name, node, changes, errors=subprocess.PIPE)
        try:
            out, self.said = shell.communicate(timeout=RUN_S)
        finally:
            end(shell)
        t.equal((shell.returncode, self.said), (0, ''), f'{name}: runs')
        return out

    def watch(self, name, node, pattern):
        """What it prints until the pattern has come, or RUN_S are over; then Ctrl-C."""
        shell = self.start(name, node)
        stop, text = time.monotonic() + RUN_S, ''
        try:
            while not re.search(pattern, text) and time.monotonic() < stop:
                if select.select([shell.stdout], [], [], 1)[0]:
                    text += os.read(shell.stdout.fileno(), 65536).decode()
            os.killpg(shell.pid, signal.SIGINT)
            return text
        finally:
            end(shell)


def end(shell):
    """Nothing of it stays."""
    try:
        os.killpg(shell.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    shell.wait()


def dump(node, name):
    text = nodes.run('bpftool', '-j', 'map', 'dump', 'pinned', f'{node.keys["pin_dir"]}/{name}')
    return [entry['formatted'] for entry in json.loads(text)]


def total(node, name):
    sums = collections.Counter()
    for entry in dump(node, name):
        for slot in entry.get('values', [entry]):
            sums.update(slot['value'])
    return dict(sums)


def stats(node):
    done = subprocess.run([ABAFT, 'stats', '--json', '--pin-dir', node.keys['pin_dir']],
                          stdout=subprocess.PIPE, timeout=RUN_S, check=True)
    return json.loads(done.stdout)['total']


def low(bucket):
    """histogram_low() of include/abaft/histogram.h."""
    return bucket if bucket < 32 else (32 + bucket % 32) << (bucket // 32 - 1)


def quantile(entries, share):
    """histogram_quantile() of telemetry/histogram.c."""
    buckets = [sum(column) for column in zip(*(e['value']['bucket'] for e in entries))]
    highest = max(e['value']['max'] for e in entries)
    rank, seen = share * sum(buckets), 0
    for bucket, count in enumerate(buckets):
        seen += count
        if seen >= rank:
            middle = (low(bucket) + low(bucket + 1)) // 2
            return highest if bucket == len(buckets) - 1 else min(middle, highest)
    return 0


def pairs(text):
    """Lines of a name and a number, either first."""
    found = {}
    for line in filter(None, text.splitlines()):
        words = line.split()
        number = words.pop() if words[-1].isdigit() else words.pop(0)
        found[' '.join(words)] = int(number.removesuffix('/s'))
    return found


class Load:
    """Known requests; none is sent twice."""

    def __init__(self):
        self.peer = wire.Peer(workers=2)
        self.requests = [0, 0]  # of each worker
        self.strangers = 0  # packets to a port that is not the node's

    def call(self, *ops, worker=0, **fields):
        txn = wire.new_id(worker=worker, workers=2)
        self.requests[worker] += 1
        answer = self.peer.call(wire.request(txn, ops, **fields), ANSWER_S)
        if answer is None:
            raise TimeoutError('no answer')
        return txn

    def commit(self, worker=0):
        return self.call(wire.put(b'key', b'x' * 100), wire.op(wire.COMMIT), worker=worker)

    def run(self):
        for i in range(40):
            self.commit(worker=i % 4 == 0)
        for _ in range(7):
            self.call(wire.get(b'nobody'), wire.op(wire.COMMIT), worker=1)
        for _ in range(3):
            self.call(wire.get(b'key'), flags=0, instance=1)
        for _ in range(2):
            self.call(wire.op(wire.PUT_PART, b'big', b'y' * 256, total=wire.VALUE_BYTES_MAX + 1))
        txn = wire.new_id(worker=0, workers=2)
        for _ in range(5):
            self.peer.send(wire.request(txn, [wire.get(b'key')], magic=b'ABFU'))
        for _ in range(4):
            self.peer.send(wire.request(txn, [wire.get(b'key')]), port=7399)

    def stall(self, node):
        """A request that comes while the node stands still; its id."""
        os.kill(node.pid, signal.SIGSTOP)
        txn = wire.new_id(worker=1, workers=2)
        packet = wire.request(txn, [wire.put(b'slow', b'1'), wire.op(wire.COMMIT)])
        self.peer.send(packet)
        time.sleep(STALL_S)
        os.kill(node.pid, signal.SIGCONT)
        self.requests[1] += 1
        if self.peer.receive(ANSWER_S) is None:
            raise TimeoutError('no answer after the stall')
        return txn


def settled(node):
    """When what workers publish now and then is out, memory has come back, and who stayed open for
    a second is frozen."""
    before, since = None, time.monotonic()
    stop = since + 10 * REST_S
    while time.monotonic() < stop:
        now = [dump(node, name) for name in ('log_counters', 'reclaim_lag', 'node_counters')]
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > REST_S:
            return
        time.sleep(0.2)
    raise TimeoutError('the node does not come to rest')


def facts(t, page, node, load):
    """Who writes, and does it live"""
    shown = json.loads(page.run(t, 'node', node))
    t.equal((shown['pid'], shown['workers'], shown['port'], shown['udp_port'], shown['data_dir']),
            (node.pid, 2, 'afxdp:lo', 7400, node.keys['data_dir']), 'node: it is this one')
    t.equal(page.run(t, 'alive', node), f'process {node.pid} lives\n', 'alive: it lives')


def counts(t, page, node, load):
    """Counts that the load knows"""
    t.equal(page.run(t, 'first', node), '', 'first: says nothing')
    shown = json.loads(page.run(t, 'total', node))
    t.equal(shown, {k: v for k, v in total(node, 'node_counters').items() if v}, 'total: all of it')
    t.equal([shown.get(name) for name in ('commits', 'commits_read_only', 'puts', 'gets')],
            [41, 7, 41, 7], 'total: what was done')
    lines = page.run(t, 'workers', node).splitlines()
    t.equal(lines, [f'worker 0: {load.requests[0]} requests, {load.requests[1]} handed over',
                    f'worker 1: {load.requests[1]} requests, 0 handed over'],
            'workers: requests of each')
    t.equal(pairs(page.run(t, 'errors', node)), {'get NOT_FOUND': 7, 'packet UNKNOWN_TXN': 3,
                                                 'put_part TOO_LARGE': 2},
            'errors: by operation and status')
    t.equal(pairs(page.run(t, 'refused', node)), {'refused_unknown': 3, 'refused_too_large': 2},
            'refused: by reason')
    shown = pairs(page.run(t, 'verdicts', node))
    # On lo the program sees the answers, too, and the kernel's to a port where nobody listens.
    t.equal(shown, {'redirected': sum(load.requests), 'drop_magic': 5,
                    'pass_other_port': sum(load.requests) + 4, 'pass_not_udp': 4},
            'verdicts: by reason')
    t.equal(set(pairs(page.run(t, 'lost', node)).values()), {0}, 'lost: nothing')
    line, = page.run(t, 'tenants', node).splitlines()
    frames, bytes_ = re.fullmatch(r'tenant 0: (\d+) packets, (\d+) bytes', line).groups()
    want = (sum(load.requests), total(node, 'steer_bytes')['redirected'])
    t.equal((int(frames), int(bytes_)), want, 'tenants: one, with all')


def percentiles(t, page, node, load):
    """Percentiles as abaft and python have them"""
    ours = stats(node)['histograms']
    for name in HISTOGRAMS:
        entries = dump(node, name)
        shown = pairs(page.run(t, 'percentiles', node, [('percentiles service',
                                                         f'percentiles {name}')]))
        want = {f'p{p}': quantile(entries, share) for p, share in SHARES}
        want['max'] = max(e['value']['max'] for e in entries)
        t.equal(shown, want, f'percentiles: {name}, as python computes them')
        t.equal(shown, {key: ours[name][key] for key in want}, f'percentiles: {name}, as abaft')
    t.ok(sum(e['value']['count'] for e in dump(node, 'service')) == sum(load.requests),
         'percentiles: of all requests')


def slow(t, page, node, load):
    """Slow requests"""
    shown = page.run(t, 'slow', node)
    t.equal(shown.count(str(uuid.UUID(bytes=load.stalled))), 1,
            'slow: the stalled transaction is there')
    lines = page.run(t, 'slow-jq', node).splitlines()
    lines = [line for line in lines if load.stalled.hex() in line]
    match = lines and re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \w{32} (\d+) ms, mostly (\w+)',
                                   lines[0])
    t.ok(match, 'slow-jq: the stalled transaction is there', lines)
    t.ok(match and STALL_S * 900 <= int(match[1]) < STALL_S * 10000,
         'slow-jq: it took as long as the stall', lines)


def of_abaft(t, page, node, load):
    """What abaft prints, and jq makes of it"""
    commit, durable, *each = page.run(t, 'stats-json', node).splitlines()
    t.equal(int(commit), sum(e['value']['commit']['count'] for e in dump(node, 'op_counters')),
            'stats-json: commits asked for')
    entries = dump(node, 'commit_durable')
    t.equal(json.loads(durable), {'p50': quantile(entries, 0.5), 'p99': quantile(entries, 0.99),
                                  'max': max(e['value']['max'] for e in entries)},
            'stats-json: percentiles')
    t.equal(each, [f'0 {load.requests[0]} {load.requests[1]}', f'1 {load.requests[1]} 0'],
            'stats-json: each worker')
    page.run(t, 'stats-every', node, [('--count 60', '--count 2')])
    with open(f'{node.dir}/stats.jsonl') as file:
        lines = [json.loads(line) for line in file]
    t.equal([line['total']['counters']['requests'] for line in lines], [sum(load.requests)] * 2,
            'stats-every: a line at each interval')
    shown = page.run(t, 'top-batch', node, [('--interval 10', '--interval 1')])
    t.ok(re.search(rf'running .* {node.pid}$', shown, re.M), 'top-batch: the node', shown)
    slow = [s for e in dump(node, 'slow_txns') for s in e['value']['entry'] if s['sequence']]
    shown = {s['worker']: s for s in json.loads(page.run(t, 'slow-workers', node))}
    t.equal({worker: s['slow'] for worker, s in shown.items()},
            dict(collections.Counter(s['worker'] for s in slow)), 'slow-workers: how many')
    t.ok(all(abs(s['device_ms'] - sum(e['phase_ns']['device'] for e in slow
                                      if e['worker'] == worker) / 1e6) < 0.01
             for worker, s in shown.items()), 'slow-workers: their time at the disk', shown)
    told = page.run(t, 'errors-told', node, [('journalctl -u abaftd -o cat', 'cat stderr'),
                                             ('"error"', '"info"')])
    t.ok(re.search(r'^\d{4}-\d\d-\d\dT[0-9:.]+Z \S', told, re.M), 'errors-told: with their time',
         node.said())


def device(t, page, node, load):
    """The disk's times"""
    shown = {line.split()[0]: pairs('\n'.join(re.findall(r'\S+ \d+', line.split(' ', 1)[1])))
             for line in page.run(t, 'device', node).splitlines()}
    there = [name for name in ('log_device', 'uring_write', 'uring_sync', 'block_write',
                               'block_flush') if os.path.exists(f'{node.keys["pin_dir"]}/{name}')]
    t.equal(sorted(shown), sorted(there), 'device: each map that is there')
    for name in there:
        t.equal(shown[name].get('p99'), quantile(dump(node, name), 0.99), f'device: p99 of {name}')


def rates(t, page, node, load):
    """Rates under a load of another program"""
    before = total(node, 'worker_counters')
    shown = pairs(page.run(t, 'rates', node))
    t.ok(0 < shown.get('requests', 0) <= total(node, 'worker_counters')['requests'] -
         before['requests'], 'rates: some, and no more than there were meanwhile', shown)
    before = total(node, 'node_counters')
    text = page.watch('watch', node, r'\d/s commits')
    grown = total(node, 'node_counters')['commits'] - before['commits']
    found = re.search(r'(\d+)/s commits', text)
    t.ok(found and 0 < int(found[1]) <= grown, 'watch: some, and no more than there were meanwhile',
         repr(text))
    before = sum(e['value']['count'] for e in dump(node, 'txn_life'))
    shown = page.run(t, 'since', node, [('since txn_life 10', 'since txn_life 1')])
    grown = sum(e['value']['count'] for e in dump(node, 'txn_life')) - before
    match = re.fullmatch(r'count (\d+)\np50 from (\d+) to (\d+)\np99 from (\d+) to (\d+)\n', shown)
    t.ok(match and 0 < int(match[1]) <= grown, 'since: some, and no more than there were', shown)
    t.ok(match and int(match[2]) < int(match[3]) <= int(match[5]), 'since: percentiles', shown)


def one_liners(page, node, names, work):
    """Runs recipes of bpftrace's until the work is done; what each prints."""
    shells = [page.start(name, node) for name in names]
    stop, tracers = time.monotonic() + READY_S, {}
    try:
        while len(tracers) < len(shells):
            if time.monotonic() > stop or any(shell.poll() is not None for shell in shells):
                raise TimeoutError('a recipe does not watch')
            time.sleep(0.2)
            for pid in bpftrace.uprobes():
                tracers.update({s: pid for s in shells if s.pid == group(pid)})
        work()
        for shell, tracer in tracers.items():
            bpftrace.end(shell, tracer)
        return [shell.communicate(timeout=RUN_S)[0] for shell in shells]
    finally:
        for shell in shells:
            end(shell)


def group(pid):
    """Of a process that may be gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def probes(t, page, node, load):
    """One-liners for bpftrace"""
    large = []

    def work():
        for _ in range(5):
            load.commit()
        large.append(load.call(wire.put(b'large', b'x' * 1001), wire.put(b'small', b'x'),
                               wire.op(wire.COMMIT)).hex())
    commits, keys, writes = one_liners(
        page, node, ('bpftrace-commits', 'bpftrace-keys', 'bpftrace-large'), work)
    t.equal(sum(int(n) for n in re.findall(r'^@commits: (\d+)$', commits, re.M)), 6,
            'bpftrace-commits: as many as were committed')
    t.equal(re.findall(r'^\[(\d+), \d+\) +(\d+) \|', keys, re.M), [('1', '5'), ('2', '1')],
            'bpftrace-keys: of each')
    t.equal(re.findall(r'^(\w{32}) (\S+) (\d+)$', writes, re.M), [(large[0], 'large', '1001')],
            'bpftrace-large: the one there was')


def optional(t, page, node, names, maps):
    """Whether the maps are there; if not, the recipes are skipped."""
    lack = [name for name in maps if not os.path.exists(f'{node.keys["pin_dir"]}/{name}')]
    if lack:
        t.note(f'skipped {", ".join(names)}: without {", ".join(lack)} on this kernel', node.said())
        page.used |= set(names)
    return not lack


def robbed(t, page, node, load):
    """Who has the workers' cores"""
    if not optional(t, page, node, ('waits', 'thieves'), ('run_delay', 'preempted', 'thieves')):
        return
    robber = subprocess.Popen(
        ['taskset', '-c', str(node.cores[1]), 'chrt', '--fifo', '1', sys.executable, '-c', ROBBER,
         str(ROB_S)], preexec_fn=nodes._die_with_parent)  # before all others of a busy machine
    other = subprocess.Popen([ABAFT, 'load', '-q', '-c', '4', '-b', '100', '-s', str(ROB_S)],
                             stdout=subprocess.DEVNULL, preexec_fn=nodes._die_with_parent)
    for process in (robber, other):
        process.wait(RUN_S)
    shown = page.run(t, 'thieves', node)
    match = re.search(rf'^worker 1 waited for robber, thread {robber.pid}: (\d+) times, (\d+) ms$',
                      shown, re.M)
    t.ok(match and int(match[1]) > 0, 'thieves: who took a core of a worker', shown)
    t.ok(match and 0 < int(match[2]) <= (ROB_S + 1) * 1000, 'thieves: and for how long', shown)
    t.ok(len(shown.splitlines()) <= 10, 'thieves: the ten greatest')
    before = {name: max(e['value']['max'] for e in dump(node, name)) for name in WAITS}
    shown = {line.split()[0]: pairs('\n'.join(re.findall(r'\S+ \d+', line.split(' ', 1)[1])))
             for line in page.run(t, 'waits', node).splitlines()}
    t.equal(sorted(shown), sorted(WAITS), 'waits: both')
    for name in WAITS:
        after = max(e['value']['max'] for e in dump(node, name))
        t.ok(0 < shown[name]['p50'] <= shown[name]['p99'] <= shown[name]['max'] and
             before[name] <= shown[name]['max'] <= after, f'waits: {name}', shown, before, after)


def softirqs(t, page, node, load):
    """Softirqs on workers' CPUs"""
    if not optional(t, page, node, ('softirqs',), ('softirqs',)):
        return

    def counts():
        return {(e['key'], name): stat['count'] for e in dump(node, 'softirqs')
                for name, stat in e['value'].items() if stat['count']}
    before = counts()
    shown = {(int(cpu), name): int(count) for cpu, name, count in re.findall(
        r'^CPU (\d+), (\w+): (\d+) times, \d+ ms$', page.run(t, 'softirqs', node), re.M)}
    after = counts()
    t.ok(set(before) <= set(shown) <= set(after) and
         all(before.get(key, 0) <= shown[key] <= after[key] for key in shown),
         'softirqs: as many as there were', before, shown, after)
    t.ok(any(name == 'net_rx' for _, name in shown), 'softirqs: packets came', shown)


def prometheus(t, page, node, load):
    """Metrics over HTTP, and what the page says of Prometheus"""
    want = sum(e['value']['commits'] for e in dump(node, 'node_counters'))
    shown = re.findall(r'^(abaft_\w+)\{[^}]*\} (\d+)$', page.run(t, 'metrics', node), re.M)
    sums = collections.Counter()
    for name, value in shown:
        sums[name] += int(value)
    t.equal(dict(sums), {'abaft_up': 1, 'abaft_core_commits_total': want, 'abaft_log_error': 0},
            'metrics: what the maps say')
    t.equal(page.run(t, 'ready', node), '200\n', 'ready: it is')
    served = nodes.run('curl', '-s', 'http://127.0.0.1:7400/metrics')
    blocks = dict(re.findall(r'^```yaml prometheus (\w+)\n(.*?)^```$', page.text, re.M | re.S))
    t.equal(sorted(blocks), ['config', 'rules'], 'there are a scrape configuration and rules')
    names = {name for name in re.findall(r'\babaft_\w+', blocks['rules'])
             if not name.startswith('abaft_engine_')}  # this node has none
    t.equal({name for name in names if not re.search(rf'^{name}\{{', served, re.M) and
             not (name == 'abaft_thief_seconds_total' and 'thieves' not in os.listdir(
                 node.keys['pin_dir'])) and name != 'abaft_op_errors_total'}, set(),
            'the node has what the rules ask for')
    if not shutil.which('promtool'):
        t.note('not checked by promtool: it is not there (tools/setup unpacks it)')
        return
    for kind, text in blocks.items():
        path = f'{node.dir}/{kind}.yml'
        with open(path, 'w') as file:
            file.write(text)
        done = subprocess.run(['promtool', 'check', kind, path], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=RUN_S)
        t.equal(done.returncode, 0, f'promtool takes the {kind}') or t.note(done.stdout)


def report(t, page, node, load):
    """A load run and its page"""
    if not shutil.which('gnuplot'):
        t.note('skipped report: needs gnuplot')
        page.used.add('report')
        return
    before = total(node, 'node_counters')['commits']
    page.run(t, 'report', node, [('-s 60 --rate 2000', '-s 2 --rate 200'),
                                 ('yesterday today', 'run run')])
    with open(f'{node.dir}/run/load.json') as file:
        committed = json.load(file)['committed']
    t.equal(committed, total(node, 'node_counters')['commits'] - before,
            'report: the node committed what the run says')
    for name in ('run/report.html', 'compared.html'):
        with open(f'{node.dir}/{name}') as file:
            t.ok('<svg' in file.read(), f'report: plots in {name}')
    with open(f'{node.dir}/run/stats.jsonl') as file:
        t.ok(len(file.readlines()) >= 2, 'report: the node at each second')


def drops(t, page, node, load):
    """Datagrams that the kernel drops: to a port where nobody listens"""
    shell = page.start('drops', node, [
        ('abaft drops', f'abaft drops --count 2 --port {CLOSED}')])
    sent, stop = 0, time.monotonic() + RUN_S
    while shell.poll() is None and time.monotonic() < stop:  # until it has seen two intervals
        load.peer.send(b'nobody', port=CLOSED)
        sent += 1
        time.sleep(0.05)
    try:
        found = re.findall(r'^NO_SOCKET (\d+)$', shell.communicate(timeout=RUN_S)[0], re.M)
    finally:
        end(shell)
    t.ok(0 < sum(map(int, found)) <= sent, 'drops: by their reason', found)


def several(t, page, node, load):
    """Several nodes, one of them on a veth pair"""
    theirs = nodes.PeerNamespace()
    try:
        keys = {'port': 'afxdp:ours', 'addresses': '10.7.0.1', 'udp_port': 7500, 'node': 1}
        with nodes.Node(**keys) as second:
            ours = f'/sys/fs/bpf/abaft-test-{os.getpid()}-*/node'  # others may come and go
            lines = page.run(t, 'nodes', node, [('/sys/fs/bpf/*/node', ours)]).splitlines()
            t.equal(lines, [f'{n.keys["pin_dir"]}: node {number}, process {n.pid}, port {port}, '
                            f'UDP {udp}, data {n.keys["data_dir"]}' for n, number, port, udp in
                            ((node, 0, 'afxdp:lo', 7400), (second, 1, 'afxdp:ours', 7500))],
                    'nodes: both')
            t.equal(total(second, 'worker_counters')['requests'], 0, 'nodes: each has its own')
        third = nodes.Node(start=False, **keys)
        own, third.keys['pin_dir'] = third.keys['pin_dir'], node.keys['pin_dir']
        try:
            third.start()
            said = 'it started'
        except nodes.Failed as error:
            said = str(error)
        third.keys['pin_dir'] = own  # or it would take the other's pins with it
        third.close()
        t.ok(f'belong to a running node (pid {node.pid})' in said,
             'nodes: none starts with the pins of another', said)
    finally:
        theirs.close()


def dead(t, page, node, load):
    """A node that was killed, and one that starts again"""
    before = {name: dump(node, name) for name in ('node_counters', 'steer_counters', 'service')}
    pid = node.pid
    node.kill()
    t.equal(page.run(t, 'alive', node), f'process {pid} is gone\n', 'alive: it is gone')
    shell = page.start('dead', node, errors=subprocess.PIPE)
    out, said = shell.communicate(timeout=RUN_S)
    commits = sum(e['value']['commits'] for e in before['node_counters'])
    t.ok(shell.returncode == 0 and re.search(rf'^ *commits +{commits}\b', out, re.M),
         'dead: its last numbers', out)
    t.ok('gone' in said, 'dead: it says that the node is gone', said)
    t.equal({name: dump(node, name) for name in before}, before, 'dead: its maps stay as they were')
    node.start()
    t.equal(total(node, 'node_counters')['commits'], 0, 'a node that starts begins at 0')
    node.stop()
    t.ok(not os.path.exists(node.keys['pin_dir']), 'a clean end leaves no pins')


def table(t, page, node, load):
    """The table of the page against the folder of a live node"""
    rows = re.findall(r'^\| `(\w+)` \| [^|]+ \| ([^|]*) \| ([^|]+) \| [^|]+ \|$', page.text, re.M)
    writer = {name: by.strip() for name, _, by in rows}
    there = set(os.listdir(node.keys['pin_dir'])) - {'steer'}  # the program
    t.equal(there - set(writer), set(), 'every map that is pinned is in the table')
    optional = {name for name, by in writer.items()
                if by in ('`log_uring`', '`log_block`', '`sched`', '`softirq`')
                or name == 'engine'}  # this node has none
    t.equal(set(writer) - there - optional, set(), 'every map of the table is pinned')
    t.note(f'without its program here: {sorted(optional - there) or "none"}')
    wrong = []
    for name, value, _ in rows:
        if name in there and '`' in value:
            text = nodes.run('bpftool', 'btf', 'dump', 'map', 'pinned',
                             f'{node.keys["pin_dir"]}/{name}', 'value', 'format', 'raw')
            if re.search(r"STRUCT '(\w+)'", text)[1] != re.search(r'`(\w+)`', value)[1]:
                wrong.append((name, value, text[:60]))
    t.equal(wrong, [], 'values are of the types that the table says')
    t.ok(page.run(t, 'type', node).count('struct histogram {') == 1, 'type: the structure')


def everything(t):
    """All recipes, in the order of what they do to the node"""
    page, load = Page(), Load()
    t.equal(len(page.recipes), page.count, 'each recipe has a name of its own')
    cores = (sorted(os.sched_getaffinity(0)) * 2)[:2]
    with nodes.Node(workers=2, port='afxdp:lo', slow=f'{SLOW_MS}ms', watch='yes',
                    log_format='json',
                    cores=','.join(map(str, cores))) as node:
        node.cores = cores
        load.run()
        load.stalled = load.stall(node)
        settled(node)
        for case in (table, facts, counts, percentiles, slow, of_abaft, device):
            t.case(case, page, node, load)
        other = subprocess.Popen([ABAFT, 'load', '-q', '-c', '4', '-b', '100', '-s', '15'],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 preexec_fn=nodes._die_with_parent)
        try:
            t.case(rates, page, node, load)
        finally:
            other.kill()
            other.wait()
        for worker in (0, 1):  # behind whatever that load had under way
            load.commit(worker)
        reason = bpftrace.missing()
        if reason:
            t.note(f'one-liners for bpftrace skipped: {reason}')
            page.used |= {name for name in page.recipes if name.startswith('bpftrace-')}
        else:
            t.case(probes, page, node, load)
        for case in (robbed, softirqs, report, drops, prometheus, several, dead):
            t.case(case, page, node, load)
    t.equal(set(page.recipes) - page.used, set(), 'every recipe was run')


reason = nodes.missing()
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
t = tap.Tap()
t.case(everything)
t.done()
