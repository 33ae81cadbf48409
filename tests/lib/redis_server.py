# SPDX-License-Identifier: Apache-2.0
"""redis_server.py - Redis servers for tests and benchmarks, on loopback ports of the caller's
network namespace: one, with or without password, TLS and files; and a cluster of three.

    with Server(password='x', files=True) as server:
        server.url('prefix'); server.credentials
        server.kill(); server.start()        its files are there again, if it has any
    # process and directory are gone, also after an exception

Each is ended by its pid; the kernel ends it if this process dies first. All waiting is bounded.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from node import _die_with_parent, _undo, freeze

START_S = 20
CLI_S = 30
# One program, which looks at its name. The package redis-server, a link to it, starts a server.
PROGRAM = 'redis-check-rdb'
HERE = '127.0.0.1'


def missing():
    """Why there can be no Redis here, in words, or None."""
    for program in (PROGRAM, 'redis-cli', 'openssl'):
        if shutil.which(program) is None:
            return f'needs {program}; run tools/setup'
    return None


def free_port(beside=0):
    """A port that nobody listens on, with another one `beside` it that is free as well."""
    for _ in range(100):
        with socket.socket() as one, socket.socket() as other:
            one.bind((HERE, 0))
            port = one.getsockname()[1]
            if port + beside > 65535:
                continue
            try:
                if beside:
                    other.bind((HERE, port + beside))
                return port
            except OSError:
                pass
    raise RuntimeError('no free ports')


def wait(condition, timeout_s, what):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f'waited {timeout_s} s for {what}')
        time.sleep(0.01)


def certificate(folder, names='IP:127.0.0.1,DNS:localhost'):
    """Makes an authority and a certificate from it: authority.crt, server.crt, server.key."""
    def openssl(*arguments):
        subprocess.run(('openssl',) + arguments, cwd=folder, check=True, timeout=30,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
    openssl('req', '-x509', *key, '-keyout', 'authority.key', '-out', 'authority.crt', '-subj',
            '/CN=authority', '-days', '2')
    openssl('req', *key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=server')
    with open(f'{folder}/names', 'w') as file:
        file.write(f'subjectAltName={names}\n')
    openssl('x509', '-req', '-in', 'server.csr', '-CA', 'authority.crt', '-CAkey', 'authority.key',
            '-CAcreateserial', '-out', 'server.crt', '-days', '2', '-extfile', 'names')


# What abaft's user needs, and no more (docs/engines.md).
RIGHTS = ('+hello', '+auth', '+asking', '+cluster|slots', '+zadd', '+zrem', '+zrangebylex', '+set',
          '+getrange', '+exists', '+unlink')


class Server:
    """One redis-server. `tls`: True, or the folder of another one's certificate. `user`: one that
    has RIGHTS to what begins with con/formance or p. `extra` are more of its options."""

    def __init__(self, user='', password='', tls=False, files=False, extra=(), cluster=False,
                 start=True):
        self.dir = tempfile.mkdtemp(prefix='abaft-redis-', dir=os.environ.get('TMPDIR', '/var/tmp'))
        _undo.append(self.close)
        self.port = free_port(10000 if cluster else 0)
        self.user, self.password, self.tls = user, password, tls
        self.process = None
        self.credentials = None
        self.options = ['--bind', HERE, '--dir', self.dir, '--save', '',
                        '--port', '0' if tls else str(self.port)]
        if files:
            self.options += ['--appendonly', 'yes', '--appendfsync', 'always',
                             '--auto-aof-rewrite-percentage', '0']
        if cluster:
            self.options += ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000',
                             '--cluster-require-full-coverage', 'no']
        if tls:
            self.secure(tls, cluster)
        if user:
            self.options += ['--aclfile', f'{self.dir}/users']
            with open(f'{self.dir}/users', 'w') as file:
                file.write(f'user default on >{password} ~* &* +@all\n'
                           f'user {user} on >{password} ~con/formance:* ~p:* {" ".join(RIGHTS)}\n')
        elif password:
            self.options += ['--requirepass', password]
        self.options += extra
        self.write_credentials()
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def secure(self, tls, cluster):
        if tls is True:
            certificate(self.dir)
        else:
            for name in ('authority.crt', 'server.crt', 'server.key'):
                shutil.copy(f'{tls}/{name}', self.dir)
        self.options += ['--tls-port', str(self.port), '--tls-auth-clients', 'no',
                         '--tls-cert-file', f'{self.dir}/server.crt',
                         '--tls-key-file', f'{self.dir}/server.key',
                         '--tls-ca-cert-file', f'{self.dir}/authority.crt']
        self.options += ['--tls-cluster', 'yes'] if cluster else []

    def write_credentials(self, **other):
        """The file that abaft reads; `other` replaces what is right."""
        keys = {'user': self.user, 'password': self.password,
                'ca_file': f'{self.dir}/authority.crt' if self.tls else '', **other}
        lines = [f'{key.replace("_", "-")} = {value}\n' for key, value in keys.items() if value]
        if not lines:
            return
        self.credentials = f'{self.dir}/credentials'
        with open(os.open(self.credentials, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                  'w') as file:
            file.writelines(lines)

    def url(self, prefix='p', host=HERE, port=None):
        scheme = 'rediss' if self.tls else 'redis'
        return f'{scheme}://{host}:{port or self.port}' + (f'/{prefix}' if prefix else '')

    def start(self):
        with open(f'{self.dir}/log', 'ab') as log:
            self.process = subprocess.Popen(['redis-server'] + self.options,
                                            executable=shutil.which(PROGRAM), stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            preexec_fn=_die_with_parent)
        wait(self._ready, START_S, f'redis-server: {self.said()[-500:]}')
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f'redis-server ended: {self.said()[-500:]}')
        # Before it listens, and while it loads, there is no answer or an error.
        said = self.cli('PING', check=False)
        return 'PONG' in said or 'NOAUTH' in said

    def said(self):
        with open(f'{self.dir}/log', errors='replace') as file:
            return file.read()

    def cli_command(self, *arguments):
        command = ['redis-cli', '-h', HERE, '-p', str(self.port)]
        if self.tls:
            command += ['--tls', '--cacert', f'{self.dir}/authority.crt']
        return command + [str(argument) for argument in arguments]

    def cli(self, *arguments, check=True):
        """What redis-cli prints; as the default user, who may do all."""
        environment = dict(os.environ)
        if self.password:
            environment['REDISCLI_AUTH'] = self.password
        command = self.cli_command(*arguments)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=CLI_S, env=environment, check=False)
        if check and (done.returncode or done.stdout.startswith(('ERR', '(error)', 'Could not'))):
            raise RuntimeError(f'{" ".join(arguments[:3])}: {done.stdout.strip()}')
        return done.stdout.strip()

    def freeze(self):
        freeze(self.process.pid)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self):
        """SIGKILL: what it had not written is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.close in _undo:
            _undo.remove(self.close)


