# SPDX-License-Identifier: Apache-2.0
"""demo_test.py - the demonstration, small: finds what it is to find, and leaves nothing behind."""
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import node  # noqa: E402
import tap  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{node.ROOT}/build/tools/abaft')
ABAFTD = os.environ.get('ABAFTD', f'{node.ROOT}/build/control/abaftd')
SYSCTLS = ('route_localnet', 'accept_local')
FOLDER = tempfile.TemporaryDirectory(prefix='abaft-demo-test-', dir='/var/tmp')
# Beside other runs of this test on this machine.
os.environ['TMPDIR'] = FOLDER.name
SMALL = ('-r', '40', '-k', '60', '-s', '7')


def demo(*arguments):
    done = subprocess.run((ABAFT, 'demo') + arguments, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def left_behind():
    """All that a node or the demonstration could leave on this machine."""
    sysctls = [open(f'/proc/sys/net/ipv4/conf/lo/{name}').read().strip() for name in SYSCTLS]
    link = json.loads(node.run('ip', '-j', 'link', 'show', 'lo'))[0]
    return {'sysctls': sysctls, 'xdp': link.get('xdp'), 'folders': os.listdir(FOLDER.name),
            'pins of the dead': [pin for pin in pins() if not alive(pin)]}


def pins():
    return glob.glob('/sys/fs/bpf/abaft-demo-*')


def alive(pin):
    """Whether the process that a folder of pins is named for still runs."""
    return os.path.exists(f'/proc/{pin.rsplit("-", 1)[1]}')


def judge(t, code, out, err):
    if not t.ok(out.startswith('{'), 'the demonstration reports', f'exit code {code}', out, err):
        return None
    report = json.loads(out)
    plain, abaft = report['plain'], report['abaft']
    t.ok(plain['kills'] > 0 and abaft['kills'] > 0, 'functions are killed in both', report)
    t.ok(plain['retries'] > 0 and abaft['retries'] > 0, 'and started again', report)
    t.ok(plain['reads'] > 0 and abaft['reads'] > 0, 'and orders are read meanwhile', report)
    t.ok(plain['orders_half'] > 0, 'the plain store holds half-written orders', plain)
    t.ok(plain['effects_duplicate'] > 0, 'and effects of retries that happened twice', plain)
    t.ok(plain['reads_fractured'] > 0, 'and its readers saw half orders', plain)
    for name in ('orders_half', 'effects_duplicate', 'reads_fractured', 'reads_dirty', 'anomalies',
                 'orders_unreadable', 'failed', 'reads_failed'):
        t.equal(abaft[name], 0, f'abaft: {name} is 0')
    t.ok(abaft['orders_whole'] >= abaft['succeeded'] > 0, 'abaft: what succeeded is there', abaft)
    t.equal(abaft['succeeded'] + abaft['given_up'], 40, 'abaft: every order is accounted for')
    return report


def own_node(t):
    """The demonstration with a node of its own, killed twice."""
    before = left_behind()
    code, out, err = demo('-w', 'json', '--start-node', ABAFTD, '-W', '2', '-K', '2', '-m', '600',
                          *SMALL)
    report = judge(t, code, out, err)
    if report:
        crash = report['crash']
        t.equal(crash['rounds'], 2, 'the node is killed twice under load')
        t.ok(crash['acknowledged'] > 0, 'with commits acknowledged', crash)
        for name in ('lost', 'partial', 'unreadable'):
            t.equal(crash[name], 0, f'crash: {name} is 0')
        t.equal(code, 0, 'its exit code says that abaft is clean')
    t.equal(left_behind(), before, 'nothing is left behind')


def running_node(t):
    """The demonstration on a node that runs already."""
    with node.Node() as running:
        code, out, err = demo('-w', 'json', *SMALL)
        report = judge(t, code, out, err)
        t.ok(report and 'crash' not in report, 'a running node is not killed', out)
        t.ok(running.alive(), 'it is alive')
        code, out, _ = demo('-r', '4', '-k', '0')
        t.ok('was not killed' in out, 'and the table says so', out)


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [int(child) for child in file.read().split()]


def all_below(pid):
    found = children(pid)
    for child in list(found):
        try:
            found += all_below(child)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def own_pins(pid):
    return [pin for pin in pins() if int(pin.rsplit('-', 1)[1]) in all_below(pid)]


def interrupted(t):
    """The demonstration ended by SIGTERM in the middle."""
    before = left_behind()
    process = subprocess.Popen((ABAFT, 'demo', '--start-node', ABAFTD, '-r', '20', '-K', '100'),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while not own_pins(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    t.ok(own_pins(process.pid), 'the node has started')
    time.sleep(1)
    below = all_below(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        code = None
    t.ok(code not in (0, None), 'SIGTERM ends it', code)
    alive = [pid for pid in below if os.path.exists(f'/proc/{pid}')]
    t.equal(alive, [], 'all its processes have gone')
    t.equal(left_behind(), before, 'nothing is left behind')


def wrong(t):
    """Errors that a person can act on."""
    code, _, err = demo('--start-node', '/nonexistent/abaftd', '-r', '1')
    t.ok(code == 6 and '/nonexistent/abaftd' in err, 'a daemon that is not there is named', err)
    code, _, err = demo('-r', '0')
    t.ok(code == 2 and '--requests' in err, 'a number out of range is named', err)
    code, _, err = demo('-d', '/nonexistent')
    t.ok(code == 2 and '/nonexistent' in err, 'a folder that is not there is named', err)
    code, _, err = demo('-t', '200', '-r', '1')
    t.ok(code == 6 and 'abaftd' in err, 'without a node it says what to do', err)


def main():
    reason = node.missing()
    if reason:
        tap.skip_all(reason)
    node.enter_namespace()
    t = tap.Tap()
    for case in (own_node, running_node, interrupted, wrong):
        t.case(case)
    t.done()


main()
