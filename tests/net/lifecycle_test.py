#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node's life: a clean stop leaves nothing, a killed one is cleaned up after, two do not fit,
restarts find everything, and an idle one is quiet."""
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Failed, Node, enter_namespace, missing, run  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import client  # noqa: E402
import wire  # noqa: E402
import xsk  # noqa: E402

HELD_S = 10
FILL = 2048  # what DPDK's driver puts into the fill ring at the start
SYSCTLS = [f'/proc/sys/net/ipv4/conf/lo/{name}' for name in ('route_localnet', 'accept_local')]


def machine(node):
    """All that a node may change outside its data directory."""
    return {'sysctls': [open(path).read().strip() for path in SYSCTLS],
            'link': 'xdp' in run('ip', '-d', 'link', 'show', 'dev', 'lo'),
            'pins': os.path.exists(node.keys['pin_dir']),
            'state': glob.glob(f'{node.keys["state_dir"]}/*')}


def program_id(node):
    pin = f'{node.keys["pin_dir"]}/steer'
    return json.loads(run('bpftool', '-j', 'prog', 'show', 'pinned', pin))['id']


def program_gone(number, timeout_s=5):
    """The kernel frees a program a moment after its last reference went."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        done = subprocess.run(['bpftool', 'prog', 'show', 'id', str(number)],
                              capture_output=True, timeout=10, check=False)
        if done.returncode != 0:
            return True
        time.sleep(0.05)
    return False


def clean_stop(tap):
    """SIGTERM and SIGINT leave the machine as it was"""
    node = Node(start=False)
    before = machine(node)
    for number in (signal.SIGTERM, signal.SIGINT):
        node.start()
        during, program = machine(node), program_id(node)
        tap.ok(during['link'] and during['pins'] and during['sysctls'] == ['1', '1'],
               'clean: program, pins and sysctls are there', during)
        tap.equal(node.peer().write({b'a': b'1'}), wire.OK, 'clean: it serves')
        tap.equal(node._end(number), 0, f'clean: exit status after {number.name}')
        tap.equal(machine(node), before, f'clean: nothing is left after {number.name}')
        tap.ok(program_gone(program), f'clean: nor the program, after {number.name}')
    tap.ok('stopped' in node.said(), 'clean: it says so')
    node.close()


def refusals(node):
    """How often the driver was refused a queue."""
    try:
        return node.said().count('Failed to configure xdp socket')
    except FileNotFoundError:  # not started yet
        return 0


def killed(tap):
    """SIGKILL leaves pins and sysctls; the next start puts them right, in words"""
    node = Node(start=False)
    before = machine(node)
    node.start()
    node.peer().write({b'k': b'1'})
    node.kill()
    left = machine(node)
    tap.ok(left['pins'] and left['state'] and left['sysctls'] == ['1', '1'],
           'killed: pins, state and sysctls stay', left)
    tap.equal(left['link'], False, 'killed: the kernel took the program off')
    node.start()
    tap.ok('killed' in node.said() and node.keys['pin_dir'] in node.said(),
           'killed: the next start tells what it cleaned', node.said())
    tap.equal(node.peer().read(b'k'), [b'1'], 'killed: the commit is there')
    tap.equal(node.stop(), 0, 'killed: clean stop')
    tap.equal(machine(node), before, 'killed: nothing is left, sysctls as before the first start')
    node.close()


def start_refused(node, times):
    """Starts it while somebody has the queue, until it was refused so often."""
    holder = xsk.Holder('lo')

    def release():
        end = time.monotonic() + HELD_S
        while refusals(node) < times and time.monotonic() < end:
            time.sleep(0.002)
        holder.close()

    releasing = threading.Thread(target=release)
    releasing.start()
    try:
        node.start()
    except Failed:
        pass
    releasing.join()


def queue_held(tap):
    """The kernel gives a killed run's queue free late: a refused try leaves no trace"""
    # Once: the driver must not go on where it was. Ten times: all buffers are eight times as many
    # as a try takes.
    for times in (1, 10):
        node = Node(start=False)
        start_refused(node, times)
        tap.ok(refusals(node) >= times, f'held: refused {times} times or more', refusals(node))
        if tap.ok(node.alive(), 'held: then it starts', node.said()[-400:]):
            tap.equal([(len(fill), len(set(fill))) for fill in xsk.fill_addresses(node.pid)],
                      [(FILL, FILL)], 'held: its fill ring holds as many different buffers')
            tap.equal(node.peer().write({b'k': b'1'}), wire.OK, 'held: it serves')
            tap.equal(node.stop(), 0, 'held: clean stop')
        node.close()