class Cluster:
    """Three primaries; its URL names the first."""

    def __init__(self, tls=False, **options):
        self.servers = []
        _undo.append(self.close)
        # One after the other: the next one's free ports must not be this one's.
        for _ in range(3):
            self.servers.append(Server(cluster=True, tls=tls, **options))
            tls = tls and self.servers[0].dir
        first = self.servers[0]
        places = [f'{HERE}:{server.port}' for server in self.servers]
        first.cli('--cluster', 'create', *places, '--cluster-replicas', '0', '--cluster-yes')
        self.await_slots()
        self.credentials = first.credentials

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def url(self, prefix='p'):
        return self.servers[0].url(prefix)

    def await_slots(self):
        """All servers agree that all slots are served."""
        def agreed():
            return all('cluster_state:ok' in said and 'cluster_slots_ok:16384' in said
                       for said in (server.cli('CLUSTER', 'INFO', check=False)
                                    for server in self.servers))
        wait(agreed, START_S, 'the cluster')

    def owner(self, slot):
        """The server that has the slot, as the first that runs sees it."""
        nodes = next(server for server in self.servers if server.process).cli('CLUSTER', 'NODES')
        for line in nodes.splitlines():
            fields = line.split()
            port = int(fields[1].split('@')[0].rsplit(':', 1)[1])
            for part in fields[8:]:
                first, _, last = part.partition('-')
                if first.isdigit() and int(first) <= slot <= int(last or first):
                    return next(server for server in self.servers if server.port == port)
        raise LookupError(f'slot {slot} has no owner')

    def move(self, slot, target):
        """Moves a slot with all its keys, as redis-cli does; how many there were."""
        source = self.owner(slot)
        ids = {server: server.cli('CLUSTER', 'MYID') for server in (source, target)}
        target.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[source])
        source.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[target])
        moved = 0
        while True:
            keys = source.cli('CLUSTER', 'GETKEYSINSLOT', slot, 16).split()
            if not keys:
                break
            source.cli('MIGRATE', HERE, target.port, '', 0, 5000, 'KEYS', *keys)
            moved += len(keys)
        for server in (target, source, *self.servers):
            server.cli('CLUSTER', 'SETSLOT', slot, 'NODE', ids[target])
        return moved

    def close(self):
        for server in self.servers:
            server.close()
        if self.close in _undo:
            _undo.remove(self.close)


VARIANTS = {
    'files': lambda: Server(files=True),
    'user': lambda: Server(user='abaft', password='correct-horse'),
    'tls': lambda: Server(tls=True, password='correct horse'),
    'cluster': Cluster,
    'cluster with tls': lambda: Cluster(tls=True),
}
