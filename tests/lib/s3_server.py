# SPDX-License-Identifier: Apache-2.0
"""s3_server.py - a real S3 on the loopback: Ceph of one node, all of it in memory.

    enter_namespace()
    with S3Server() as s3:            monitor, object store, gateway; a bucket; 4 s on a free core
        s3.url('prefix')              of an engine; s3.credentials: the file for it
        s3.kill_gateway(); s3.start_gateway()
        s3.freeze(); s3.thaw()        what the gateway has been asked stays unanswered
    # here processes and files are gone, also after an exception

Ceph is meant for many machines and many years; the settings below make it one that forgets, and
that agrees with itself at once: its monitor would wait for more to agree upon, a second each time.
"""
import hashlib
import hmac
import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import node
from redis_server import certificate

PROGRAMS = {'ceph-mon': 'ceph-mon', 'ceph-osd': 'ceph-osd', 'radosgw': 'radosgw',
            'ceph': 'ceph-common'}
ACCESS_KEY = 'ABAFTTESTACCESSKEY00'
SECRET_KEY = 'abaft/test+secret/key0000000000000000000'
REGION = 'us-east-1'
BUCKET = 'abaft-test'
READY_S = 60
CONFIG = '''
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms mon client mode = crc
ms client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
paxos propose interval = 0.02
paxos min wait = 0.01
mon tick interval = 1
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 0
mon data avail warn = 1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush update on start = false
run dir = {dir}
admin socket = {dir}/$name.asok
log to file = false
log to stderr = true
err to stderr = true

[mon.a]
mon data = {dir}/mon
[osd.0]
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = {bytes}
[client.rgw]
rgw data = {dir}/rgw
keyring = {dir}/rgw/keyring
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1 {secure}
rgw thread pool size = 64
rgw bucket quota ttl = 0
'''