def two_at_once(tap):
    """A second daemon on the same directory or interface is refused, the first goes on"""
    with Node() as first:
        for what, keys in (('data directory', {'data_dir': first.keys['data_dir'],
                                               'udp_port': 7500}),
                           ('interface', {'udp_port': 7500}),
                           ('pin folder', {'pin_dir': first.keys['pin_dir'], 'udp_port': 7500})):
            second = Node(start=False, state_dir=first.keys['state_dir'], **keys)
            try:
                second.start()
                tap.ok(False, f'two: on one {what}', 'it started')
            except Failed as failed:
                tap.ok('error' in str(failed), f'two: refused on one {what}', failed)
                tap.note(str(failed))
            finally:
                second.keys['pin_dir'] = '/nowhere'  # the first one's
                second.close()
            tap.equal(first.peer().write({b'a': b'1'}), wire.OK, f'two: {what}: the first serves')
        tap.ok(machine(first)['link'] and machine(first)['pins'], 'two: the first is whole')
        tap.equal(first.stop(), 0, 'two: clean stop')


def worker_counts(tap):
    """The number of workers changes between restarts: values and outcomes are all found"""
    with Node(workers=2) as node:
        ids = {}
        for workers in (2, 3, 1, 2):
            if workers != 2 or ids:
                tap.equal(node.stop(), 0, f'workers: clean stop before {workers}')
                node.keys['workers'] = workers
                node.start()
            peer = node.peer()
            for i in range(20):
                txn = wire.new_id()
                if peer.write({b'%d-%d' % (workers, i): b'v'}, txn) == wire.OK:
                    ids[txn] = b'%d-%d' % (workers, i)
            got = [peer.read(key) == [b'v'] for key in ids.values()]
            tap.equal(got, [True] * len(ids), f'workers: {workers}: all {len(ids)} keys')
            states = {tuple(peer.ask(txn, wire.op(wire.STATUS), flags=0).codes) for txn in ids}
            tap.equal(states, {(wire.COMMITTED,)}, f'workers: {workers}: all outcomes')
            again = [peer.ask(txn, wire.put(key, b'w'), wire.op(wire.COMMIT)).results[-1].flags
                     for txn, key in ids.items()]
            tap.equal(set(again), {wire.REPEAT}, f'workers: {workers}: ids take effect once')
            peer.close()
        tap.equal(len(ids), 80, 'workers: every commit was acknowledged')
        logs = glob.glob(f'{node.keys["data_dir"]}/log-00*')
        tap.ok(node.total('requests') > 0 and len(logs) == 3, 'workers: three logs of workers')


def stop_under_load(tap):
    """SIGTERM in mid-load: what was acknowledged is there, and one dies quickly"""
    with Node(workers=2) as node:
        acknowledged, stop = [], threading.Event()

        def load(number):
            with client.Client(timeout_ms=300) as peer:
                i = 0
                while not stop.is_set():
                    keys = {b'%d-%d-%d' % (number, i, j): b'v' for j in range(3)}
                    if peer.write(keys) == 0:
                        acknowledged.append((number, i))
                    i += 1
        threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        begin = time.monotonic()
        tap.equal(node.stop(), 0, 'load: clean stop')
        tap.ok(time.monotonic() - begin < 5, f'load: within {time.monotonic() - begin:.1f} s')
        stop.set()
        for thread in threads:
            thread.join(10)
        node.start()
        peer = node.peer()
        lost = [at for at in acknowledged
                if peer.read(*[b'%d-%d-%d' % (*at, j) for j in range(3)]) != [b'v'] * 3]
        tap.equal(lost, [], f'load: all {len(acknowledged)} acknowledged commits are there')
        tap.ok(len(acknowledged) > 50, 'load: there was some')
        peer.close()


