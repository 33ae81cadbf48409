#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What Redis servers do to an engine: they go away, stand still, fill up, refuse, send it on.
Whatever it was, when it is over the engine goes on by itself, and nothing that it acknowledged is
missing: steady.c looks.

    redis_faults_test.py STEADY
"""
import ctypes
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import redis_server  # noqa: E402
from cut import Cut  # noqa: E402
from node import CLONE_NEWNS, _libc, run  # noqa: E402
from redis_server import HERE, Cluster, Server, certificate, wait  # noqa: E402
from steady import Steady, begin, cases, ends_well  # noqa: E402


def own_hosts(*lines):
    """/etc/hosts of this process and what it starts."""
    if _libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    run('mount', '--make-rprivate', '/')
    with tempfile.NamedTemporaryFile('w') as file:
        file.write('\n'.join(lines) + '\n')
        file.flush()
        run('mount', '--bind', file.name, '/etc/hosts')


def down_at_start(tap):
    """a server that comes later"""
    with Server(start=False) as server, Steady(server.url()) as steady:
        steady.fails('unreachable', 'Connection refused', str(server.port))
        server.start()
        steady.goes_on()
        ends_well(tap, steady, 'a server that comes later')


def named(tap):
    """a name with several addresses, of which only the last answers"""
    own_hosts('127.0.0.8 several.example', '127.0.0.9 several.example', f'{HERE} several.example')
    with Server() as server, Steady(server.url(host='several.example')) as steady:
        steady.goes_on()
        tap.ok(steady.last['unreachable'] == 0, 'several addresses are no error', steady.last)
        ends_well(tap, steady, 'a name')
    with Steady('redis://nowhere.invalid:6379') as steady:
        steady.fails('unreachable', 'nowhere.invalid:6379: cannot connect')
        tap.ok(True, 'a name that nobody has is said to be none')


def killed(tap):
    """a server that is killed, with files that it syncs"""
    with Server(files=True) as server, Steady(server.url()) as steady:
        for _ in range(3):
            steady.goes_on()
            server.kill()
            steady.fails('unreachable')
            server.start()
        steady.goes_on()
        ends_well(tap, steady, 'a server that is killed')


def frozen(tap):
    """a server that stands still"""
    with Server() as server, Steady(server.url(), try_ms=200) as steady:
        steady.goes_on()
        server.freeze()
        steady.fails('timeouts', 'is the server stuck')
        server.thaw()
        steady.goes_on()
        ends_well(tap, steady, 'a server that stands still')


def connections_killed(tap):
    """connections that the server kills"""
    with Server() as server, Steady(server.url()) as steady:
        steady.goes_on()
        server.cli('-r', 200, '-i', '0.002', 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        steady.until(lambda last: last['unreachable'] > 0, 'lost connections')
        steady.goes_on()
        ends_well(tap, steady, 'connections that the server kills')


def cut_plain(tap):
    """connections that are cut at every point"""
    cut_everywhere(tap, False)


def cut_tls(tap):
    """TLS connections that are cut at every point"""
    cut_everywhere(tap, True)


def cut_everywhere(tap, tls):
    name = 'TLS' if tls else 'plain'
    early = (1, 2, 3, 5, 10, 14, 15, 16, 20, 40, 60, 80, 100, 125, 126, 127, 150, 200, 300, 500,
             1000, 1500, 2000)
    late = range(3000, 60000, 2500)
    # Early ones fail before the server has greeted; then there is a pause, each time a longer one
    # until one does not fail.
    cuts = [(way, point) for pair in zip(early, late) for way in (0, 1) for point in pair]
    with Server(tls=tls) as server, Cut((HERE, server.port), cuts) as cut, \
            Steady(server.url(port=cut.port), server.credentials) as steady:
        steady.until(lambda _: cut.done(), f'{len(cuts)} cuts')
        steady.goes_on()
        tap.ok(steady.last['unreachable'] >= len(cuts) // 2, f'{name}, cut: is counted',
               str(steady.last))
        ends_well(tap, steady, f'{name}, connections cut after {len(cuts)} numbers of bytes')


def full(tap):
    """a server whose memory is full"""
    with Server() as server, Steady(server.url()) as steady:
        steady.goes_on()
        server.cli('CONFIG', 'SET', 'maxmemory', '1mb')
        steady.fails('full', 'maxmemory')
        server.cli('CONFIG', 'SET', 'maxmemory', '0')
        steady.goes_on()
        ends_well(tap, steady, 'a server whose memory is full')


def disk_full(tap):
    """a server that cannot save"""
    with Server(start=False) as server:
        os.mkdir(f'{server.dir}/data')
        server.options += ['--dir', f'{server.dir}/data']
        server.start()
        with Steady(server.url()) as steady:
            steady.goes_on()
            os.rmdir(f'{server.dir}/data')
            server.cli('CONFIG', 'SET', 'save', '1 1')
            steady.fails('full', 'cannot save to its disk')
            server.cli('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no')
            steady.goes_on()
            ends_well(tap, steady, 'a server that cannot save')


def busy(tap):
    """a server that runs somebody's script"""
    with Server(extra=('--busy-reply-threshold', '20')) as server, Steady(server.url()) as steady:
        steady.goes_on()
        script = subprocess.Popen(server.cli_command('EVAL', 'while true do end', 0),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            steady.fails('throttled', 'script')
            wait(lambda: server.cli('SCRIPT', 'KILL', check=False) == 'OK', 10, 'the script')
            steady.goes_on()
        finally:
            script.kill()
            script.wait()
        ends_well(tap, steady, 'a server that runs a script')


def wrong_password(tap):
    """a wrong password, that becomes right"""
    with Server(password='right') as server:
        server.write_credentials(password='wrong')
        with Steady(server.url(), server.credentials) as steady:
            steady.fails('denied', "correct the engine's credentials")
            tap.ok(not any('wrong' in why or 'right' in why for why in steady.whys),
                   'a wrong password: is not told', *steady.whys)
            server.cli('CONFIG', 'SET', 'requirepass', 'wrong')
            steady.goes_on()
            ends_well(tap, steady, 'a wrong password')


def no_password(tap):
    """a password that we do not have, asked for while we work"""
    with Server() as server, Steady(server.url()) as steady:
        steady.goes_on()
        server.cli('CONFIG', 'SET', 'requirepass', 'new')
        server.password = 'new'
        server.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        steady.fails('denied', 'it wants a password')
        server.cli('CONFIG', 'SET', 'requirepass', '')
        steady.goes_on()
        ends_well(tap, steady, 'a password that we do not have')


def no_rights(tap):
    """a user who loses a right, and gets it back"""
    with Server(user='abaft', password='x') as server, \
            Steady(server.url(), server.credentials) as steady:
        steady.goes_on()
        server.cli('ACL', 'SETUSER', 'abaft', '-zadd')
        steady.fails('denied', 'NOPERM', 'docs/engines.md')
        server.cli('ACL', 'SETUSER', 'abaft', '+zadd')
        steady.goes_on()
        ends_well(tap, steady, 'a user who loses a right')


def replica(tap):
    """a replica, that becomes a primary; and a primary that becomes a replica, and one again"""
    with Server() as primary, Server() as server:
        server.cli('REPLICAOF', HERE, primary.port)
        with Steady(server.url()) as steady:
            steady.fails('unreachable', 'it is a replica')
            server.cli('REPLICAOF', 'NO', 'ONE')
            steady.goes_on()
            # Of nobody: its data stay.
            server.cli('REPLICAOF', HERE, redis_server.free_port())
            steady.fails('unreachable', 'it is a replica')
            server.cli('REPLICAOF', 'NO', 'ONE')
            steady.goes_on()
            ends_well(tap, steady, 'a replica')


def refusing_tls(tap):
    """certificates that are not trusted, and TLS where there is none"""
    def reason(url, credentials, counter, *words):
        with Steady(url, credentials, try_ms=500) as steady:
            steady.fails(counter, *words)
            tap.ok(True, f'TLS: {counter} because {words[0]}')

    with Server(tls=True) as server, Server(tls=True) as other, Server() as plain:
        server.write_credentials(ca_file=f'{other.dir}/authority.crt')
        reason(server.url(), server.credentials, 'denied', 'its certificate is not trusted')
        server.write_credentials()
        reason(server.url().replace('rediss', 'redis'), None, 'unreachable',
               'is it for TLS')
        reason(plain.url().replace('redis:', 'rediss:'), server.credentials, 'timeouts',
               'does that port speak TLS')
        certificate(other.dir, names='DNS:elsewhere.example')
        other.kill()
        other.start()
        other.write_credentials()
        reason(other.url(), other.credentials, 'denied', f'its certificate is not for {HERE}')
    with Server(tls=True) as server:
        server.cli('CONFIG', 'SET', 'tls-auth-clients', 'yes')
        reason(server.url(), server.credentials, 'denied', 'tls-auth-clients')
        ours = {'certificate_file': f'{server.dir}/server.crt',
                'key_file': f'{server.dir}/server.key'}
        server.write_credentials(**ours)
        with Steady(server.url(), server.credentials) as steady:
            steady.goes_on()
            ends_well(tap, steady, 'TLS with a certificate of ours')
        for wrong, mode, words in ((ours['certificate_file'], 0o600, 'are not of one pair'),
                                   (ours['key_file'], 0o640, 'chmod 600')):
            os.chmod(wrong, mode)
            server.write_credentials(**{**ours, 'key_file': wrong})
            with Steady(server.url(), server.credentials) as steady:
                steady.process.wait(10)
                steady.thread.join(10)
                tap.ok(words in str(steady.said), f'TLS: a key is refused: {words}', steady.said)


def errors_of(cluster):
    """MOVED, ASK and the like, that its servers have said."""
    sums = {}
    for server in cluster.servers:
        for word, count in re.findall(r'errorstat_(\w+):count=(\d+)',
                                      server.cli('INFO', 'errorstats')):
            sums[word] = sums.get(word, 0) + int(count)
    return sums


def slots_in_use(cluster):
    keys = [key for server in cluster.servers for key in server.cli('KEYS', 'p:{*}').split()]
    return [int(cluster.servers[0].cli('CLUSTER', 'KEYSLOT', key)) for key in keys]


def migration(tap):
    """slots that move under load"""
    with Cluster() as cluster, Steady(cluster.url()) as steady:
        steady.goes_on()
        for slot in slots_in_use(cluster)[:2]:
            for _ in range(2):
                owner = cluster.owner(slot)
                target = cluster.servers[(cluster.servers.index(owner) + 1) % 3]
                moved = cluster.move(slot, target)
                tap.ok(moved > 0 and cluster.owner(slot) is target,
                       f'slot {slot} has moved with {moved} keys')
        steady.goes_on()
        said = errors_of(cluster)
        tap.ok(said.get('MOVED', 0) > 0 and said.get('ASK', 0) > 0, 'servers said MOVED and ASK',
               str(said))
        tap.ok(steady.last['broken'] == 0, 'and nothing that was not understood', str(steady.last))
        ends_well(tap, steady, 'slots that move')


def primary_killed(tap):
    """a primary that is killed and comes back"""
    with Cluster(files=True) as cluster, Steady(cluster.url(), try_ms=1000) as steady:
        steady.goes_on()
        for server in cluster.servers[:2]:  # the first is the URL's
            server.kill()
            steady.fails('unreachable')
            server.start()
            cluster.await_slots()
            steady.goes_on()
        ends_well(tap, steady, 'a primary that is killed')


CASES = (down_at_start, named, killed, frozen, connections_killed, full, disk_full, busy,
         wrong_password, no_password, no_rights, replica, refusing_tls, migration, primary_killed,
         cut_plain, cut_tls)


def main():
    tap = begin(redis_server.missing())
    cases(tap, CASES)
    tap.done()


if __name__ == '__main__':
    main()
