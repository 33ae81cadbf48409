# SPDX-License-Identifier: Apache-2.0
"""throughput.py - what one worker core does when clients are no limit: the base transaction from
bench/aft/port_load over memif, one core for the load and one for the node's only worker.

Beside it, where the engine is Redis, what its server does alone: SETs of as many bytes as a
transaction's two values, in a pipeline, and how much of its core it used under the node.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import node as nodes
import paper
import plot

LOAD_CORE, NODE_CORE = '0', '1'
GOAL = 50 * paper.FIG_7_BEST
VALUE_BYTES = 4096
KEYS = 999  # ranks 1 to 999
JUDGED = 20000  # transactions of the run that is judged
LIMIT_S = 300


class Port:
    """A node and a load at the two ends of a memif."""

    def __init__(self, evaluation, engine):
        self.build = evaluation.bench.build
        self.engine = evaluation.bench.engine(engine)
        self.dir = tempfile.mkdtemp(prefix='abaft-bench-aft-', dir='/var/tmp')
        ends = f'socket={self.dir}/memif,socket-abstract=no'
        self.environment = {**os.environ, 'ABAFT_BENCH_CORE': LOAD_CORE,
                            'ABAFT_BENCH_PORT': f'memif:role=server,{ends}'}
        settings = {'memory': '1G', 'segment_size': '64M'}
        if evaluation.size == 'smoke':
            settings = {}
        if engine != 'embedded':
            place = self.engine.fresh()
            settings['engine'] = self.engine.url(place, self.engine.port)
            settings.update(self.engine.node_keys)
        self.node = nodes.Node(start=False, port=f'memif:role=client,{ends}', poll='yes',
                               cores=NODE_CORE, addresses='10.7.0.1', **settings)

    def load(self, *flags):
        """The load's result, the cores that the node used, and those of the server."""
        command = [f'{self.build}/bench/aft/port_load', '--functions=2', '--writes=1', '--reads=2',
                   f'--keys={KEYS}', f'--value-bytes={VALUE_BYTES}', '--quiet', '--write=json',
                   *flags]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f'{self.dir}/memif')  # of the run before
        with open(f'{self.dir}/said', 'w+') as said:
            load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True,
                                    env=self.environment, preexec_fn=nodes._die_with_parent)
            try:
                # A memif server must be there first.
                nodes._wait(lambda: os.path.exists(f'{self.dir}/memif') or load.poll() is not None,
                            20, 'the load\'s end of the memif')
                self.node.start()
                before = self._cpu_s(), time.monotonic()
                text, _ = load.communicate(timeout=LIMIT_S)
                after, took = self._cpu_s(), time.monotonic() - before[1]
            finally:
                load.kill()
                load.wait()
                self.node.stop()
            said.seek(0)
            if load.returncode not in (0, 1):
                raise RuntimeError(f'{" ".join(command)}: {said.read()[-2000:]}')
        result = json.loads(text) if text.strip() else {}
        result['node_cores'], result['server_cores'] = (
            (a - b) / took for a, b in zip(after, before[0]))
        return result

    def _cpu_s(self):
        server = self.engine.process
        if server is None:
            return self.node.cpu_s(), 0.0
        with open(f'/proc/{server.pid}/stat') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return self.node.cpu_s(), (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def close(self):
        self.node.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def _redis_alone(evaluation):
    """SETs per second of redis-server by redis-benchmark, of a transaction's two values."""
    redis = evaluation.bench.engine('redis')
    redis.fresh()
    done = subprocess.run(
        ['redis-benchmark', '-p', str(redis.port), '-t', 'set', '-d', str(2 * VALUE_BYTES), '-r',
         '1000', '-n', '2000' if evaluation.size == 'smoke' else '200000', '-P', '16', '-c', '16',
         '-q'], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return float(re.findall(r'SET: ([\d.]+) requests per second', done.stdout)[-1])


def _judge(evaluation, port, clients, zipf):
    """A run with its history: what `abaft check` says of it."""
    path = f'{port.dir}/history'
    result = port.load('--preload', f'--history={path}', f'--clients={clients}', f'--zipf={zipf}',
                       f'--transactions={JUDGED if evaluation.size != "smoke" else 200}')
    done = subprocess.run([f'{evaluation.bench.build}/tools/abaft', 'check', '-w', 'json', path],
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f'abaft check: {done.stderr}')
    verdict = json.loads(done.stdout)
    return {'clean': verdict['clean'], 'reads': verdict['reads'], 'committed': verdict['committed'],
            'reads_unjudged': verdict['reads_unjudged'], 'unknown': result['unknown'],
            'failed': result['failed']}


def measure(evaluation):
    """One worker core, by number of clients that wait"""
    seconds = {'full': 4, 'quick': 2, 'smoke': 0.3}[evaluation.size]
    counts = evaluation.some((1, 16, 64, 128, 256, 512), (64,))
    out = {'goal': GOAL, 'runs': [], 'judged': {}}
    evaluation.say(f'\nOne worker core, base transaction over memif, durable; goal {GOAL} '
                   f'transactions/s (50 times the paper\'s best of 4 cores)')
    series = {}
    for engine in [e for e in evaluation.engines if e in ('embedded', 'redis')]:
        if evaluation.bench.missing_engine(engine):
            continue
        with contextlib.closing(Port(evaluation, engine)) as port:
            for zipf in evaluation.some((1.0, 1.5), (1.5,)):
                for clients in counts:
                    result = port.load(f'--clients={clients}', f'--seconds={seconds}',
                                       f'--zipf={zipf}', '--preload')
                    out['runs'].append({'engine': engine, 'clients': clients, 'zipf': zipf,
                                        **result})
                    rate = result['committed_per_second']
                    series.setdefault(f'{engine} Zipf {zipf}', {})[clients] = rate
                    evaluation.say(
                        f'  {engine:9} Zipf {zipf} {clients:4} clients {rate:7.0f}/s, p50 '
                        f'{result["latency_us"]["p50"]:.0f} us, p99 '
                        f'{result["latency_us"]["p99"]:.0f} us, node {result["node_cores"]:.2f} '
                        f'cores, server {result["server_cores"]:.2f}, {result["failed"]} failed, '
                        f'{result["unknown"]} unknown, {result["resends"]} of '
                        f'{result["packets_sent"]} packets sent again')
            best = max((r for r in out['runs'] if r['engine'] == engine),
                       key=lambda r: r['committed_per_second'])
            out['judged'][engine] = _judge(evaluation, port, best['clients'], best['zipf'])
            evaluation.say(f'  {engine}: with {best["clients"]} clients and a history: '
                           f'{out["judged"][engine]}')
    if 'redis' in evaluation.engines and shutil.which('redis-benchmark'):
        out['redis_alone'] = _redis_alone(evaluation)
        evaluation.say(f'  redis-server alone: {out["redis_alone"]:.0f} SETs/s of '
                       f'{2 * VALUE_BYTES} B, in pipelines of 16')
    if series:
        plot.lines(f'{evaluation.out}/throughput.svg', 'One worker core over memif: durable base '
                   'transactions per second', 'clients', 'transactions per second', series)
    return out