def stop_with_open_transactions(tap):
    """SIGTERM lets a transaction under way commit, for a second; new ones are refused"""
    with Node(workers=2) as node:
        peer = node.peer()
        ids = [wire.new_id(worker=w, workers=2) for w in range(2)]
        for txn in ids:
            peer.ask(txn, wire.put(b'open-' + txn, b'v'))
        begin = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        tap.equal(peer.write({b'late': b'v'}), wire.STOPPING, 'open: a new one gets STOPPING')
        tap.equal([peer.ask(txn, wire.op(wire.COMMIT), seq=1).codes for txn in ids],
                  [[wire.OK]] * 2, 'open: both commit')
        tap.equal(node.stop(), 0, 'open: clean stop')
        tap.ok(time.monotonic() - begin < 5, f'open: within {time.monotonic() - begin:.1f} s')
        node.start()
        tap.equal(peer.read(*[b'open-' + txn for txn in ids]), [b'v'] * 2, 'open: both are there')
        tap.equal(peer.read(b'late'), [None], 'open: the late one is not')
        peer.close()


def configuration(tap):
    """--check-config starts nothing and names file, line and key"""
    program = Node(start=False)
    command = program.command()[:1]
    path = f'{program.dir}/abaft.conf'

    def check(text, *flags):
        with open(path, 'w') as file:
            file.write(text)
        done = subprocess.run(command + ['--config', path, '--check-config', *flags],
                              capture_output=True, text=True, timeout=10)
        return done.returncode, done.stdout, done.stderr
    code, out, _ = check('workers = 2\nmemory = 1G\n', '--workers=3')
    tap.ok(code == 0 and 'workers = 3' in out and 'memory = 1073741824' in out,
           'config: a good one is printed, flags over the file', out)
    code, _, err = check('# c\nmemory = lots\n')
    tap.ok(code == 2 and f'{path}:2: memory: "lots"' in err, 'config: file, line, key', err)
    code, _, err = check('', '--workers=0')
    tap.ok(code == 2 and 'workers' in err, 'config: a flag', err)
    for flag, says in (('--help', '--segment-size'), ('--version', 'abaftd 0.'),
                       ('--print-example', '#port = afxdp:lo')):
        done = subprocess.run(command + [flag], capture_output=True, text=True, timeout=10)
        tap.ok(done.returncode == 0 and says in done.stdout, f'config: {flag}', done.stdout)
    program.keys['port'] = 'afxdp:nowhere0'
    try:
        program.start()
        tap.ok(False, 'config: an interface that is not there', 'it started')
    except Failed as failed:
        tap.ok('nowhere0' in str(failed), 'config: an interface that is not there', failed)
    program.keys['port'] = 'afxdp:lo,queues=2'
    try:
        program.start()
        tap.ok(False, 'config: a queue that no worker reads', 'it started')
    except Failed as failed:
        tap.ok('at least as many workers' in str(failed), 'config: a queue that no worker reads',
               failed)
    program.close()


def quiet_when_idle(tap):
    """An idle node uses next to no CPU; --poll does, and serves as well"""
    with Node(workers=2) as node:
        peer = node.peer()
        peer.write({b'a': b'1'})
        time.sleep(1.5)
        before, seconds = node.cpu_s(), 3
        time.sleep(seconds)
        used = (node.cpu_s() - before) / seconds * 100
        tap.ok(used < 3, f'idle: {used:.1f} % of a CPU')
        before = node.total('passes')
        time.sleep(1)
        tap.note(f'passes in a second: {node.total("passes") - before}')
        tap.equal(peer.read(b'a'), [b'1'], 'idle: and it wakes up')
        peer.close()
    with Node(poll='yes', sync='no') as node:
        before = node.cpu_s()
        end = time.monotonic() + 5  # others may want the processor, too
        while node.cpu_s() - before <= 0.1 and time.monotonic() < end:
            time.sleep(0.1)
        tap.ok(node.cpu_s() - before > 0.1, 'poll: it polls')
        tap.equal(node.peer().write({b'a': b'1'}), wire.OK, 'poll: it serves')
        tap.equal(node.info()['sleeps'], 0, 'poll: it never sleeps')
        tap.ok('sync = no' in node.said(), 'no sync: a loud warning')


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    enter_namespace()
    for case in (clean_stop, killed, queue_held, two_at_once, worker_counts, stop_under_load,
                 stop_with_open_transactions, configuration, quiet_when_idle):
        tap.case(case)
    tap.done()


main()
