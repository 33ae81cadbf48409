# SPDX-License-Identifier: Apache-2.0
"""cells.py - one cell of the evaluation: a system over an engine, filled, asked by clients through
chains of function processes, and judged.

    bench = Bench(build)
    with bench.cell(System('abaft'), 'redis', delayed=True) as cell:
        cell.fill(1000)
        result = cell.measure(Workload())
"""
import contextlib
import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import counting
import node as nodes
import servers

LIMIT_S = 900  # of one measurement


@dataclasses.dataclass(frozen=True)
class Workload:
    functions: int = 2
    writes: int = 1  # of each function, before its reads
    reads: int = 2
    keys: int = 1000  # ranks 1 to keys - 1, as the paper's client draws them
    zipf: float = 1.0
    clients: int = 10
    transactions: int = 1000  # of each client
    hop_us: int = 0
    distinct: bool = False
    cold: bool = False
    seed: int = 1
    seconds: int = 0  # none begins later; 0: all are run


@dataclasses.dataclass(frozen=True)
class System:
    """`store`: a kind of store.h. `batched`: a function's operations go in one go."""
    store: str
    batched: bool = False
    cache: str = '0'  # the node's key

    @property
    def is_abaft(self):
        return self.store == 'abaft'

    def __str__(self):
        name = {'redis': 'plain', 's3': 'plain', 'dynamodb': 'plain'}.get(self.store, self.store)
        return (name + (' batched' if self.batched else '')
                + (' no cache' if self.cache != '0' else ''))


def quantile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


