#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node that drives a network card itself: an emulated one, bound to vfio-pci behind an emulated
IOMMU, in a guest. The client is out here, in a network namespace at the card's other end.

    metal_test.py CARD      e1000 (one queue) or virtio (two)

First what only such a node does, then test programs of other suites, as they are.
"""
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import guest as guests

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from guest_node import GuestNode  # noqa: E402
from node import Failed, ROOT, _undo, enter_namespace, missing, run  # noqa: E402
from ping import ping  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402

CARDS = {
    'e1000': guests.Card('e1000', 4, 'e1000', 1),
    # Without rss=on: qemu's own spreading loses a queue for good when a ring was full.
    'virtio': guests.Card('virtio', 5, 'virtio-net-pci,mq=on,vectors=6,iommu_platform=on,'
                          'disable-legacy=on,ats=on', 2, queues=2),
}
PROGRAMS = (('net/protocol_test.py', {}), ('net/values_test.py', {}),
            ('crash/crash_test.py', {'ABAFT_CRASH_ROUNDS': '2'}))
PROGRAM_S = 150
LOAD_S = 4


def abaft(*arguments, **more):
    """The command; its exit status and what it said."""
    program = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
    command = [program, arguments[0], '-a', os.environ['ABAFT_ADDRESS'], *arguments[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          **more)
    return done.returncode, done.stdout.decode(errors='replace').strip()


def check(*files):
    program = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
    done = subprocess.run([program, 'check', *files], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    return done.returncode, done.stdout.decode(errors='replace').strip()


def counted(node, *names):
    """How these counters stand, all workers together; one without a queue does not steer."""
    infos = [node.info(worker) for worker in range(node.workers)]
    return {name: sum(info.get(name, 0) for info in infos) for name in names}


def faults(node):
    """How often the IOMMU stopped the card."""
    return int(node.shell.run("dmesg | grep -c 'DMAR:.*DMA '")[1])


def answers_for_its_host(tap, node, card):
    """ARP, neighbour solicitations and pings: no kernel answers for the card"""
    for address in (card.address, card.address6):
        run('ip', 'neigh', 'flush', 'dev', card.tap)
        tap.ok(ping(address, 10), f'host: {address} answers a ping')
        neighbour = run('ip', 'neigh', 'show', address, 'dev', card.tap)
        tap.ok(f'lladdr {card.mac}' in neighbour, f'host: {address} is the card\'s', neighbour)
        tap.ok(not ping(address[:-1] + '9', 0.5), 'host: an address beside it is not answered for')
    for name, count in counted(node, 'arp', 'nd', 'echo').items():
        tap.ok(count > 0, f'host: counted: {name}')


def commands(tap, node, card):
    """get, put and txn by the command"""
    tap.equal(abaft('put', 'price/hammer', '12', 'price/nail', '1'), (0, ''), 'command: put')
    tap.equal(abaft('get', 'price/hammer'), (0, '12'), 'command: get')
    tap.equal(abaft('get', 'price/saw')[0], 1, 'command: get of nothing')
    code, said = abaft('txn', input=b'get price/nail\nput price/nail 2 price/saw 30\ncommit\n')
    tap.ok(code == 0 and '1' in said, 'command: txn', code, said)
    tap.equal(abaft('get', '-r', 'price/nail', 'price/saw'), (0, '230'), 'command: what it wrote')
    tap.equal(abaft('get', '-a', card.address6, 'price/saw'), (0, '30'), 'command: over IPv6')


def raw_udp(card, port, payload, checksum):
    """UDP with a checksum of our own making."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        raw.sendto(struct.pack('!HHHH', 5555, port, 8 + len(payload), checksum) + payload,
                   (card.address, 0))


def within(timeout_s, have, want):
    """What it is when it is as wanted, or when the time is over."""
    end = time.monotonic() + timeout_s
    while (now := have()) != want and time.monotonic() < end:
        time.sleep(0.05)
    return now


