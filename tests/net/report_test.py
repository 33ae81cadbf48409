#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A load recorded against a node that is scraped meanwhile and stands still for half a second, and
its report: seconds, scrapes, pictures and the node's own counters tell the same story."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'lib'), os.path.join(HERE, '..', 'unit', 'report')]
from node import Node, ROOT, _die_with_parent, enter_namespace, missing  # noqa: E402
from recorded import Outline, Picture  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
RATE, SECONDS, STOPPED_AT_S, STOPPED_S = 400, 8, 4.3, 0.5


def record(node, folder):
    """Returns load's exit code; the folder is made with stats.jsonl in it."""
    os.mkdir(folder)
    with open(f'{folder}/stats.jsonl', 'w') as file:
        stats = subprocess.Popen([ABAFT, 'stats', '--json', '--buckets', '--every', '1',
                                  '--pin-dir', node.keys['pin_dir']], stdout=file,
                                 preexec_fn=_die_with_parent)
    load = subprocess.Popen([ABAFT, 'load', '--record', folder, '-s', str(SECONDS), '-c', '64',
                             '-F', '1', '-k', '100', '-b', '200', '--rate', str(RATE),
                             '--constant', '--one-packet', '-q', '-w', 'json'],
                            stdout=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    try:
        begin = time.monotonic()
        while not os.path.exists(f'{folder}/series.jsonl') and time.monotonic() < begin + 5:
            time.sleep(0.01)
        time.sleep(STOPPED_AT_S)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        node.process.send_signal(signal.SIGCONT)
        code = load.wait(60)
        time.sleep(1.2)
    finally:
        node.process.send_signal(signal.SIGCONT)
        for process in (load, stats):
            process.terminate()
            process.wait()
    return code


def story(tap):
    """Recorded, scraped, reported"""
    with Node(workers=2) as node:
        folder = f'{node.dir}/run'
        tap.equal(record(node, folder), 0, 'load: all committed')
        commits = node.total('commits', 'commits_read_only')
        done = subprocess.run([ABAFT, 'report', folder], capture_output=True, text=True, timeout=60,
                              check=False)
        tap.ok(done.returncode == 0 and not done.stderr, 'report: made', done.stderr)
        with open(f'{folder}/load.json') as file:
            load = json.load(file)
        with open(f'{folder}/series.jsonl') as file:
            series = [json.loads(line) for line in file]
        with open(f'{folder}/report.html', encoding='utf-8') as file:
            page = file.read()
    tap.equal(sum(line['committed'] for line in series), load['committed'],
              'series: the seconds add up')
    tap.equal(sum(commits), load['committed'], 'series: to what the node counts')
    tap.equal([line['t'] for line in series], list(range(len(series))), 'series: every second')
    tap.ok(SECONDS <= len(series) <= SECONDS + 2, f'series: {len(series)} seconds')

    outline = Outline(page)
    tap.ok(not outline.wrong and page.count('<svg') == 11, 'page: eleven pictures',
           outline.wrong, page.count('<svg'))
    throughput = Picture(page, 'Throughput')
    wrong = [line for line in series[:-2]  # the last is short, and drawn with the one before
             if abs(throughput.value(0, line['t'] + 0.5) - line['committed']) > 0.02 * RATE]
    tap.equal(wrong, [], 'page: throughput is the series\'')
    tap.ok(abs(throughput.value(1, 3) - RATE) < 0.02 * RATE, 'page: and what was asked for')
    latency = Picture(page, 'Latency', logarithmic=True)
    slow = [line['t'] for line in series
            if (latency.value(3, line['t'] + 0.5) or 0) > 0.8 * STOPPED_S]
    tap.ok(1 <= len(slow) <= 2 and 4 <= slow[0] <= 5, 'page: the halt is in its second', slow,
           series)
    requests = Picture(page, 'Requests and operations')
    sent = load['packets_sent'] / load['committed'] * RATE
    for number, name, want in ((0, 'requests', sent), (1, 'operations', 4 * RATE)):
        have = requests.value(number, 3)  # clients count resends as well, so not exactly
        tap.ok(have and 0.8 * want < have < 1.25 * want, f'page: {name}, as the node counts them',
               have, want)
    for title in ('Execution of a request', 'From a commit to its durability',
                  'Write and sync of a group of the log', 'Life of a transaction in the node'):
        picture = Picture(page, title, logarithmic=True)
        low, high = picture.value(0, 3), picture.value(1, 3)
        tap.ok(low and high and 1e-8 < low <= high * 1.01 < 10, f'page: {title}', low, high)


def main():
    reason = missing()
    if not reason and shutil.which('gnuplot') is None:
        reason = 'gnuplot is not there (package gnuplot-nox)'
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    tap.case(story)
    tap.done()


main()
