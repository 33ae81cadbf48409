# SPDX-License-Identifier: Apache-2.0
"""The Grafana dashboard against a real node and a real Prometheus: the file is what its list makes,
promtool parses each expression, each metric is one that a node serves, and Prometheus, having
scraped the node, has an answer to each expression."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import client  # noqa: E402
import node as nodes  # noqa: E402
from node import Node  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
FOLDER = f'{nodes.ROOT}/tools/grafana'
PORT = 9090
# What a dashboard's variables stand for when nobody chose.
VARIABLES = {'$__rate_interval': '5m', '$node': '.*'}
SCRAPE_S = 1


def read(url, timeout_s=5):
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return answer.read().decode()


def expressions(dashboard):
    """[(panel's title, expression)]"""
    found = []
    for panel in dashboard['panels']:
        for target in panel.get('targets', []):
            text = target['expr']
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            found.append((panel['title'], text))
    return found


def the_file(tap):
    """The file is what the list makes"""
    made = subprocess.run([f'{FOLDER}/dashboard'], stdout=subprocess.PIPE, timeout=20, check=True)
    with open(f'{FOLDER}/abaft.json', 'rb') as file:
        text = file.read()
    tap.ok(made.stdout == text, 'abaft.json is what tools/grafana/dashboard writes',
           'tools/grafana/dashboard > tools/grafana/abaft.json')
    dashboard = json.loads(text)
    ids = [panel['id'] for panel in dashboard['panels']]
    tap.equal(len(set(ids)), len(ids), 'no two panels have the same number')
    places = [(p['gridPos']['x'], p['gridPos']['y']) for p in dashboard['panels']]
    tap.equal(len(set(places)), len(places), 'nor the same place')
    tap.ok(len(expressions(dashboard)) > 100, 'it has expressions', len(expressions(dashboard)))
    left = [text for _, text in expressions(dashboard) if '$' in text]
    tap.equal(left, [], 'of known variables only')
    return dashboard


def promtool_parses(tap, dashboard):
    """Each expression, as a recording rule"""
    if shutil.which('promtool') is None:
        tap.note('promtool is not there (tools/setup unpacks it): expressions are not parsed')
        return
    rules = [{'record': f'dashboard:{i}', 'expr': text}
             for i, (_, text) in enumerate(expressions(dashboard))]
    for bad, what in ((False, 'promtool parses every expression'),
                      (True, 'and would refuse a broken one')):
        if bad:
            rules[-1]['expr'] += ' +'
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            json.dump({'groups': [{'name': 'dashboard', 'rules': rules}]}, file)
            file.flush()
            done = subprocess.run(['promtool', 'check', 'rules', file.name], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        tap.ok((done.returncode != 0) == bad, what, done.stdout)


def optional(node):
    """Beginnings of metrics that are not served here, as their BPF program does not run; they are
    loaded when the node is ready already."""
    end = time.monotonic() + 5
    while (missing := missing_now(node)) and time.monotonic() < end:
        time.sleep(0.2)
    return missing


def missing_now(node):
    stats = json.loads(subprocess.run([ABAFT, 'stats', '--pin-dir', node.keys['pin_dir'], '--json'],
                                      stdout=subprocess.PIPE, timeout=20, check=True).stdout)
    kernel = ('uring_write', 'uring_sync', 'uring_read', 'block_write', 'block_flush',
              'block_read', 'run_delay', 'preempted')
    missing = [f'abaft_{name}_' for name in kernel if name not in stats['total']['kernel']]
    for name, metric in (('thieves', 'abaft_thief_'), ('softirqs', 'abaft_softirq_'),
                         ('steer', 'abaft_steer_'), ('steer', 'abaft_tenant_')):
        if stats[name] is None:
            missing.append(metric)
    return tuple(missing)


def metrics_are_served(tap, dashboard, missing):
    """Each metric of each expression"""
    served = set(re.findall(r'^# TYPE (\w+) ', read('http://127.0.0.1:7400/metrics'), re.M))
    unknown = set()
    for title, text in expressions(dashboard):
        for name in re.findall(r'\babaft_\w+', text):
            base = re.sub(r'_(bucket|sum|count)$', '', name)
            if name not in served and base not in served and not name.startswith(missing):
                unknown.add(f'{title}: {name}')
    tap.equal(sorted(unknown), [], 'a node serves every metric')
    if missing:
        tap.note(f'not served here, as no BPF program of theirs runs: {", ".join(missing)}')


class Prometheus:
    """A server that scrapes the node, in a folder of its own; gone at the end."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='abaft-prometheus-', dir='/var/tmp')
        with open(f'{self.folder}/prometheus.yml', 'w') as file:
            json.dump({'global': {'scrape_interval': f'{SCRAPE_S}s'},
                       'scrape_configs': [{'job_name': 'abaft', 'static_configs': [
                           {'targets': ['127.0.0.1:7400']}]}]}, file)
        with open(f'{self.folder}/said', 'w') as said:
            self.process = subprocess.Popen(
                ['prometheus', f'--config.file={self.folder}/prometheus.yml',
                 f'--storage.tsdb.path={self.folder}/data',
                 f'--web.listen-address=127.0.0.1:{PORT}'], stdout=said, stderr=said,
                preexec_fn=nodes._die_with_parent)

    def query(self, text):
        url = f'http://127.0.0.1:{PORT}/api/v1/query?' + urllib.parse.urlencode({'query': text})
        answer = json.loads(read(url))
        if answer['status'] != 'success':
            raise RuntimeError(f'{text}: {answer}')
        return answer['data']['result']

    def wait_for(self, text, timeout_s=25):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                if self.query(text):
                    return
            except OSError:
                pass
            time.sleep(0.2)
        with open(f'{self.folder}/said') as said:
            raise TimeoutError(f'Prometheus has no {text}: {said.read()[-1000:]}')

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def work():
    with client.Client() as c:
        for i in range(30):
            c.write({b'k%d' % i: b'x' * 500})
            c.read(b'nothing' if i % 2 else b'k%d' % i)
        with c.txn() as txn:
            txn.put(b'a', b'b')
            txn.abort()


def prometheus_answers(tap, dashboard, missing):
    """What the panels would show"""
    if shutil.which('prometheus') is None:
        tap.note('prometheus is not there (tools/setup unpacks it): expressions are not evaluated')
        return
    server = Prometheus()
    try:
        work()
        server.wait_for('abaft_up')
        work()
        server.wait_for('count_over_time(abaft_up[1m]) >= 4')
        tap.equal([row['value'][1] for row in server.query('abaft_up')], ['1'],
                  'Prometheus sees the node up')
        empty = [f'{title}: {text}' for title, text in expressions(dashboard)
                 if not server.query(text) and not any(name in text for name in missing)]
        tap.equal(empty, [], 'it has an answer to every expression')
        commits = server.query('sum(rate(abaft_core_commits_total[1m]))')
        tap.ok(float(commits[0]['value'][1]) > 0, 'commits have a rate', commits)
        p99 = server.query('histogram_quantile(0.99, sum by (le) '
                           '(rate(abaft_commit_durable_seconds_bucket[1m])))')
        tap.ok(1e-6 < float(p99[0]['value'][1]) < 10, 'and their durability a percentile', p99)
    finally:
        server.close()


def main():
    if os.geteuid() != 0:
        skip_all('needs root (network and mount namespaces, XDP)')
    tap = Tap()
    nodes.enter_namespace()
    nodes.enter_bpffs()
    dashboard = the_file(tap)
    tap.case(promtool_parses, dashboard)
    with Node(workers=2, cores='0,1', watch='yes') as node:
        work()
        missing = optional(node)
        tap.case(metrics_are_served, dashboard, missing)
        tap.case(prometheus_answers, dashboard, missing)
    tap.done()


main()
