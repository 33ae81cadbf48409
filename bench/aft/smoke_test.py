#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The evaluation of the AFT paper still runs, and sees what it should: smoke_test.py BUILD-DIR. No
time of it means anything, so none is judged but that a delay delays."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..'), os.path.join(HERE, '..', '..', 'tests', 'lib')]

import node as nodes  # noqa: E402
from tap import Tap  # noqa: E402

import counting  # noqa: E402
import servers  # noqa: E402
from cells import Bench, System, Workload  # noqa: E402

IDS = [f'01935a7b-{n:04x}-7c11-9234-abcdef010203' for n in range(8)]


def tag(writer, number, time_us, key, *beside):
    return f'{IDS[writer]}/{number}/{time_us}/{key}/{",".join((key, *beside))}'


def line(txn, step, start, end, outcome, *ops):
    return f'T {IDS[txn]} c{txn} {step} 0 {start} {end} {outcome} - {" ".join(ops)}\n'


def judged(*lines):
    with tempfile.NamedTemporaryFile('w', suffix='.history') as file:
        file.write(''.join(lines))
        file.flush()
        return counting.judge([file.name])


# T0 wrote x and y long ago, T1 both anew; both were over before any reader came.
WRITERS = (line(0, 0, 10, 20, 'committed', 'w,x,0.0.1,11', 'w,y,0.0.2,12'),
           line(1, 0, 30, 40, 'committed', 'w,x,0.0.1,31', 'w,y,0.0.2,32'))
OLD_X, OLD_Y = tag(0, '0.0.1', 11, 'x', 'y'), tag(0, '0.0.2', 12, 'y', 'x')
NEW_X, NEW_Y = tag(1, '0.0.1', 31, 'x', 'y'), tag(1, '0.0.2', 32, 'y', 'x')


def counts(tap):
    """Both rules of counting"""
    forward = judged(*WRITERS, line(2, 0, 50, 60, 'open', f'r,x,-,{NEW_X}'),
                     line(2, 1, 70, 80, 'committed', f'r,y,-,{OLD_Y}'))
    tap.equal(forward['pairs'], {'forward': 1}, 'forward across functions: we see it')
    tap.equal(forward['paper'], {'ryw': 0, 'fractured': 0}, 'the paper\'s rule does not')
    backward = judged(*WRITERS, line(2, 0, 50, 60, 'open', f'r,x,-,{OLD_X}'),
                      line(2, 1, 70, 80, 'committed', f'r,y,-,{NEW_Y}'))
    tap.equal(backward['pairs'], {'backward': 1}, 'backward across functions: we see it')
    tap.equal(backward['paper']['fractured'], 1, 'so does the paper\'s rule')
    within = judged(*WRITERS, line(2, 0, 50, 60, 'committed', f'r,x,-,{NEW_X}', f'r,y,-,{OLD_Y}'))
    tap.equal((within['pairs'], within['paper']['fractured']), ({'forward': 1}, 1),
              'forward within a function: both see it')
    twice = judged(*WRITERS, line(2, 0, 50, 60, 'committed', f'r,x,-,{OLD_X}', f'r,x,-,{NEW_X}'))
    tap.equal((twice['pairs'], twice['paper']['fractured']), ({'repeatable': 1}, 1),
              'a key read twice is no fractured read but for the paper')
    own = judged(*WRITERS, line(2, 0, 50, 60, 'committed', 'w,x,0.0.1,51', f'r,x,-,{NEW_X}'))
    tap.equal((own['pairs'], own['paper']['ryw']), ({'ryw': 1}, 1), 'another value after its own')
    clean = judged(*WRITERS, line(2, 0, 50, 60, 'committed', f'r,x,-,{NEW_X}', f'r,y,-,{NEW_Y}'))
    tap.equal((clean['pairs'], clean['paper'], clean['stale']['share']),
              ({}, {'ryw': 0, 'fractured': 0}, 0), 'nothing where there is nothing')
    dirty = judged(line(0, 0, 10, 20, 'open', 'w,x,0.0.1,11'),
                   line(2, 0, 15, 18, 'committed', f'r,x,-,{tag(0, "0.0.1", 11, "x", "y")}'),
                   line(0, 1, 30, 40, 'committed', 'w,y,1.0.2,31'))
    tap.equal(dirty['pairs'], {'dirty': 1}, 'read before its writer\'s last function began')
    stale = judged(*WRITERS, line(2, 0, 1000, 2000, 'committed', f'r,x,-,{OLD_X}', 'r,z,-,-'))
    tap.equal((stale['stale']['versions_max'], stale['stale']['ms_p50'], stale['reads_null']),
              (1, 0.96, 1), 'a version and 0.96 ms behind, and one read of nothing')