def steers_itself(tap, node, card):
    """What is not for the core is kept from it, and counted by its reason"""
    request = wire.request(wire.new_id(), [wire.put(b's', b'1'), wire.op(wire.COMMIT)])
    names = ('steer_pass_other_port', 'steer_drop_magic', 'steer_drop_short', 'drop_checksum')
    before = counted(node, *names, 'puts')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(request, (card.address, 9999))
        other.sendto(b'x' * 100, (card.address, 7400))
        other.sendto(wire.MAGIC, (card.address, 7401))
    raw_udp(card, 7400, request, 0x1234)
    for name in names:
        tap.equal(within(5, lambda n=name: counted(node, n)[n] - before[n], 1), 1,
                  f'steering: {name}')
    tap.equal(counted(node, 'puts')['puts'], before['puts'], 'steering: none of them writes')
    raw_udp(card, 7400, request, 0)
    tap.equal(within(5, lambda: node.peer().read(b's'), [b'1']), [b'1'],
              'steering: UDP over IPv4 without a checksum does')


def two_workers(tap, node, card):
    """Both workers serve; what came to the wrong one is handed over"""
    peer = node.peer()
    codes = {peer.write({b'w-%d' % i: b'v'}) for i in range(100)}
    tap.equal(codes, {wire.OK}, 'workers: 100 commits')
    infos = [peer.info(worker) for worker in range(2)]
    peer.close()
    tap.ok(all(info['commits'] > 20 for info in infos), 'workers: both commit')
    frames = [info['frames'] for info in infos]
    handed = sum(info['handed_over'] for info in infos)
    tap.note(f'{card.name}: frames by worker {frames}, handed over {handed}')
    if card.queues == 1:
        tap.ok(frames[0] > 0 and not frames[1], 'workers: one queue, one reads', frames)
        tap.ok(handed > 0, 'workers: and hands over')
    else:
        tap.ok(sum(frames) > 100, 'workers: frames came', frames)


SPREAD = {'e1000': 'one queue', 'virtio': '2 queues, 0 of 4 flow rules taken, no RSS'}


def says_what_it_does(tap, node, card):
    """How packets get to the workers; and nothing that looks like an error"""
    tap.ok(f'NIC {card.pci}: {SPREAD[card.name]}' in node.said(), 'says: how the card spreads',
           node.said())
    tap.ok('rror' not in node.said(), 'says: no error', node.said())


def texts(tap, card):
    """What stands for a card in the configuration"""
    for port, workers, says in ((f'pci:{card.pci},queues=2', 1, 'at least as many workers'),
                                (f'pci:{card.pci},queues=3', 3, 'queues, not 3'),
                                ('pci:0000:00:1e.7', 1, 'bind it first'),
                                ('pci:eth0', 1, 'no PCI address')):
        try:
            with GuestNode(port=port, workers=workers):
                tap.ok(False, f'text: {port} is refused', 'it started')
        except Failed as failed:
            tap.ok(says in str(failed), f'text: {port}: {says}', failed)
    with GuestNode(port=f'pci:{card.pci.removeprefix("0000:")}') as node:
        tap.ok(ping(card.address, 10), f'text: {node.keys["port"]} is enough')


