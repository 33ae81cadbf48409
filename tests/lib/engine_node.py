# SPDX-License-Identifier: Apache-2.0
"""engine_node.py - nodes whose commit logs are in a storage engine: what their tests share.

    node = Node(**keys_of(server))          server: redis_server.Server and its like
    put(node, b'k') == wire.OK
    await_ready(503, 'does not answer')     what /readyz says
"""
import os
import time
import urllib.error
import urllib.request

import wire
from node import Node, run

KEYS = 1 << 16
WAIT_S = 15
ANSWER_S = 0.5


class OtherNode(Node):
    """Beside the first one: on a device of its own."""
    address = '10.8.0.1'

    def __init__(self, **keys):
        super().__init__(port='tap:abaft0', addresses=self.address, udp_port=7500, metrics='no',
                         **keys)

    def start(self, **options):
        super().start(**options)
        run('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'abaft0')
        run('ip', 'link', 'set', 'abaft0', 'up')
        return self


def keys_of(server, prefix='p', **more):
    """Of a node with its logs there; room for a storm of 20000 slots."""
    keys = {'engine': server.url(prefix), 'memory': '192M', 'keys': KEYS, 'deadline': '2s', **more}
    if server.credentials:
        keys['engine_credentials'] = server.credentials
    return keys


def forget(node):
    """What a node had on its host is gone."""
    run('rm', '-rf', node.keys['state_dir'], node.keys['data_dir'])


def wait(condition, what, timeout_s=WAIT_S):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f'waited {timeout_s} s for {what}')
        time.sleep(0.02)


def ready():
    """What /readyz says: status and text."""
    try:
        with urllib.request.urlopen('http://127.0.0.1:7400/readyz', timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return None, str(error)


def await_ready(status, text=''):
    def there():
        now = ready()
        return now[0] == status and text in now[1]
    wait(there, f'/readyz to be {status} {text}')


def await_said(node, text):
    wait(lambda: text in node.said(), f'the node to say "{text}"')


def _peer(node):
    return node.peer(getattr(node, 'address', wire.ADDRESS))


def put(node, key, value=b'v'):
    """The status of a commit that is sent once; None: there was no answer."""
    peer = _peer(node)
    try:
        answer = peer.call(wire.request(wire.new_id(workers=node.workers),
                                        [wire.put(key, value), wire.op(wire.COMMIT)]), ANSWER_S)
        return None if answer is None else answer.codes[-1]
    finally:
        peer.close()


def get(node, key):
    """The status of a read, and the value."""
    peer = _peer(node)
    try:
        result = peer.ask(wire.new_id(workers=node.workers), wire.get(key)).results[0]
        return result.status, result.data
    finally:
        peer.close()


def metric(node, name):
    """Of the node's own page; None: it is not there."""
    with urllib.request.urlopen('http://127.0.0.1:7400/metrics', timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + '{'):
                return float(line.rsplit(' ', 1)[1])
    return None


def files_of(node):
    """What stands in the node's directories, but for pins and standard error."""
    return sorted(os.path.relpath(os.path.join(here, name), node.dir)
                  for here, _, names in os.walk(node.dir) for name in names if name != 'stderr')