def delay(tap, build):
    """A delayed server"""
    redis = servers.Redis()
    redis.fresh()
    proxy = servers.Delay(build, 'redis', redis.port)
    try:
        with socket.create_connection(('127.0.0.1', proxy.port), timeout=10) as asking:
            times = []
            for i in range(100):
                start = time.monotonic()
                asking.sendall(b'*2\r\n$4\r\nECHO\r\n$3\r\n%03d\r\n' % i)
                if asking.recv(64) != b'$3\r\n%03d\r\n' % i:
                    break
                times.append(time.monotonic() - start)
            median_us = sorted(times)[len(times) // 2] * 1e6
            tap.ok(len(times) == 100 and median_us > 400, 'answers come as they were, and late',
                   f'{len(times)} answers, median {median_us:.0f} us')
            asking.sendall(b''.join(b'*2\r\n$4\r\nECHO\r\n$3\r\n%03d\r\n' % i for i in range(50)))
            answers = b''
            while len(answers) < 50 * 9:
                answers += asking.recv(4096)
            tap.equal(answers, b''.join(b'$3\r\n%03d\r\n' % i for i in range(50)),
                      'answers of many requests at a time keep their order')
        tap.equal(proxy.counts()['requests'], 150, 'each request is counted')
    finally:
        proxy.stop()
        redis.stop()


def hop(tap, build):
    """A network that takes its time"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        echo.bind(('127.0.0.1', 0))
        echo.settimeout(10)
        network = servers.Hop(build, echo.getsockname()[1], (20000, 20000))
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(10)
                start = time.monotonic()
                for i in range(3):
                    asking.sendto(b'%d' % i, ('127.0.0.1', network.port))
                for _ in range(3):
                    echo.sendto(*echo.recvfrom(64))
                answers = [asking.recv(64) for _ in range(3)]
                took = time.monotonic() - start
        finally:
            network.stop()
    tap.ok(answers == [b'0', b'1', b'2'] and took >= 0.02, 'packets come as they were, and late',
           f'{answers} after {took:.3f} s')


def verdicts(tap, build):
    """What a plain store does wrong is seen, and that abaft does not"""
    bench = Bench(build, small=True)
    load = Workload(keys=6, clients=6, transactions=60)
    try:
        plain = bench.measure(System('redis'), 'redis', load)
        ours = bench.measure(System('abaft'), 'embedded', load)
        cold = bench.measure(System('abaft'), 'embedded',
                             Workload(keys=6, clients=2, transactions=5, cold=True))
        script = bench.measure(System('redis-validated'), 'redis', load)
    finally:
        bench.close()
    found = plain['anomalies']['all']
    for kind in ('fractured_backward', 'read_your_writes', 'repeatable_read', 'dirty_read'):
        tap.ok(found.get(kind), f'Redis as it is: {kind}', found)
    paper = plain['counted']['paper']
    tap.ok(paper['ryw'] and paper['fractured'], 'and the paper\'s rule finds some, too', paper)
    tap.equal((plain['committed'], ours['committed'], cold['committed']), (360, 360, 10),
              'all transactions ended well')
    for name, result in (('abaft', ours), ('abaft, functions started anew each time', cold)):
        tap.equal((result['anomalies']['all'], result['counted']['pairs'],
                   result['counted']['paper']), ({}, {}, {'ryw': 0, 'fractured': 0}),
                  f'{name}: clean')
        judged_reads = result['anomalies']['all_judged']
        tap.ok(judged_reads['reads'] > 0 and judged_reads['reads_unjudged'] == 0
               and judged_reads['commits_unjudged'] == 0, f'{name}: all of it was judged',
               judged_reads)
    tap.equal(script['anomalies']['committed'], {}, 'validated by a script: clean if committed')
    tap.ok(script['attempts'] > script['begun'], 'but it had to run again', script['attempts'])
    tap.ok(0 < ours['storage']['requests'] <= 1, 'a commit is one write, or shares one',
           ours['storage'])


def scripts(tap, build):
    """The figures' script"""
    out = tempfile.mkdtemp(prefix='abaft-bench-', dir='/var/tmp')
    try:
        done = subprocess.run([f'{HERE}/run', 'table2', 'throughput', 'bootstrap', '--smoke',
                               '--engine=embedded', f'--build={build}', f'--out={out}'],
                              capture_output=True, text=True, timeout=200, check=False)
        tap.ok(done.returncode == 0, 'run', done.stdout + done.stderr)
        for text in ('machine: ', 'cache line ', 'Table 2, as in the paper',
                     'embedded  abaft batched ', "'clean': True", '200 commits'):
            tap.ok(text in done.stdout, f'prints "{text}"', done.stdout)
        wanted = {'table2.json', 'throughput.json', 'throughput.svg', 'bootstrap.svg'}
        tap.equal(wanted - set(os.listdir(out)), set(), 'writes JSON and pictures')
    finally:
        shutil.rmtree(out)


def main():
    build = sys.argv[1]
    tap = Tap()
    tap.case(counts)
    reason = nodes.missing() or servers.Redis().reason
    if reason:
        tap.note(f'SKIP the rest: {reason}')
        tap.done()
    os.environ['ABAFTD'] = f'{build}/control/abaftd'
    nodes.enter_namespace()
    tap.case(delay, build)
    tap.case(hop, build)
    tap.case(verdicts, build)
    tap.case(scripts, build)
    tap.done()


if __name__ == '__main__':
    main()
