# SPDX-License-Identifier: Apache-2.0
"""A node's numbers, asked in every way: bpftool, `abaft stats`, HTTP, `abaft status`, and what the
client itself counted. At rest they agree exactly.

What is beside the numbers: nodes that are gone or of another version, several nodes, permissions,
and the HTTP server's limits.
"""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import client  # noqa: E402
import node as nodes  # noqa: E402
import wire  # noqa: E402
from node import Failed, Node  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
WORKERS = 2
CONNECTIONS_MAX, IDLE_S = 8, 10  # control/metrics.h
STARTS_MAX = 5


def abaft(*arguments, ok=True):
    """Runs the command; (exit code, stdout, stderr)."""
    done = subprocess.run([ABAFT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=30, text=True)
    if ok and done.returncode:
        raise RuntimeError(f'abaft {arguments}: {done.returncode} {done.stderr}')
    return done.returncode, done.stdout, done.stderr


def stats(node, *more):
    return json.loads(abaft('stats', '--pin-dir', node.keys['pin_dir'], '--json', *more)[1])


def ask(path='/metrics', method='GET', address='127.0.0.1', port=7400, **more):
    """(status, text, headers)"""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request(method, path, **more)
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()


SAMPLE = re.compile(r'(\w+)\{(.*)\} (\S+)$')


def samples(page):
    """{(name, frozenset of labels): value}"""
    found = {}
    for line in page.splitlines():
        if line.startswith('#'):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        labels = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
        found[name, labels] = float(value)
    return found


def total(page_samples, name, **labels):
    """The sum over all series of a metric that have these labels."""
    return sum(value for (have, these), value in page_samples.items()
               if have == name and set(labels.items()) <= these)


def dump(node, name):
    """bpftool's dump of a map: a list of values."""
    rows = json.loads(nodes.run('bpftool', '-j', 'map', 'dump', 'pinned',
                                f'{node.keys["pin_dir"]}/{name}'))
    return [row['formatted']['value'] for row in rows]


def workload(port=7400):
    """Known work, one operation a packet; returns what was asked for, by operation, and what was
    refused."""
    want = {'put': 0, 'get': 0, 'delete': 0, 'commit': 0, 'abort': 0, 'put_bytes': 0,
            'get_bytes': 0, 'not_found': 0}
    with client.Client(port=port, resend_us=4000000) as c:  # nothing is asked twice
        for i in range(40):
            with c.txn() as txn:
                value = b'v' * (100 + i)
                if txn.put(b'key%d' % i, value) or txn.commit():
                    raise RuntimeError('a write failed')
                want['put'] += 1
                want['put_bytes'] += len(value)
                want['commit'] += 1
        for i in range(50):
            with c.txn() as txn:
                err, value = txn.get(b'key%d' % i)
                want['get'] += 1
                if err == client.NOT_FOUND:
                    want['not_found'] += 1
                else:
                    want['get_bytes'] += len(value)
                if txn.commit():
                    raise RuntimeError('a read failed')
                want['commit'] += 1
        for i in range(7):
            with c.txn() as txn:
                if txn.delete(b'key%d' % i) or txn.abort():
                    raise RuntimeError('an abort failed')
                want['delete'] += 1
                want['abort'] += 1
    return want


def at_rest(node):
    """Waits until nothing moves any more; two reads that are alike but for the clocks."""
    def numbers():
        json_ = stats(node)
        return [(w['ops'], w['core']['versions_freed'], w['counters']['frames'], w['log'])
                for w in json_['workers']]
    last, end = numbers(), time.monotonic() + 10
    while time.monotonic() < end:
        time.sleep(0.1)
        now = numbers()
        if now == last:
            return
        last = now
    raise TimeoutError('the node does not come to rest')


def all_agree(tap, node):
    """bpftool, stats, HTTP, status and the client count the same"""
    want = workload()
    at_rest(node)
    json_ = stats(node, '--buckets')
    page = samples(ask()[1])
    printed = samples(abaft('stats', '--pin-dir', node.keys['pin_dir'], '--prometheus')[1])
    ops, ops_of = json_['total']['ops'], dump(node, 'op_counters')

    for op in 'put', 'get', 'delete', 'commit', 'abort':
        tap.equal([ops[op]['count'], sum(worker[op]['count'] for worker in ops_of),
                   total(page, 'abaft_op_requests_total', op=op),
                   total(printed, 'abaft_op_requests_total', op=op)], [want[op]] * 4,
                  f'{op}: client, stats, bpftool, /metrics and --prometheus agree')
    for op in 'put', 'get':
        tap.equal([ops[op]['bytes'], sum(worker[op]['bytes'] for worker in ops_of),
                   total(page, 'abaft_op_bytes_total', op=op)], [want[f'{op}_bytes']] * 3,
                  f'{op}: bytes agree')
    tap.equal([ops['get']['errors'].get('NOT_FOUND'),
               sum(worker['get']['errors']['NOT_FOUND'] for worker in ops_of),
               total(page, 'abaft_op_errors_total', op='get', error='NOT_FOUND')],
              [want['not_found']] * 3, 'and what was not found')
    tap.equal([set(ops[op]['errors']) for op in ('put', 'delete', 'abort')], [set()] * 3,
              'nothing else was refused')
    groups_agree(tap, node, json_, page)
    histograms_agree(tap, node, json_, page)
    status_agrees(tap, node, json_)


def groups_agree(tap, node, json_, page):
    """Every counter of every worker."""
    for name, group, metric in (('worker_counters', 'counters', 'worker'),
                                ('node_counters', 'core', 'core'), ('log_counters', 'log', 'log')):
        moving = {'passes', 'sleeps', 'stalled_us'}
        dumped = dump(node, name)
        apart = [(w, key, value, dumped[w][key])
                 for w in range(WORKERS) for key, value in json_['workers'][w][group].items()
                 if key not in moving and value != dumped[w][key]]
        tap.equal(apart, [], f'{name}: stats has what bpftool dumps')
        apart = []
        for w in range(WORKERS):
            for key, value in json_['workers'][w][group].items():
                labels = frozenset({('node', '0'), ('worker', str(w))})
                have = page.get((f'abaft_{metric}_{key}_total', labels),
                                page.get((f'abaft_{metric}_{key}', labels)))
                if key not in moving and have != value:
                    apart.append((w, key, value, have))
        tap.equal(apart, [], f'{name}: and /metrics')


def status_agrees(tap, node, json_):
    """`abaft status` asks the node; that itself is work, which it counts."""
    infos = [node.info(w) for w in range(WORKERS)]
    apart = [(w, key, infos[w][key], value) for w in range(WORKERS)
             for key, value in json_['workers'][w]['core'].items()
             if key not in ('infos', 'opened') and infos[w].get(key) != value]
    tap.equal(apart, [], 'status says the same of each worker')


def histograms_agree(tap, node, json_, page):
    """Counts, sums and buckets of all histograms."""
    texts = {'ns': 'seconds'}
    for name in json_['total']['histograms']:
        dumped = dump(node, name)
        unit = json_['total']['histograms'][name]['unit']
        metric = f'abaft_{name}_{texts.get(unit, unit)}'
        apart = []
        for w in range(WORKERS):
            have = json_['workers'][w]['histograms'][name]
            of_page = total(page, f'{metric}_count', worker=str(w))
            seconds = total(page, f'{metric}_sum', worker=str(w))
            scale = 1e9 if unit == 'ns' else 1
            if [have['count'], have['sum'], have['max']] != \
                    [dumped[w]['count'], dumped[w]['sum'], dumped[w]['max']]:
                apart.append((w, have, dumped[w]['count']))
            if sum(row[2] for row in have['buckets']) != have['count']:
                apart.append((w, 'buckets', have))
            if of_page != have['count'] or round(seconds * scale) != have['sum']:
                apart.append((w, 'page', of_page, seconds, have))
        tap.equal(apart, [], f'{name}: bpftool, stats and /metrics agree')
    ops = json_['total']['ops']
    histograms = json_['total']['histograms']
    tap.equal(histograms['service']['count'], ops['packet']['count'],
              'each request was served in some time')
    tap.equal(histograms['commit_durable']['count'],
              json_['total']['core']['commits'] + json_['total']['core']['aborts'],
              'each record became durable in some time')
    tap.equal(histograms['log_group']['sum'], json_['total']['log']['records'],
              'the groups hold all records')


def promtool_is_content(tap):
    """promtool accepts the page of a real node"""
    if shutil.which('promtool') is None:
        tap.note('promtool is not there (tools/setup unpacks it): not asked')
        return
    done = subprocess.run(['promtool', 'check', 'metrics'], input=ask()[1], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    tap.equal((done.returncode, done.stdout), (0, ''), 'promtool has nothing to say of the page')


def http_answers(tap, node):
    """Paths, methods and headers"""
    status, page, headers = ask()
    tap.equal((status, headers['Content-Type']),
              (200, 'text/plain; version=0.0.4; charset=utf-8'), '/metrics is Prometheus\' text')
    tap.equal(total(samples(page), 'abaft_up'), 1, 'the node is up')
    tap.equal(ask('/healthz')[:2], (200, 'ok\n'), '/healthz')
    tap.equal(ask('/readyz')[:2], (200, 'ready\n'), '/readyz')
    tap.equal(ask('/')[0], 404, 'nothing else is there')
    tap.equal(ask('/metrics?a=b')[0], 200, 'arguments do not matter')
    tap.equal(ask('/metrics/')[0], 404, 'nor is it a folder')
    status, text, headers = ask('/metrics', 'POST', body='x' * 100000)
    tap.equal((status, headers.get('Allow')), (405, 'GET, HEAD'), 'POST is refused')
    tap.equal(ask('/readyz', 'DELETE')[0], 405, 'DELETE is refused')
    status, text, headers = ask('/metrics', 'HEAD')
    tap.ok(status == 200 and text == '' and int(headers['Content-Length']) > 10000,
           'HEAD has the length alone', status, headers)
    try:
        refused = ask('/' + 'a' * 40000)[0] >= 400
    except (http.client.HTTPException, OSError):
        refused = True
    tap.ok(refused, 'a request that is too large is refused')
    tap.equal(ask('/healthz')[0], 200, 'and the next one is answered')
    tap.ok(node.alive(), 'the node lives on')


def http_is_bounded(tap, node):
    """Connections that say nothing are few, and do not stay"""
    idle = []
    for _ in range(CONNECTIONS_MAX):
        idle.append(socket.create_connection(('127.0.0.1', 7400), timeout=2))
    start = time.monotonic()
    time.sleep(0.2)
    fds = len(os.listdir(f'/proc/{node.pid}/fd'))
    more = [socket.create_connection(('127.0.0.1', 7400), timeout=2) for _ in range(4)]
    time.sleep(0.2)
    tap.equal(len(os.listdir(f'/proc/{node.pid}/fd')), fds,
              f'beyond {CONNECTIONS_MAX} connections none is taken')
    try:
        connection = http.client.HTTPConnection('127.0.0.1', 7400, timeout=IDLE_S + 5)
        connection.request('GET', '/healthz')
        status = connection.getresponse().status
        connection.close()
    except OSError as error:
        status = error
    tap.equal(status, 200, 'who waits is answered when the idle ones have been closed')
    tap.ok(IDLE_S - 3 < time.monotonic() - start < IDLE_S + 4, 'after their time',
           time.monotonic() - start)
    for one in idle + more:
        one.close()


def a_series(tap, node):
    """--every prints a line each, over a restart"""
    pin_dir = node.keys['pin_dir']
    with open(f'{node.dir}/series', 'w') as series:
        reader = subprocess.Popen([ABAFT, 'stats', '--pin-dir', pin_dir, '--every', '0.1',
                                   '--count', '50'], stdout=series, stderr=subprocess.PIPE,
                                  text=True)
    end = time.monotonic() + 3  # and half a second later it has had some
    while not os.path.getsize(f'{node.dir}/series') and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.5)
    first = node.pid
    tap.ok(node.stop() == 0, 'the node stops', node.said())
    time.sleep(0.5)
    node.start()
    said = reader.communicate(timeout=30)[1]
    with open(f'{node.dir}/series') as series:
        rows = [json.loads(line) for line in series]
    tap.equal(reader.returncode, 0, 'the series ends by itself')
    pids = [row['node']['pid'] for row in rows]
    tap.ok(pids[0] == first and pids[-1] == node.pid and len(set(pids)) == 2,
           'it begins with the one node and ends with the other', pids)
    tap.ok(3 < len(rows) < 48, 'in between there was nothing to print', len(rows))
    gaps = [b['time'] - a['time'] for a, b in zip(rows, rows[1:])]
    tap.ok(0.05 < sorted(gaps)[len(gaps) // 2] < 0.3, 'the interval is kept', gaps)
    tap.ok('waiting for it' in said and 'the node is back' in said, 'and it said so', said)


def the_dead_are_read(tap):
    """A node that was killed: its last numbers, and that it is gone"""
    with Node(workers=1) as node:
        with client.Client() as c:
            c.write({b'a': b'1'})
        at_rest(node)
        before = stats(node)
        tap.equal(before['alive'], True, 'a live node is alive')
        pid = node.pid
        node.kill()
        code, out, said = abaft('stats', '--pin-dir', node.keys['pin_dir'], '--json')
        after = json.loads(out)
        tap.equal((code, after['alive'], after['total']['ops']), (0, False, before['total']['ops']),
                  'of a dead one stats prints the last numbers')
        tap.ok(f'the node is gone: its process, {pid},' in said, 'and says that it is gone', said)
        code, out, said = abaft('stats', '--pin-dir', node.keys['pin_dir'])
        tap.ok(code == 0 and '(gone, last numbers)' in out and 'commits' in out,
               'the table says so, too', out, said)
        page = samples(abaft('stats', '--pin-dir', node.keys['pin_dir'], '--prometheus')[1])
        tap.equal(total(page, 'abaft_up'), 0, 'and abaft_up is 0')
        node.start()
        tap.equal(stats(node)['alive'], True, 'the next one has pins of its own')
        tap.equal(stats(node)['total']['ops']['put']['count'], 0, 'which begin at 0')


def nobody_is_there(tap):
    """No node, no BPF file system"""
    code, _, said = abaft('stats', ok=False)
    tap.ok(code == 6 and '/sys/fs/bpf/abaft: no node has pinned its maps there' in said,
           'without a node it says so', code, said)
    code, _, said = abaft('stats', '--pin-dir', '/sys/fs/abaft', ok=False)
    tap.ok(code == 6 and 'no BPF file system is mounted there' in said and
           'mount -t bpf bpf /sys/fs/bpf' in said, 'nor where a BPF file system is missing', said)
    for wrong in (['--count', '3'], ['--every', '0'], ['--every', '1s'], ['x'],
                  ['--prometheus', '--json'], ['--every', '1', '--prometheus']):
        tap.equal(abaft('stats', *wrong, ok=False)[0], 2, f'{" ".join(wrong)} is refused')


def choosing(tap):
    """One node is found, of several one must be named"""
    with Node(workers=1) as one:
        tap.equal(json.loads(abaft('stats', '--json')[1])['pin_dir'], one.keys['pin_dir'],
                  'the only node is found')
        peer = nodes.PeerNamespace()
        with Node(workers=1, port='afxdp:ours', addresses='10.7.0.1', udp_port=7500,
                  node=5) as two:
            code, out, said = abaft('stats', ok=False)
            tap.ok(code == 2 and one.keys['pin_dir'] in said and two.keys['pin_dir'] in said,
                   'of two one must be chosen', code, said)
            tap.equal(stats(two)['node']['node'], 5, 'and is')
            tap.equal(total(samples(ask(port=7500)[1]), 'abaft_up', node='5'), 1,
                      'each serves its own metrics')
        peer.close()


def metrics_elsewhere(tap):
    """Addresses, and those that cannot be had"""
    with Node(workers=1, metrics='[::1]:9100'):
        tap.equal(ask('/readyz', address='::1', port=9100)[0], 200, 'an IPv6 address and a port')
    with Node(workers=1, metrics='no'):
        try:
            tap.ok(False, 'metrics = no serves nothing', ask('/healthz'))
        except ConnectionRefusedError:
            tap.ok(True, 'metrics = no serves nothing')
    taken = socket.create_server(('127.0.0.1', 7400))
    with Node(workers=1) as node:
        tap.ok('warning: metrics: cannot listen on 127.0.0.1:7400: Address already in use' in
               node.said(), 'the default address in use: a warning', node.said())
    node = Node(start=False, workers=1, metrics='127.0.0.1:7400')
    try:
        node.start()
        tap.ok(False, 'a chosen address in use: no start')
    except Failed as error:
        tap.ok('metrics: cannot listen on 127.0.0.1:7400: Address already in use' in str(error),
               'a chosen address in use: no start', error)
    node.close()
    taken.close()


def without_maps(tap):
    """What is served when there are no maps"""
    with Node(workers=1, telemetry='no') as node:
        status, page, _ = ask()
        tap.ok(status == 200 and total(samples(page), 'abaft_up') == 1 and
               '# abaft: no counters and histograms: telemetry = no\n' in page,
               'telemetry = no: it is up, and why there is no more', page)
        tap.equal(ask('/readyz')[0], 200, 'and ready')
        code, _, said = abaft('stats', '--pin-dir', node.keys['pin_dir'], ok=False)
        tap.ok(code == 6 and 'telemetry = no' in said, 'stats says what may be the reason', said)


def readiness(until, wait_s):
    """What /readyz says one after the other, until that holds."""
    said = []
    end = time.monotonic() + wait_s
    while time.monotonic() < end and not until(said):
        try:
            now = ask('/readyz')[:2]
        except (OSError, http.client.HTTPException):
            time.sleep(0.001)
            continue
        if said[-1:] != [now]:
            said.append(now)
    return said


def not_ready(tap):
    """Ready comes last and goes first"""
    starting, ready, stopping = (503, 'starting\n'), (200, 'ready\n'), (503, 'stopping\n')
    node = Node(start=False, workers=1)
    for start in range(STARTS_MAX):  # who looks may be held up for all of a start
        if start:
            node.stop()
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(
            readiness(lambda said: said[-1:] == [ready], nodes.READY_S)))
        thread.start()  # not the one that starts it: it dies with its parent
        node.start()
        thread.join()
        if seen != [ready]:
            break
    tap.equal(seen, [starting, ready], 'not ready while it starts, and then ready')
    with client.Client() as c:
        for i in range(20):
            c.write({b'k%d' % i: b'x' * 100})
    peer = node.peer()
    answer = peer.ask(wire.new_id(), wire.get(b'k1', 200))  # it stays open, and is waited for
    tap.equal(answer.codes, [wire.OK], 'a transaction is open')
    node.process.send_signal(15)
    seen = readiness(lambda said: not node.alive(), 10)
    tap.ok(seen in ([stopping], [ready, stopping]), 'not ready while it stops', seen)
    tap.ok(not node.alive(), 'and then it is gone')
    peer.close()
    node.close()


def somebody_else(tap, node):
    """Without rights, and of another version"""
    code = subprocess.run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups',
                           shutil.copy(ABAFT, f'{node.dir}/abaft'), 'stats', '--pin-dir',
                           node.keys['pin_dir']], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=20)
    tap.ok(code.returncode == 6 and 'no permission; run this as root' in code.stderr,
           'without rights it says that root is needed', code.stderr)
    layout = f'{node.keys["pin_dir"]}/node'
    row = json.loads(nodes.run('bpftool', '-j', 'map', 'dump', 'pinned', layout))[0]['value']
    other = ['0x63', '0x00', '0x00', '0x00'] + row[4:]
    nodes.run('bpftool', 'map', 'update', 'pinned', layout, 'key', '0', '0', '0', '0', 'value',
              *[str(int(byte, 16)) for byte in other])
    code, _, said = abaft('stats', '--pin-dir', node.keys['pin_dir'], ok=False)
    tap.ok(code == 6 and 'its layout: 99, and this program expects' in said,
           'of another layout it says which', said)
    status, page, _ = ask()
    tap.ok(status == 200 and 'its layout: 99' in page, 'and /metrics says it in a comment',
           page[:300])
    nodes.run('bpftool', 'map', 'update', 'pinned', layout, 'key', '0', '0', '0', '0', 'value',
              *[str(int(byte, 16)) for byte in row])
    tap.ok('abaft_core_gets_total' in ask()[1], 'which it forgets when all is well again')


def main():
    if os.geteuid() != 0:
        skip_all('needs root (network and mount namespaces, XDP)')
    tap = Tap()
    nodes.enter_namespace()
    nodes.enter_bpffs()
    tap.case(nobody_is_there)
    with Node(workers=WORKERS) as node:
        os.chmod(node.dir, 0o755)
        tap.case(all_agree, node)
        tap.case(promtool_is_content)
        tap.case(http_answers, node)
        tap.case(somebody_else, node)
        tap.case(http_is_bounded, node)
        tap.case(a_series, node)
    tap.case(the_dead_are_read)
    tap.case(choosing)
    tap.case(metrics_elsewhere)
    tap.case(without_maps)
    tap.case(not_ready)
    tap.done()


main()
