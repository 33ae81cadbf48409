# SPDX-License-Identifier: Apache-2.0
"""The configuration for Cloudflare's ebpf_exporter: it is of that program's form, its numbers are
telemetry.h's places, and the object that goes with it gives it a real node's numbers. ebpf_exporter
itself is not in Debian: exporter.c does with the object what it does."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import client  # noqa: E402
import node as nodes  # noqa: E402
from node import Node  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

try:
    import yaml
except ImportError:
    skip_all('needs python3-yaml')

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
EXPORTER = sys.argv[1]
FOLDER = f'{nodes.ROOT}/tools/ebpf_exporter'
WORKERS = 2
# metric: the list of telemetry.h, the group in `abaft stats --json`
COUNTERS = {'abaft_worker_total': ('ABAFT_WORKER_COUNTERS', 'counters'),
            'abaft_core_total': ('ABAFT_NODE_COUNTERS', 'core'),
            'abaft_log_total': ('ABAFT_LOG_COUNTERS', 'log')}
OPS = {'abaft_op_requests_total': 'count', 'abaft_op_bytes_total': 'bytes'}
# What its documentation and its schema allow.
COUNTER_KEYS = {'name', 'help', 'labels'}
HISTOGRAM_KEYS = COUNTER_KEYS | {'bucket_type', 'bucket_min', 'bucket_max', 'bucket_multiplier'}


def rows(name):
    """[(name, other arguments)] of a list of telemetry.h"""
    with open(f'{nodes.ROOT}/include/abaft/telemetry.h') as file:
        body = re.search(r'#define %s\(X\)((?:.*\\\n)*.*\n)' % name, file.read()).group(1)
    return [(row[0], re.findall(r'"((?:[^"\\]|\\.)*)"', row[1]))
            for row in re.findall(r'X\((\w+),((?:\s*"(?:[^"\\]|\\.)*",?)+)\s*\)', body)]


def places(name):
    """{place: name} of those that only grow"""
    return {i: row for i, (row, texts) in enumerate(rows(name)) if not texts[-1].endswith(', now')}


def the_form(tap, config):
    """What ebpf_exporter asks of a configuration"""
    metrics = config['metrics']
    tap.equal((set(config), set(metrics)), ({'metrics'}, {'counters', 'histograms'}),
              'it has counters and histograms')
    wrong = [one['name'] for one in metrics['counters'] if set(one) != COUNTER_KEYS]
    wrong += [one['name'] for one in metrics['histograms'] if set(one) != HISTOGRAM_KEYS
              or one['bucket_type'] != 'exp2' or one['labels'][-1]['name'] != 'bucket']
    for one in metrics['counters'] + metrics['histograms']:
        for label in one['labels']:
            decoders = [decoder['name'] for decoder in label['decoders']]
            if label['size'] != 4 or decoders not in (['uint'], ['uint', 'static_map']):
                wrong.append(f'{one["name"]}: {label["name"]}')
        if sum(label['size'] for label in one['labels']) != 8:
            wrong.append(f'{one["name"]}: its labels are not its key')
    tap.equal(wrong, [], 'in the form of its documentation')


def the_names(tap, config):
    """Numbers and names are those of telemetry.h"""
    for one in config['metrics']['counters']:
        have = one['labels'][1]['decoders'][1]['static_map']
        want = places(COUNTERS[one['name']][0] if one['name'] in COUNTERS else 'ABAFT_OPS')
        tap.equal(have, want, f'{one["name"]}: every counter at its place')
    have = {one['name']: one['bucket_multiplier'] for one in config['metrics']['histograms']}
    want = {f'abaft_{name}': 1e-9 if texts[0] == 'ns' else 1
            for name, texts in rows('ABAFT_HISTOGRAMS')}
    tap.equal(have, want, 'every histogram, in seconds or in its unit')


def export(folder, names):
    """{map: {(worker, number): value}}, as ebpf_exporter reads it"""
    done = subprocess.run([EXPORTER, f'{folder}/abaft.bpf.o', *names], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode or not done.stdout.endswith('end\n'):
        raise RuntimeError(done.stderr)
    found = {name: {} for name in names}
    for line in done.stdout.splitlines()[:-1]:
        name, key, value = line.split()
        key = bytes.fromhex(key)
        found[name][int.from_bytes(key[:4], 'little'), int.from_bytes(key[4:], 'little')] = \
            int(value)
    return found


def buckets(histogram, bounds):
    """By the power of two that bounds them, from exact ones."""
    counts = {}
    for low, _, count in histogram['buckets']:
        key = next(power for power in bounds if low < 1 << power or power == bounds[-1])
        counts[key] = counts.get(key, 0) + count
    return counts


def the_numbers(tap, node, config, folder):
    """What comes out is what the node counted"""
    metrics = config['metrics']
    with client.Client() as c:
        for i in range(25):
            c.write({b'k%d' % i: b'x' * 700})
            c.read(b'k%d' % i)
    time.sleep(1)
    names = [one['name'] for one in metrics['counters'] + metrics['histograms']]
    found = export(folder, names)
    stats = json.loads(subprocess.run(
        [ABAFT, 'stats', '--pin-dir', node.keys['pin_dir'], '--json', '--buckets'], check=True,
        stdout=subprocess.PIPE, timeout=20).stdout)
    for one in metrics['counters']:
        apart = []
        for number, name in one['labels'][1]['decoders'][1]['static_map'].items():
            for w, worker in enumerate(stats['workers']):
                want = worker['ops'][name][OPS[one['name']]] if one['name'] in OPS else \
                    worker[COUNTERS[one['name']][1]][name]
                if name not in ('passes', 'sleeps') and found[one['name']].get((w, number)) != want:
                    apart.append((w, name, found[one['name']].get((w, number)), want))
        tap.equal(apart, [], f'{one["name"]}: as abaft stats says')
        tap.equal(len(found[one['name']]),
                  WORKERS * len(one['labels'][1]['decoders'][1]['static_map']),
                  f'{one["name"]}: and nothing else')
    for one in metrics['histograms']:
        bounds = list(range(one['bucket_min'], one['bucket_max'] + 1))
        apart = []
        for w, worker in enumerate(stats['workers']):
            want = worker['histograms'][one['name'].removeprefix('abaft_')]
            have = {k: v for (at, k), v in found[one['name']].items() if at == w and v}
            total = have.pop(one['bucket_max'] + 1, 0)
            if (have, total) != (buckets(want, bounds), want['sum']):
                apart.append((w, have, total, want))
        tap.equal(apart, [], f'{one["name"]}: buckets and sum')
    commits = sum(stats['workers'][w]['core']['commits'] for w in range(WORKERS))
    tap.ok(commits == 25, 'which were not all zero', commits)


def main():
    if os.geteuid() != 0:
        skip_all('needs root (network and mount namespaces, XDP)')
    with open(f'{FOLDER}/abaft.yaml') as file:
        config = yaml.safe_load(file)
    tap = Tap()
    made = subprocess.run([f'{FOLDER}/config'], stdout=subprocess.PIPE, timeout=20, text=True)
    with open(f'{FOLDER}/abaft.yaml') as file:
        tap.ok(file.read() == made.stdout, 'abaft.yaml is what tools/ebpf_exporter/config writes',
               'tools/ebpf_exporter/config > tools/ebpf_exporter/abaft.yaml')
    tap.case(the_form, config)
    tap.case(the_names, config)
    nodes.enter_namespace()
    nodes.enter_bpffs()
    if not os.path.exists('/sys/kernel/tracing/events/syscalls'):
        nodes.run('mount', '-t', 'tracefs', 'tracefs', '/sys/kernel/tracing')
    if not os.path.exists('/sys/kernel/tracing/events/syscalls/sys_enter_bpf'):
        tap.note('this kernel has no tracepoint sys_enter_bpf: the object is not loaded')
        tap.done()
    with tempfile.TemporaryDirectory(prefix='abaft-exporter-', dir='/var/tmp') as folder:
        build = [f'{FOLDER}/build', '/sys/fs/bpf/abaft', folder]
        done = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        tap.ok(done.returncode == 1 and 'no node has pinned its maps there' in done.stderr,
               'without a node nothing is built', done.stderr)
        with Node(workers=WORKERS, pin_dir='/sys/fs/bpf/abaft') as node:
            done = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            tap.ok(done.returncode == 0 and f'for {WORKERS} workers' in done.stdout,
                   'for a node it is', done.stdout, done.stderr)
            tap.case(the_numbers, node, config, folder)
            links = [name for name in os.listdir('/sys/fs/bpf')
                     if os.path.islink(f'/sys/fs/bpf/{name}')]
            subprocess.run([build[0], '--undo', build[1]], check=True)
            tap.ok(len(links) == 15 and not [name for name in os.listdir('/sys/fs/bpf')
                                             if os.path.islink(f'/sys/fs/bpf/{name}')],
                   '--undo takes the links away', links)
    tap.done()


main()
