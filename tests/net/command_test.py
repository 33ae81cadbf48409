# SPDX-License-Identifier: Apache-2.0
"""command_test.py - the abaft command and a real node: what a shell script relies on."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import node  # noqa: E402
import tap  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{node.ROOT}/build/tools/abaft')


def abaft(*arguments, text=b''):
    done = subprocess.run((ABAFT,) + arguments, input=text, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode(errors='replace')


def values(t):
    """Values of all sizes go in by stdin and come back as they were."""
    for size in (0, 1, 1300, 1500, 70000, 1 << 20):
        value = bytes((i * 7 + size) & 255 for i in range(size))
        code, _, err = abaft('put', f'size/{size}', '-', text=value)
        t.equal((code, err), (0, ''), f'{size} bytes are put')
        code, out, err = abaft('get', '--raw', f'size/{size}')
        t.ok(code == 0 and out == value, f'{size} bytes come back', code, err, len(out))
    code, _, err = abaft('put', 'size', '-', text=bytes((1 << 20) + 1))
    t.ok(code == 2 and 'over the limit of 1048576' in err, 'one byte more is refused', code, err)


def exactly_once(t):
    """A shell script as a function that is run again."""
    _, out, _ = abaft('txn', '--new-id')
    request = out.decode().strip()
    script = b'put once/a 1 once/b 1\ncommit\n'
    code, _, err = abaft('txn', '--id', request, text=script)
    t.ok(code == 0 and err.strip() == f'committed {request}', 'a script commits', code, err)
    abaft('put', 'once/a', '2')
    code, _, err = abaft('txn', '--id', request, '--attempt', '1', text=script)
    t.ok(code == 0 and 'by an earlier run' in err, 'run again it says that it had', code, err)
    code, out, _ = abaft('get', 'once/a', 'once/b')
    t.equal((code, out), (0, b'once/a\t2\nonce/b\t1\n'), 'and changed nothing')
    code, out, _ = abaft('status', request)
    t.ok(code == 0 and out.startswith(b'committed '), 'status knows the outcome', out)


def chain(t):
    """Two scripts are one transaction; the first one's dead attempt leaves nothing."""
    _, out, _ = abaft('txn', '--new-id')
    request = out.decode().strip()
    step = ('txn', '--id', request, '--step', '1', '--export')
    code, _, err = abaft(*step, text=b'put chain/dead 1 chain/a 1\n')
    t.equal(code, 0, f'the first attempt of step 1 ends: {err}')
    code, out, err = abaft(*step, '--attempt', '1', text=b'put chain/a 2\n')
    t.equal(code, 0, f'its second attempt ends: {err}')
    context = out.decode().strip()
    code, _, _ = abaft('get', 'chain/a')
    t.equal(code, 1, 'nothing is visible before the commit')
    code, out, err = abaft('txn', '--join', context, '--step', '2',
                           text=b'get chain/a\nput chain/b 3\ncommit\n')
    t.ok(code == 0 and out == b'2\n', 'step 2 sees step 1 and commits', code, out, err)
    code, out, err = abaft('get', 'chain/a', 'chain/b', 'chain/dead')
    t.ok(code == 1 and out == b'chain/a\t2\nchain/b\t3\n' and 'chain/dead' in err,
         'the dead attempt left nothing', code, out, err)


def shell(t):
    """The shell's open transaction is its own until it commits."""
    code, out, err = abaft('shell', text=b'begin\nput shell/a 1\nget shell/a\nabort\n'
                                         b'get shell/a\nput shell/a 2\nget shell/a\n')
    t.ok(code == 1 and out.endswith(b'2\n') and b'aborted' in out, 'abort forgets', code, out, err)


def status(t):
    """Status sums the workers."""
    code, out, err = abaft('status', '-w', 'json')
    report = json.loads(out)
    t.equal(len(report['workers']), 2, 'both workers answer')
    t.equal(report['node']['commits'], sum(w['commits'] for w in report['workers']),
            'the node has the sum of their commits')
    t.ok(report['node']['commits'] > 5, 'which are some', out)
    code, out, err = abaft('status')
    t.ok(code == 0 and b'commits' in out, 'the table has them too', out, err)


def no_node(t):
    """Without a node: says so, with the exit code for `again`."""
    code, _, err = abaft('get', '-p', '9', '-t', '200', 'a')
    t.ok(code == 3 and 'see that abaftd runs there' in err, 'no node, no wait', code, err)


def main():
    reason = node.missing()
    if reason:
        tap.skip_all(reason)
    node.enter_namespace()
    t = tap.Tap()
    with node.Node(workers=2):
        for case in (values, exactly_once, chain, shell, status, no_node):
            t.case(case)
    t.done()


main()
