# SPDX-License-Identifier: Apache-2.0
"""servers.py - the storage servers of the evaluation, and the delay before them. All are processes
of this network namespace, ended by their pid."""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import dynamodb_server
import node as nodes

READY_S = 30
# Log-normal times of a request in microseconds: median, 99th percentile, and for each KiB that it
# moves. DynamoDB's are the direct puts of the paper's Fig. 2 (1 and 10 values of 4 KB); S3's and
# Redis' make the paper's plain Fig. 3 out of six requests and two hops.
# A round trip between functions and a node, where the storage is as slow as a service.
NETWORK = (300, 1000)
SERVICE = {'redis': (500, 1500, 0), 's3': (25000, 90000, 0), 'dynamodb': (3000, 5500, 105)}


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def end(process):
    """SIGTERM, and SIGKILL if that is not heard."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Redis:
    """redis-server, in memory as the paper's: what it acknowledges does not survive it."""
    name = 'redis'

    def __init__(self):
        self.reason = None if shutil.which('redis-server') else 'needs redis-server'
        self.process = None
        self.environment = {}

    def start(self):
        if self.process:
            return
        self.dir = tempfile.mkdtemp(prefix='abaft-bench-redis-', dir='/var/tmp')
        self.port = free_port()
        with open(f'{self.dir}/said', 'w') as said:
            self.process = subprocess.Popen(
                ['redis-server', '--bind', '127.0.0.1', '--port', str(self.port), '--dir', self.dir,
                 '--save', '', '--appendonly', 'no'],
                stdout=said, stderr=said, preexec_fn=nodes._die_with_parent)
        nodes._wait(self._answers, READY_S, 'redis-server')

    def _ask(self, *words):
        with socket.create_connection(('127.0.0.1', self.port), timeout=READY_S) as asking:
            asking.sendall(' '.join(words).encode() + b'\r\n')
            return asking.recv(64)

    def _answers(self):
        try:
            return self._ask('PING').startswith(b'+PONG')
        except OSError:
            return False

    def fresh(self):
        """An empty place; returns its name."""
        self.start()
        if not self._ask('FLUSHALL').startswith(b'+OK'):
            raise RuntimeError('redis-server does not empty itself')
        return 'aft'

    def url(self, place, port):
        return f'redis://127.0.0.1:{port}/{place}'

    def flags(self, place, port):
        return ['--port', str(port)]

    def stop(self):
        if self.process:
            end(self.process)
            shutil.rmtree(self.dir, ignore_errors=True)
            self.process = None


class Embedded:
    """No server: the node's own log, synced."""
    name = 'embedded'
    reason = None
    environment = {}

    def fresh(self):
        return ''

    def stop(self):
        pass


class DynamoDB:
    """dynalite, with one table for the node and one for functions that know no abaft."""
    name = 'dynamodb'
    environment = {'AWS_ACCESS_KEY_ID': 'AKIDEXAMPLE', 'AWS_SECRET_ACCESS_KEY': 'any/secret+0'}

    def __init__(self):
        self.reason = dynamodb_server.missing()
        self.server = None

    @property
    def port(self):
        return self.server.port

    @property
    def process(self):
        return self.server.process

    @property
    def node_keys(self):
        return {'engine_credentials': self.server.credentials}

    def fresh(self):
        self.stop()
        self.server = dynamodb_server.DynamoDB()
        self.server.call('CreateTable', TableName='aft', BillingMode='PAY_PER_REQUEST',
                         AttributeDefinitions=[{'AttributeName': 'k', 'AttributeType': 'S'}],
                         KeySchema=[{'AttributeName': 'k', 'KeyType': 'HASH'}])
        nodes._wait(lambda: self.server.call('DescribeTable', TableName='aft')['Table'][
            'TableStatus'] == 'ACTIVE', READY_S, 'a table')
        return 'aft'

    def transactions(self):
        """What it says to a transaction; None if it makes it."""
        try:
            self.server.call('TransactGetItems', TransactItems=[
                {'Get': {'TableName': 'aft', 'Key': {'k': {'S': 'k1'}}}}])
        except RuntimeError as error:
            return str(error)
        return None

    def url(self, place, port):
        return f'dynamodb://{dynamodb_server.TABLE}/{place}?endpoint=http://127.0.0.1:{port}'

    def flags(self, place, port):
        return ['--endpoint', f'http://127.0.0.1:{port}', '--bucket', 'aft']

    def stop(self):
        if self.server:
            self.server.close()
            self.server = None


ENGINES = {'embedded': Embedded, 'redis': Redis, 'dynamodb': DynamoDB}


class Hop:
    """bench/aft/delay_udp between functions and a node: a network."""
    program = 'delay_udp'

    def __init__(self, build, to, times=NETWORK, flags=()):
        self.port = free_port()
        median, p99 = times
        self.process = subprocess.Popen(
            [f'{build}/bench/aft/{self.program}', f'--listen={self.port}', f'--to={to}',
             f'--median-us={median}', f'--p99-us={p99}', *flags],
            stdout=subprocess.PIPE, preexec_fn=nodes._die_with_parent)
        if self._line() != 'ready':
            raise RuntimeError(f'bench/aft/{self.program} did not start')

    def _line(self):
        if not select.select([self.process.stdout], [], [], READY_S)[0]:
            raise TimeoutError(f'bench/aft/{self.program} says nothing')
        return self.process.stdout.readline().decode().strip()

    def stop(self):
        end(self.process)
        self.process.stdout.close()


class Delay(Hop):
    """bench/aft/delay before a server; counts what passes."""
    program = 'delay'

    def __init__(self, build, engine, to):
        *times, kib = SERVICE[engine]
        super().__init__(build, to, times,
                         [f'--kib-us={kib}', *(['--resp'] if engine == 'redis' else [])])

    def counts(self):
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self._line())


def nobody_else():
    """Waits, at most half a minute, until the machine has little else to do."""
    until = time.monotonic() + 30
    while os.getloadavg()[0] > 1.5 and time.monotonic() < until:
        time.sleep(1)
