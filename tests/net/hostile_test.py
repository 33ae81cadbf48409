#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""hostile_test.py - a node behind a cable that drops, doubles, reorders, corrupts and delays
packets in both directions, while clients and the node are killed and start again: `abaft check`
finds no anomaly in what the clients saw, and all that was acknowledged is there at the end.

    hostile_test.py OBJECT   the program built from hostile.bpf.c

Each run has two loads, one over IPv4, one over IPv6. With ABAFT_HOSTILE_S=SECONDS it runs that long
instead of once through the list, with new seeds, random faults of 0 to 30 percent each."""
import json
import os
import random
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import cable as cables  # noqa: E402
import node as nodes  # noqa: E402
import tap  # noqa: E402
from cable import COUNTED, FAULTS, WAYS  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
ADDRESSES = ('10.7.0.1', 'fd07::1')
KEYS = 64
LOAD_S = 2.5  # each of the two loads of a run
PROBES = 400
RUNS = [{fault: percent} for fault in FAULTS for percent in (5, 30)] + [dict.fromkeys(FAULTS, 10)]


def probe(cable, **percent):
    """Numbered datagrams through the cable to a socket of the kernel's: those that came, in order,
    and how many packets that were."""
    cable.set(**percent)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        here.bind((ADDRESSES[0], 0))
        there = cable.client.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with there:
            for i in range(PROBES):
                there.sendto(b'%08d' % i + bytes(92), here.getsockname())
        here.settimeout(0.3)
        came = []
        try:
            while True:
                came.append(here.recv(200))
        except socket.timeout:
            cable.set()
            return [int(data[:8]) for data in came if data[8:] == bytes(92)], len(came)


def the_cable(t, cable):
    """The cable does what it is told"""
    for fault in ({}, *({name: 30} for name in FAULTS)):
        came, raw = probe(cable, **fault)
        lost, doubled = PROBES - len(set(came)), len(came) - len(set(came))
        seen = {'drop': lost, 'duplicate': doubled, 'corrupt': lost,
                'reorder': came != sorted(came), 'delay': came != sorted(came)}
        wanted = {name: name in fault or (name, *fault) in (('drop', 'corrupt'),
                                                            ('corrupt', 'drop'),
                                                            ('reorder', 'delay'),
                                                            ('delay', 'reorder'))
                  for name in FAULTS}
        t.equal({name: bool(seen[name]) for name in FAULTS}, wanted,
                f'cable: {PROBES} datagrams meet {fault or "nothing"}: {lost} lost, '
                f'{doubled} doubled')
        t.equal(raw, len(came), "cable: the kernel's checksums let nothing corrupt through")


class Load:
    """`abaft load` in the client's namespace."""

    def __init__(self, cable, folder, prefix, seed, address, seconds, *more):
        self.process = subprocess.Popen(
            cable.client.command(
                ABAFT, 'load', '-q', '-a', address, '--prefix', prefix, '-k', str(KEYS),
                '-b', '300', '-c', '16', '-s', str(seconds), '-t', '3000', '--seed', str(seed),
                '-w', 'json', '--history', f'{folder}/history-{prefix}', *more),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=nodes._die_with_parent)

    def result(self):
        out = self.process.communicate(timeout=90)[0]
        return json.loads(out) if self.process.returncode in (0, 1) else {}

    def kill(self):
        self.process.kill()
        self.process.communicate()


def judge(cable, folder, prefix):
    """What `abaft check` says of a run: its exit code and its words."""
    dump = f'{folder}/final-{prefix}'
    subprocess.run(cable.client.command(ABAFT, 'load', '-q', '-a', ADDRESSES[0], '--prefix', prefix,
                                        '-k', str(KEYS), '--no-run', '--dump', dump), timeout=60,
                   check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([ABAFT, 'check', '--final', dump, f'{folder}/history-{prefix}'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True)
    return done.returncode, done.stdout


def run(t, cable, node, name, seed, percent):
    """Two loads under faults; one is killed and replaced, then the node is killed, too"""
    prefix = f'{name}-'
    before = cable.counters()
    checksums = node.total('drop_checksum')
    cable.set(**percent)
    doomed = Load(cable, node.dir, prefix, seed, ADDRESSES[1], 60)
    first = Load(cable, node.dir, prefix, seed + 1, ADDRESSES[0], LOAD_S)
    time.sleep(LOAD_S / 3)
    doomed.kill()
    second = Load(cable, node.dir, prefix, seed + 2, ADDRESSES[1], LOAD_S)
    time.sleep(LOAD_S / 3)
    checksums = node.total('drop_checksum') - checksums
    node.kill()
    node.start()
    results = [first.result(), second.result()]
    after = cable.counters()
    cable.set()
    committed = sum(result.get('committed', 0) for result in results)
    t.ok(all(result.get('committed') for result in results), f'{name}: {committed} transactions',
         results)
    code, said = judge(cable, node.dir, prefix)
    t.equal(code, 0, f'{name}: no anomaly, nothing acknowledged is lost')
    t.note(*([said] if code else []))
    for fault, counted in zip(FAULTS, COUNTED):
        happened = [after[way][counted] - before[way][counted] for way in WAYS]
        t.ok(all((n > 0) == (percent.get(fault, 0) > 0) for n in happened),
             f'{name}: {happened[0]} requests and {happened[1]} answers {counted}')
    if percent.get('corrupt'):
        t.ok(checksums > 0, f'{name}: the node refused {checksums} of the corrupt ones it was sent '
             'before it was killed')
    os.unlink(f'{node.dir}/history-{prefix}')
    return committed


def listed(t, cable, node):
    """Each fault at 5 and at 30 percent, then all at 10"""
    for number, percent in enumerate(RUNS):
        fault, share = next(iter(percent.items()))
        name = f'{fault}-{share}' if len(percent) == 1 else f'all-{share}'
        t.case(run, cable, node, name, 100 * number, percent)


def soak(t, cable, node, seconds):
    """Random faults for a long time"""
    end, number, committed = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        number += 1
        seed = random.randrange(1 << 30)
        percent = {fault: random.randrange(1, 31) for fault in FAULTS if random.random() < 0.5}
        t.note(f'run {number}: seed {seed}, {percent}')
        committed += run(t, cable, node, f'soak-{number}', seed, percent)
    t.note(f'{committed} transactions in {number} runs')


reason = nodes.missing() or (None if os.path.exists('/dev/net/tun') else 'needs /dev/net/tun')
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
cable = cables.Cable(sys.argv[1])
t = tap.Tap()
t.case(the_cable, cable)
with nodes.Node(workers=2, port='afxdp:ours', addresses=','.join(ADDRESSES),
                verify_checksums='yes') as node:
    # The node must be asked from outside: from its own namespace its address is no wire away.
    node.peer = lambda: cable.client.inside(lambda: nodes.Node.peer(node, ADDRESSES[0]))
    if os.environ.get('ABAFT_HOSTILE_S'):
        t.case(soak, cable, node, float(os.environ['ABAFT_HOSTILE_S']))
    else:
        listed(t, cable, node)
cable.close()
t.done()
