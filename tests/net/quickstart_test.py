# SPDX-License-Identifier: Apache-2.0
"""quickstart_test.py - tools/quickstart, short, in a namespace: its summary, --keep, and that
nothing is left when it is ended in the middle."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import node  # noqa: E402
import tap  # noqa: E402

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else f'{node.ROOT}/build')
ABAFT = f'{BUILD}/tools/abaft'
FOLDER = tempfile.TemporaryDirectory(prefix='abaft-quickstart-test-', dir='/var/tmp')
# Beside other runs of this test on this machine.
os.environ['TMPDIR'] = FOLDER.name
os.environ['QUICKSTART_KEPT'] = f'{FOLDER.name}/kept'
# A daemon that may be built again while it runs.
ABAFTD = f'{FOLDER.name}/build/control/abaftd'
os.makedirs(f'{FOLDER.name}/build/control')
shutil.copy(f'{BUILD}/control/abaftd', ABAFTD)
os.symlink(f'{BUILD}/tools', f'{FOLDER.name}/build/tools')
QUICKSTART = (f'{node.ROOT}/tools/quickstart', '--build', f'{FOLDER.name}/build', '--seconds', '2')


def left_behind():
    sysctls = [open(f'/proc/sys/net/ipv4/conf/lo/{name}').read().strip()
               for name in ('route_localnet', 'accept_local')]
    link = json.loads(node.run('ip', '-j', 'link', 'show', 'lo'))[0]
    pins = [pin for name in ('quickstart', 'demo')
            for pin in glob.glob(f'/sys/fs/bpf/abaft-{name}-*')
            if not os.path.exists(f'/proc/{pin.rsplit("-", 1)[1]}')]
    return {'sysctls': sysctls, 'xdp': link.get('xdp'), 'pins of the dead': pins,
            'files': os.listdir(FOLDER.name)}


def run(*arguments):
    done = subprocess.run(QUICKSTART + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, timeout=240)
    return done.returncode, done.stdout


def all_below(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children') as file:
            found = [int(child) for child in file.read().split()]
    except OSError:
        return []
    return found + [pid for child in found for pid in all_below(child)]


def kept_pid():
    with open(os.environ['QUICKSTART_KEPT']) as file:
        return int(file.readline())


def gone(pid):
    """Ended; who started it may not have asked yet."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] == 'Z'
    except OSError:
        return True


def kept(t):
    """The whole way, and a node that stays until it is told to go."""
    before = left_behind()
    code, out = run('--keep')
    t.equal(code, 0, 'it ends well')
    for line in (r'half-written orders +\d+ without abaft, 0 with', r'throughput +[1-9]\d* durable',
                 r'latency p50, p99, p99.9 +\d+\.\d\d ms', r'anomalies found +0\n',
                 r'lost over kill -9, load +0 of [1-9]', r'lost over kill -9, demo +0 of [1-9]'):
        t.ok(re.search(line, out), f'the summary says: {line}', out)
    t.ok('--stop' in out, 'it says how to stop the node', out)
    done = subprocess.run((ABAFT, 'put', 'greeting', 'hello'), timeout=30)
    t.equal(done.returncode, 0, 'the node is there and works')
    code, out = run('--keep')
    t.ok(code == 1 and '--stop' in out, 'a second one is refused, with what to do', out)
    pid = kept_pid()
    os.unlink(ABAFTD)
    shutil.copy(f'{BUILD}/control/abaftd', ABAFTD)
    t.ok(os.readlink(f'/proc/{pid}/exe').endswith(' (deleted)'), 'the daemon was built again')
    code, out = run('--stop')
    t.equal(code, 0, 'the node is stopped')
    t.ok(gone(pid), 'its process has gone')
    t.equal(left_behind(), before, 'nothing is left behind')
    code, out = run('--stop')
    t.ok(code == 1 and 'no node' in out, 'stopping again says that there is none', out)


def kept_and_killed(t):
    """A node left by --keep that died: --stop undoes what it could not."""
    before = left_behind()
    code, out = run('--keep')
    t.equal(code, 0, 'it ends well')
    during = left_behind()
    t.equal(during['sysctls'], ['1', '1'], 'the node set the sysctls')
    pid = kept_pid()
    os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        if gone(pid) and not left_behind()['xdp']:
            break
        time.sleep(0.1)
    t.equal(left_behind()['sysctls'], ['1', '1'], 'killed, it left them')
    code, out = run('--stop')
    t.ok(code == 0 and 'had died' in out, '--stop says that it had died', out)
    t.equal(left_behind(), before, 'nothing is left behind')


def ended(t, number, text):
    """Ended in the middle."""
    before = left_behind()
    process = subprocess.Popen(QUICKSTART, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        if text in line:
            break
    time.sleep(1.5)
    below = all_below(process.pid)
    t.ok(below, f'it is at work: {text}')
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    t.equal(process.returncode, 128 + number, f'{signal.Signals(number).name} ends it')
    t.ok('put back' in out, 'it says so', out)
    t.equal([pid for pid in below if os.path.exists(f'/proc/{pid}')], [], 'its processes have gone')
    t.equal(left_behind(), before, 'nothing is left behind')


def wrong(t):
    """Errors that a person can act on."""
    code, out = run('--frob')
    t.ok(code == 1 and '--help' in out, 'an unknown option is named', out)
    code, out = run('--port', '0')
    t.ok(code == 1 and '--port' in out, 'a wrong number is named', out)
    with node.Node():
        code, out = run()
        t.ok(code == 1 and 'answers on port 7400 already' in out, 'a node in the way is named', out)


def main():
    reason = node.missing()
    if reason:
        tap.skip_all(reason)
    node.enter_namespace()
    t = tap.Tap()
    t.case(kept)
    t.case(kept_and_killed)
    t.case(ended, signal.SIGTERM, 'the demonstration')
    t.case(ended, signal.SIGINT, 'a second load')
    t.case(wrong)
    t.done()


main()