def missing():
    """Why there can be no such server here, in words, or None."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return f'needs {program} (package {package})'
    return None


def free_ports(count):
    """Ports that nobody has now; in a namespace of the test's own nobody takes them either."""
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class S3Server:
    def __init__(self, start=True, mib=1024, tls=False):
        self.dir = tempfile.mkdtemp(prefix='abaft-s3-', dir=os.environ.get('TMPDIR', '/var/tmp'))
        self.processes = {}
        self.environment = {**os.environ, 'CEPH_CONF': f'{self.dir}/ceph.conf'}
        mon2, mon1, self.port, self.tls_port = free_ports(4)
        self.fsid = str(uuid.uuid4())
        self.mon_addresses = f'[v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]'
        node._undo.append(self.close)
        for name in ('mon', 'osd', 'rgw'):
            os.mkdir(f'{self.dir}/{name}')
        self.credentials = self.write_credentials('credentials')
        secure = ''
        if tls:
            certificate(self.dir)
            secure = (f'ssl_endpoint=127.0.0.1:{self.tls_port} '
                      f'ssl_certificate={self.dir}/server.crt '
                      f'ssl_private_key={self.dir}/server.key')
        with open(f'{self.dir}/ceph.conf', 'w', encoding='ascii') as file:
            file.write(CONFIG.format(fsid=self.fsid, mon1=mon1, mon2=mon2, dir=self.dir,
                                     port=self.port, bytes=mib << 20, secure=secure))
        if start:
            self.start_store()
            self.start_gateway()
            self.make_user()
            self.make_bucket(BUCKET)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def write_credentials(self, name, access=ACCESS_KEY, secret=SECRET_KEY, ca_file=''):
        path = f'{self.dir}/{name}'
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), 'w', encoding='ascii') as file:
            file.write(f'access-key = {access}\nsecret-key = {secret}\n')
            if ca_file:
                file.write(f'ca-file = {ca_file}\n')
        return path

    def url(self, prefix='', bucket=BUCKET, port=None, tls=False):
        prefix = f'/{prefix}' if prefix else ''
        port = port or (self.tls_port if tls else self.port)
        return f's3://{bucket}{prefix}?endpoint={"https" if tls else "http"}://127.0.0.1:{port}'

    def said(self, name):
        with open(f'{self.dir}/{name}.out', errors='replace', encoding='utf-8') as file:
            return file.read()

    def _start(self, name, *command):
        with open(f'{self.dir}/{name}.out', 'ab') as out:
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment,
                preexec_fn=node._die_with_parent)

    def _run(self, *command, text=''):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=READY_S, text=True, env=self.environment, input=text,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f'{" ".join(command)}: {done.stdout.strip()[-800:]}')
        return done.stdout

    def _wait(self, name, what, condition):
        end = time.monotonic() + READY_S
        while not condition():
            if self.processes[name].poll() is not None or time.monotonic() > end:
                raise RuntimeError(f'{name}: {what} did not come: {self.said(name)[-800:]}')
            time.sleep(0.02)

    def _listens(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(('127.0.0.1', port)) == 0

    def start_store(self):
        """The monitor and the object store."""
        osd = str(uuid.uuid4())
        self._run('monmaptool', '--create', '--clobber', '--fsid', self.fsid, '--addv', 'a',
                  self.mon_addresses, f'{self.dir}/monmap')
        self._run('ceph-mon', '-i', 'a', '--mkfs', '--monmap', f'{self.dir}/monmap')
        self._start('mon', 'ceph-mon', '-f', '-i', 'a')
        # One process asks for all: each would take most of a second to start.
        self._run('ceph', text=f'osd new {osd}\n'
                               'osd crush add osd.0 1.0 root=default host=here\n'
                               f'auth get-or-create client.rgw mon "allow *" osd "allow *" '
                               f'-o {self.dir}/rgw/keyring\n')
        self._run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd)
        self._start('osd', 'ceph-osd', '-f', '-i', '0')

    def start_gateway(self):
        self._start('rgw', 'radosgw', '-f', '-n', 'client.rgw')
        self._wait('rgw', 'its port', lambda: self._listens(self.port))

    def kill_gateway(self):
        """As by a crash: what it was asked is lost, what it acknowledged the store has."""
        process = self.processes.pop('rgw')
        process.kill()
        process.wait()

    def freeze(self, name='rgw'):
        """The gateway, or 'osd': the object store behind it."""
        node.freeze(self.processes[name].pid)

    def thaw(self, name='rgw'):
        os.kill(self.processes[name].pid, signal.SIGCONT)

    def set_live(self, name, value):
        """An option of the gateway's, while it works."""
        self._run('ceph', 'daemon', f'{self.dir}/client.rgw.asok', 'config', 'set', name,
                  str(value))

    def set_secret(self, access, secret):
        """Also of an access key that there was not yet."""
        self._run('radosgw-admin', 'key', 'create', '--uid=abaft', '--key-type=s3',
                  f'--access-key={access}', f'--secret={secret}')

    def make_user(self):
        self._run('radosgw-admin', 'user', 'create', '--uid=abaft', '--display-name=abaft',
                  f'--access-key={ACCESS_KEY}', f'--secret={SECRET_KEY}')

    def set_quota(self, objects):
        """So many objects in a bucket of the user's at most; None: any number."""
        quota = ['radosgw-admin', 'quota']
        if objects is None:
            self._run(*quota, 'disable', '--quota-scope=bucket', '--uid=abaft')
            return
        self._run(*quota, 'set', '--quota-scope=bucket', '--uid=abaft',
                  f'--max-objects={objects}')
        self._run(*quota, 'enable', '--quota-scope=bucket', '--uid=abaft')

    def make_bucket(self, name):
        status, said = self.request('PUT', f'/{name}')
        if status != 200:
            raise RuntimeError(f'the bucket was not made: {status} {said[:400]}')

    def request(self, method, path, body=b''):
        """A signed request; its status, and its answer. The path needs no encoding."""
        stamp = time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())
        scope = f'{stamp[:8]}/{REGION}/s3/aws4_request'
        host = f'127.0.0.1:{self.port}'
        digest = hashlib.sha256(body).hexdigest()
        names = 'host;x-amz-content-sha256;x-amz-date'
        canonical = (f'{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\n'
                     f'x-amz-date:{stamp}\n\n{names}\n{digest}')
        key = f'AWS4{SECRET_KEY}'.encode()
        for part in scope.split('/'):
            key = hmac.digest(key, part.encode(), 'sha256')
        text = f'AWS4-HMAC-SHA256\n{stamp}\n{scope}\n' \
               f'{hashlib.sha256(canonical.encode()).hexdigest()}'
        signature = hmac.digest(key, text.encode(), 'sha256').hex()
        connection = http.client.HTTPConnection(host, timeout=READY_S)
        try:
            connection.request(method, path, body, {
                'x-amz-content-sha256': digest, 'x-amz-date': stamp,
                'Authorization': f'AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, '
                                 f'SignedHeaders={names}, Signature={signature}'})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def close(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.close in node._undo:
            node._undo.remove(self.close)


VARIANTS = {'Ceph': S3Server}
