# SPDX-License-Identifier: Apache-2.0
"""servers.py - the storage servers of the evaluation, and the delay before them. All are processes
of this network namespace, ended by their pid."""
import json
import select
import signal
import socket
import subprocess

import dynamodb_server
import node as nodes
import redis_server
import s3_server

READY_S = 30
# Log-normal times of a request in microseconds: median, 99th percentile, and for each KiB that it
# moves. DynamoDB's are the direct puts of the paper's Fig. 2 (1 and 10 values of 4 KB); S3's and
# Redis' make the paper's plain Fig. 3 out of six requests and two hops.
SERVICE = {'redis': (500, 1500, 0), 's3': (25000, 90000, 0), 'dynamodb': (3000, 5500, 105)}
# A round trip between functions and a node, where the storage is as slow as a service; what the
# processes between take themselves, some 100 us, comes on top.
NETWORK = (200, 800)


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
    environment = {}
    node_keys = {}

    def __init__(self):
        self.reason = redis_server.missing()
        self.server = None

    @property
    def port(self):
        return self.server.port

    @property
    def process(self):
        return self.server.process

    def fresh(self):
        """An empty place; returns its name."""
        if not self.server:
            self.server = redis_server.Server()
        self.server.cli('FLUSHALL')
        return 'aft'

    def url(self, place, port):
        return self.server.url(place, port=port)

    def flags(self, place, port):
        return ['--port', str(port)]

    def stop(self):
        if self.server:
            self.server.close()
            self.server = None


class Embedded:
    """No server: the node's own log, synced."""
    name = 'embedded'
    reason = process = port = None
    environment = node_keys = {}

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


class S3:
    """Ceph of one node in memory, with its gateway; a bucket for each place."""
    name = 's3'
    environment = {'AWS_ACCESS_KEY_ID': s3_server.ACCESS_KEY,
                   'AWS_SECRET_ACCESS_KEY': s3_server.SECRET_KEY}
    places = 8  # of one server: nothing of them is removed

    def __init__(self):
        self.reason = s3_server.missing()
        self.server = None
        self.used = 0

    @property
    def port(self):
        return self.server.port

    @property
    def process(self):
        return self.server.processes['rgw']

    @property
    def node_keys(self):
        return {'engine_credentials': self.server.credentials}

    def fresh(self):
        if self.used % self.places == 0:
            self.stop()
            self.server = s3_server.S3Server(mib=8192)
        self.used += 1
        self.server.make_bucket(f'aft{self.used}')
        return f'aft{self.used}'

    def url(self, place, port):
        return self.server.url('node', bucket=place, port=port)

    def flags(self, place, port):
        return ['--endpoint', f'http://127.0.0.1:{port}', '--bucket', place]

    def stop(self):
        if self.server:
            self.server.close()
            self.server = None


ENGINES = {'embedded': Embedded, 'redis': Redis, 's3': S3, 'dynamodb': DynamoDB}


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