class Cell:
    def __init__(self, bench, system, engine, delayed):
        self.bench, self.system, self.engine = bench, system, bench.engine(engine)
        self.delayed = delayed
        self.dir = tempfile.mkdtemp(prefix='abaft-bench-aft-', dir='/var/tmp')
        self.delay = self.hop = self.node = None
        self.histories = []
        self.counted, self.versions = {}, {}
        self.keys = 2

    def open(self, keys):
        place = self.engine.fresh()
        port = self.engine.port
        if self.delayed and port:
            self.delay = servers.Delay(self.bench.build, self.engine.name, port)
            port = self.delay.port
        self.environment = {**os.environ, **self.engine.environment}
        if self.system.is_abaft:
            self.node = self._node(keys, place, port)
            self.flags = ['--port', '7400']
            if self.delayed:
                self.hop = servers.Hop(self.bench.build, 7400)
                self.flags = ['--port', str(self.hop.port)]
        else:
            self.flags = self.engine.flags(place, port)

    def _node(self, keys, place, port):
        settings = {'memory': '2G' if keys > 10000 else '512M', 'keys': str(max(65536, 2 * keys)),
                    'segment_size': '64M'}
        if self.bench.small:
            settings = {}  # what tests have
        settings['cache'] = self.system.cache
        if self.engine.name != 'embedded':
            settings['engine'] = self.engine.url(place, port)
            settings.update(self.engine.node_keys)
        return nodes.Node(environment=self.engine.environment, **settings)

    def close(self):
        if self.node:
            self.node.close()
        for between in (self.delay, self.hop):
            if between:
                between.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _clients(self, name, client_flags, function_flags):
        build = self.bench.build
        command = [f'{build}/bench/aft/client', *client_flags, '--', f'{build}/bench/aft/function',
                   f'--store={self.system.store}', *self.flags, f'--history={self.dir}/{name}',
                   *function_flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S,
                              check=False, env=self.environment)
        if done.returncode != 0:
            raise RuntimeError(f'{" ".join(command)}: {done.stderr.strip()[-2000:]}')
        return json.loads(done.stdout), done.stderr

    def fill(self, keys):
        """Writes every key once."""
        done, said = self._clients('fill', ['--preload', '--clients=2', f'--keys={keys}'],
                                   ['--batched'])
        if done['committed'] != done['begun']:
            raise RuntimeError(f'{done["begun"] - done["committed"]} of {done["begun"]} '
                               f'transactions could not be written before the run: {said[-500:]}')
        self.histories.append(f'{self.dir}/fill')
        self.keys = keys

    def measure(self, load):
        name = f'run{len(self.histories)}'
        rows = f'{self.dir}/{name}.csv'
        before = self._counters()
        cpu_s = self.node.cpu_s() if self.node else 0
        done, said = self._clients(
            name,
            [f'--functions={load.functions}', f'--writes={load.writes}', f'--reads={load.reads}',
             f'--keys={load.keys}', f'--zipf={load.zipf}', f'--clients={load.clients}',
             f'--transactions={load.transactions}', f'--seed={load.seed}', f'--rows={rows}',
             *([f'--seconds={load.seconds}'] if load.seconds else []),
             *(['--distinct'] if load.distinct else []), *(['--cold'] if load.cold else [])],
            [f'--hop-us={load.hop_us}', *(['--batched'] if self.system.batched else [])])
        after = self._counters()
        cpu_s = self.node.cpu_s() - cpu_s if self.node else 0
        self.histories.append(f'{self.dir}/{name}')
        result = {'system': str(self.system), 'engine': self.engine.name, 'delayed': self.delayed,
                  'workload': dataclasses.asdict(load), **done,
                  'committed_per_s': done['committed'] / done['seconds'],
                  **self._latencies(rows), 'said': said.splitlines()[:5]}
        result['storage'] = self._storage(rows, before, after)
        if self.node:
            result['node_cores'] = cpu_s / done['seconds']
            result['node_phases_us'] = self._phases()
        result['anomalies'] = self._check(name)
        result['counted'] = counting.judge(self.histories)
        self.bench.tell(result)
        return result

    @staticmethod
    def _latencies(path):
        with open(path) as file:
            rows = list(csv.DictReader(file))
        ms = sorted(int(row['latency_ns']) / 1e6 for row in rows if row['err'] == 'OK')
        failed = [row['err'] for row in rows if row['err'] != 'OK']
        return {'latency_ms': {f'p{p}': quantile(ms, p / 100) if ms else None
                               for p in (1, 5, 50, 95, 99)},
                'failed': {err: failed.count(err) for err in set(failed)},
                'missing': sum(int(row['missing']) for row in rows)}

    def _counters(self):
        counters = {}
        if self.node:
            counters['node'] = self.node.info()
        if self.delay:
            counters['delay'] = self.delay.counts()
        return counters

    def _storage(self, rows, before, after):
        """What the storage was asked, for each commit; of a plain store as the functions count."""
        def grown(where, name):
            return after[where].get(name, 0) - before[where].get(name, 0)

        with open(rows) as file:
            counted = list(csv.DictReader(file))
        commits = max(1, sum(row['err'] == 'OK' for row in counted))
        result = {}
        if not self.node:
            result = {name: sum(int(row[name]) for row in counted) / commits
                      for name in ('trips', 'requests', 'bytes_written', 'bytes_read')}
        elif 'engine_round_trips' in after['node']:
            result = {'trips': grown('node', 'log_groups') / commits,
                      'requests': grown('node', 'engine_round_trips') / commits,
                      'bytes_written': grown('node', 'engine_put_bytes') / commits,
                      'bytes_read': grown('node', 'engine_get_bytes') / commits}
        else:
            result = {'trips': grown('node', 'log_groups') / commits,
                      'requests': grown('node', 'log_groups') / commits,
                      'bytes_written': grown('node', 'log_group_bytes') / commits,
                      'bytes_read': grown('node', 'log_read_bytes') / commits}
        if self.delay:
            result['delay_requests'] = grown('delay', 'requests') / commits
            result['delay_trips'] = grown('delay', 'trips') / commits
            result['delay_bytes_up'] = grown('delay', 'bytes_up') / commits
        return result

    def _phases(self):
        """The node's own times since it started, of its telemetry, in microseconds."""
        done = subprocess.run([f'{self.bench.build}/tools/abaft', 'stats', '-w', 'json', '-d',
                               self.node.keys['pin_dir']], capture_output=True, text=True,
                              timeout=30, check=False)
        if done.returncode != 0:
            return {'error': done.stderr.strip()}
        histograms = json.loads(done.stdout)['workers'][0]['histograms']
        return {name: {p: histograms[name][p] / 1e3 for p in ('p50', 'p99')}
                for name in ('arrival', 'service', 'commit_durable', 'log_device', 'engine_call',
                             'txn_life') if histograms[name]['count']}

    def _judge(self, *more):
        done = subprocess.run([f'{self.bench.build}/tools/abaft', 'check', '-w', 'json', '-n', '1',
                               *more], capture_output=True, text=True, timeout=LIMIT_S,
                              check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(f'abaft check: {done.stderr.strip()}')
        return json.loads(done.stdout)

    def _final(self, name):
        """Every key as it is now, for the checker."""
        path = f'{self.dir}/{name}.final'
        system, self.system = self.system, dataclasses.replace(self.system, batched=True)
        try:
            self._clients(f'{name}.final', ['--audit', '--clients=2', f'--keys={self.keys}'],
                          ['--batched', '--final'])
        finally:
            self.system = system
        return path

    def _check(self, name):
        """What `abaft check` finds in the last run: in all that functions read, and in what those
        read whose transaction was acknowledged. Runs before it are in both."""
        final = self._final(name)
        result = {}
        for kind in ('all', 'committed'):
            paths = [self._as_judged(path, kind == 'committed') for path in self.histories]
            verdict = self._judge('-f', self._final_as_judged(final), *paths)
            counts = {}
            for anomaly, found in verdict['anomalies'].items():
                was = self.counted.get((kind, anomaly), (0, 0))
                now = found['transactions'], found['instances']
                self.counted[kind, anomaly] = now
                if now != was:
                    counts[anomaly] = {'transactions': now[0] - was[0], 'pairs': now[1] - was[1]}
            result[kind] = counts
            result[kind + '_judged'] = {n: verdict[n] for n in (
                'committed', 'undecided', 'reads', 'reads_unjudged', 'commits_judged',
                'commits_unjudged', 'orders_unjudged')}
        return result

    def _as_judged(self, path, committed):
        """The history, or with `committed` a copy without the reads of attempts that were not
        acknowledged. Redis tells the version of a commit to who commits, not to who reads: where
        commits have versions and reads have none, a copy has them there, too."""
        lines, attempts, versions = [], {}, {}
        with open(path) as file:
            for line in file:
                fields = line.rstrip('\n').split(' ')
                lines.append(fields)
                if fields[0] == 'T' and fields[7] in ('committed', 'repeated'):
                    attempts[fields[1]] = fields[4]
                    versions[fields[1]] = fields[8]
        self.versions.update(versions)
        if self.system.is_abaft and not committed:
            return path
        out = f'{path}.{"committed" if committed else "all"}'
        with open(out, 'w') as file:
            for fields in lines:
                keep = not committed or fields[0] != 'T' or attempts.get(fields[1]) == fields[4]
                file.write(' '.join(self._versioned(word) for word in fields
                                    if keep or not word.startswith('r,')) + '\n')
        return out

    def _final_as_judged(self, path):
        with open(path) as file:
            lines = [line.rstrip('\n').split(' ') for line in file]
        with open(path + '.judged', 'w') as file:
            for fields in lines:
                file.write(' '.join(map(self._versioned, fields)) + '\n')
        return path + '.judged'

    def _versioned(self, word):
        if self.system.is_abaft or not word.startswith('r,'):
            return word
        read, key, version, seen = word.split(',', 3)
        return f'{read},{key},{self.versions.get(seen.split("/")[0], version)},{seen}'


class Bench:
    def __init__(self, build, small=False, record=None):
        """Each result is a line of `record`, too, as soon as it is there."""
        self.build, self.small, self.record = build, small, record
        self.engines = {}
        self.done = {}    # results of measure(), by what was measured
        self.others = []  # and of cells that were measured more than once
        self.example = None

    def engine(self, name):
        if name not in self.engines:
            self.engines[name] = servers.ENGINES[name]()
        return self.engines[name]

    @contextlib.contextmanager
    def cell(self, system, engine, keys, delayed=False):
        """A filled cell."""
        cell = Cell(self, system, engine, delayed)
        try:
            cell.open(keys)
            cell.fill(keys)
            yield cell
        finally:
            cell.close()

    def measure(self, system, engine, load, delayed=False):
        """A cell of its own for one measurement; the same one again is not measured again."""
        key = (system, engine, load, delayed)
        if key not in self.done:
            with self.cell(system, engine, load.keys, delayed) as cell:
                self.done[key] = cell.measure(load)
        return self.done[key]

    def tell(self, result):
        ms = result['latency_ms']
        print(f'# {time.strftime("%H:%M:%S")} {result["system"]} over {result["engine"]}: p50 '
              f'{ms["p50"]} ms, {result["committed"]} committed', file=sys.stderr, flush=True)
        if self.record:
            with open(self.record, 'a') as file:
                file.write(json.dumps(result) + '\n')

    def missing(self, system, engine):
        """Why this cannot be measured, or None."""
        return self.missing_engine(engine) if system.is_abaft else None

    def missing_engine(self, engine):
        """Why no node can have this engine, or None."""
        if engine == 'embedded':
            return None
        if self.example is None:
            self.example = nodes.run(f'{self.build}/control/abaftd', '--print-example')
        return None if '#engine =' in self.example else 'this abaftd has no storage engines'

    def close(self):
        for engine in self.engines.values():
            engine.stop()
