# SPDX-License-Identifier: Apache-2.0
"""dynamodb_server.py - a DynamoDB on the loopback: dynalite, a server in JavaScript whose data are
in memory, as tools/setup installed it.

    enter_namespace()
    with DynamoDB() as dynamodb:      its process and the table; half a second
        dynamodb.url('prefix')        of an engine; dynamodb.credentials: the file for it
        dynamodb.kill(); dynamodb.start()         empty again but for the table, or with files=True
                                                  as it was
        dynamodb.freeze(); dynamodb.thaw()        alive, and says nothing
    # here the process and its files are gone, also after an exception

It takes any key, and never throttles: what only a real one does is in dynamodb_moody.py.
"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import node

DYNALITE = '/var/cache/abaft/dynalite/node_modules/dynalite/cli.js'
TABLE = 'abaft-test'
READY_S = 30
# What docs/engines.md says to create.
TABLE_SHAPE = {
    'AttributeDefinitions': [{'AttributeName': 'd', 'AttributeType': 'S'},
                             {'AttributeName': 'l', 'AttributeType': 'S'}],
    'KeySchema': [{'AttributeName': 'd', 'KeyType': 'HASH'},
                  {'AttributeName': 'l', 'KeyType': 'RANGE'}],
    'BillingMode': 'PAY_PER_REQUEST',
}


def missing():
    """Why there can be no such server here, in words, or None."""
    if not os.path.exists(DYNALITE):
        return 'needs dynalite: sudo tools/setup'
    if shutil.which('node') is None:
        return 'needs node (package nodejs)'
    return None


def free_port():
    """A port that nobody has now; in a namespace of the test's own nobody takes it either."""
    with socket.create_server(('127.0.0.1', 0)) as probe:
        return probe.getsockname()[1]


class DynamoDB:
    def __init__(self, start=True, table=True, files=False):
        self.dir = tempfile.mkdtemp(prefix='abaft-dynamodb-',
                                    dir=os.environ.get('TMPDIR', '/var/tmp'))
        self.port = self.url_port = free_port()
        self.process = None
        self.table = table
        self.options = ['--path', f'{self.dir}/data'] if files else []
        node._undo.append(self.close)
        self.credentials = self.write_credentials('credentials')
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def write_credentials(self, name, access='AKIDEXAMPLE', secret='any/secret+0'):
        path = f'{self.dir}/{name}'
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), 'w', encoding='ascii') as file:
            file.write(f'access-key = {access}\nsecret-key = {secret}\n')
        return path

    def url(self, prefix='', table=TABLE):
        prefix = f'/{prefix}' if prefix else ''
        return f'dynamodb://{table}{prefix}?endpoint=http://127.0.0.1:{self.url_port}'

    def said(self):
        with open(f'{self.dir}/out', errors='replace', encoding='utf-8') as file:
            return file.read()

    def start(self):
        """The process, and the table in it."""
        with open(f'{self.dir}/out', 'ab') as out:
            self.process = subprocess.Popen(
                ['node', DYNALITE, '--host', '127.0.0.1', '--port', str(self.port),
                 '--createTableMs', '0', '--deleteTableMs', '0'] + self.options,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=node._die_with_parent)
        end = time.monotonic() + READY_S
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f'dynalite did not start: {self.said()[-800:]}')
            time.sleep(0.02)
        if self.table and TABLE not in self.call('ListTables')['TableNames']:
            self.create_table()

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(('127.0.0.1', self.port)) == 0

    def call(self, action, **body):
        """One request; its answer, or RuntimeError with it. The signature has only the form of
        one, which is all that dynalite looks at."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=READY_S)
        try:
            connection.request('POST', '/', json.dumps(body), {
                'X-Amz-Target': f'DynamoDB_20120810.{action}',
                'Content-Type': 'application/x-amz-json-1.0',
                'X-Amz-Date': time.strftime('%Y%m%dT%H%M%SZ', time.gmtime()),
                'Authorization': 'AWS4-HMAC-SHA256 Credential=a/b/c/dynamodb/aws4_request, '
                                 'SignedHeaders=host, Signature=0'})
            answer = connection.getresponse()
            said = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f'{action}: {answer.status} {said}')
        return said

    def create_table(self, table=TABLE):
        self.call('CreateTable', TableName=table, **TABLE_SHAPE)
        end = time.monotonic() + READY_S
        while self.call('DescribeTable', TableName=table)['Table']['TableStatus'] != 'ACTIVE':
            if time.monotonic() > end:
                raise RuntimeError(f'table {table} did not become active')
            time.sleep(0.01)

    def kill(self):
        """SIGKILL; the port refuses."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self):
        node.freeze(self.process.pid)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.close in node._undo:
            node._undo.remove(self.close)


def _moody():
    from dynamodb_moody import Moody  # which imports this
    return Moody()


VARIANTS = {'dynalite': DynamoDB, 'dynalite in many moods': _moody}