def load(folder, name, *more):
    """`abaft load` beside us."""
    program = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
    return subprocess.Popen([program, 'load', '-q', '-a', os.environ['ABAFT_ADDRESS'], '-c', '8',
                             '-k', '200', '-b', '300', '--prefix', name, '-s', str(LOAD_S),
                             '--history', f'{folder}/{name}', *more],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def loaded(tap, node, folder, name, process, codes):
    """Its history and what is there now are judged together."""
    said = process.communicate(timeout=90)[0].decode(errors='replace')
    tap.ok(process.returncode in codes, f'{name}: abaft load', process.returncode, said)
    code, dumped = abaft('load', '-q', '-k', '200', '--prefix', name, '--no-run', '--dump',
                         f'{folder}/{name}.final')
    tap.equal(code, 0, f'{name}: every key is read')
    code, judged = check('--final', f'{folder}/{name}.final', f'{folder}/{name}')
    tap.ok(code == 0, f'{name}: abaft check finds no anomaly', judged)
    tap.note(judged.splitlines()[0])
    with open(f'{folder}/{name}') as history:
        lines = sum(1 for _ in history)
    tap.ok(lines > 100, f'{name}: {lines} lines of history')


def under_load(tap, node, folder):
    """Many clients, judged; then the same with a kill -9 in the middle"""
    loaded(tap, node, folder, 'quiet', load(folder, 'quiet'), (0,))
    process = load(folder, 'killed', '--retries', '1000')
    time.sleep(LOAD_S / 3)
    node.kill()
    before = faults(node)
    node.start()
    tap.ok('recovered 0.0 MiB of 0 logs' not in node.ready, 'killed: it recovers', node.ready)
    loaded(tap, node, folder, 'killed', process, (0, 1))
    # Until its driver resets it, a card that was left running goes on: into nothing.
    tap.note(f'the IOMMU stopped {faults(node) - before} reads of a card whose node was killed')


def stops_and_starts(tap, node, card):
    """A clean stop leaves the card as it can be taken again, and touches nothing by itself"""
    before = faults(node)
    for _ in range(2):
        tap.equal(node.stop(), 0, 'stop: clean')
        node.start()
        tap.ok(ping(card.address), 'stop: the card serves the next one')
    tap.equal(node.peer().read(b's'), [b'1'], 'stop: the data are there')
    tap.equal(faults(node) - before, 0, 'stop: the card touched no memory that is not its own')


def without_huge_pages(tap, card):
    """The IOMMU maps ordinary memory as well"""
    with GuestNode(huge_pages='no', workers=2) as node:
        tap.ok(ping(card.address, 10), 'no huge pages: it answers')
        tap.equal(node.peer().write({b'n': b'1'}), wire.OK, 'no huge pages: it commits')


def program(tap, card, name, more):
    """A test program of another suite; its cases become ours."""
    process = subprocess.Popen([sys.executable, '-B', f'{ROOT}/tests/{name}'],
                               stdout=subprocess.PIPE, text=True, env={**os.environ, **more})
    begin, cases = time.monotonic(), 0
    label = os.path.basename(name).removesuffix('_test.py')
    try:
        for line in process.stdout:
            if time.monotonic() - begin > PROGRAM_S:
                raise TimeoutError(f'{name} took longer than {PROGRAM_S} s')
            good = line.startswith('ok ')
            if good or line.startswith('not ok '):
                tap.ok(good, f'{label}: {line.split(" - ", 1)[-1].strip()}')
                cases += 1
            elif line.startswith('#'):
                tap.note(line[1:].strip())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    tap.ok(cases > 5, f'{label}: {cases} cases')
    tap.note(f'{label}: {time.monotonic() - begin:.0f} s')


def on_card(tap, card, folder):
    with GuestNode(workers=2) as node:
        for case in (answers_for_its_host, commands, steers_itself, two_workers, says_what_it_does,
                     stops_and_starts):
            tap.case(case, node, card)
        tap.case(under_load, node, folder)
        tap.equal(node.stop(), 0, 'a clean stop in the end')
    tap.case(without_huge_pages, card)
    tap.case(texts, card)
    for name, more in PROGRAMS:
        tap.case(program, card, name, more)


def main():
    reason = missing() or guests.missing()
    if reason:
        skip_all(reason)
    card = CARDS[sys.argv[1]]
    tap = Tap()
    enter_namespace()
    folder = tempfile.mkdtemp(prefix='abaft-metal-', dir=os.environ.get('TMPDIR', '/var/tmp'))
    _undo.append(lambda: shutil.rmtree(folder))  # also when we are told to end
    guest = guests.Guest(folder, card)
    try:
        begin = time.monotonic()
        with guest:
            tap.note(f'the guest was up after {time.monotonic() - begin:.0f} s')
            guest.shell.close()
            os.environ.update(card.environment(), ABAFT_GUEST=f'{folder}/shell')
            on_card(tap, card, folder)
    except Exception:
        tap.ok(False, 'the guest', traceback.format_exc())
    if tap.failed:
        tap.note(guest.said())
    tap.done()


main()
