#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a real S3 does to an engine: it goes away, stands still, fills up, refuses, is asked too
much. Whatever it was, when it is over the engine goes on by itself, and nothing that it
acknowledged is missing: steady.c looks. (What no S3 should do: tests/unit/engine/s3_test.c.)

    s3_faults_test.py STEADY
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import s3_server  # noqa: E402
from cut import Cut  # noqa: E402
from redis_server import certificate  # noqa: E402
from s3_server import S3Server  # noqa: E402
from steady import Steady, begin, cases, ends_well  # noqa: E402

HERE = '127.0.0.1'


def start(s3, prefix, credentials=None, try_ms=5000, **where):
    return Steady(s3.url(prefix, **where), credentials or s3.credentials, try_ms)


def down_at_start(tap, s3):
    """a gateway that comes later"""
    s3.kill_gateway()
    with start(s3, 'later') as steady:
        steady.fails('unreachable', 'Connection refused', str(s3.port))
        s3.start_gateway()
        steady.goes_on()
        ends_well(tap, steady, 'a gateway that comes later')


def killed(tap, s3):
    """a gateway that is killed under load, twice"""
    with start(s3, 'killed') as steady:
        for _ in range(2):
            steady.goes_on()
            s3.kill_gateway()
            steady.fails('unreachable')
            s3.start_gateway()
        steady.goes_on()
        ends_well(tap, steady, 'a gateway that is killed')


def frozen(tap, s3):
    """a gateway that stands still, and then the store behind it"""
    with start(s3, 'frozen', try_ms=400) as steady:
        for name in ('rgw', 'osd'):
            steady.goes_on()
            s3.freeze(name)
            try:
                steady.fails('timeouts', 'no answer in time')
            finally:
                s3.thaw(name)
        steady.goes_on()
        ends_well(tap, steady, 'a gateway, or its store, that stands still')


def wrong_secret(tap, s3):
    """a wrong secret key, that becomes right"""
    access, secret = 'ABAFTTESTANOTHERKEY0', 'verywrong00000000000'
    s3.set_secret(access, 'another0000000000000')
    with start(s3, 'secret', s3.write_credentials('wrong', access, secret)) as steady:
        steady.fails('denied', '403 SignatureDoesNotMatch', 'secret-key')
        tap.ok(not any(secret in why or access in why for why in steady.whys),
               'a wrong secret key: is not told', *steady.whys)
        s3.set_secret(access, secret)
        steady.goes_on()
        ends_well(tap, steady, 'a wrong secret key')


def unknown_key(tap, s3):
    """an access key that the storage does not know yet"""
    access, secret = 'ABAFTTESTUNKNOWNKEY0', 'unknown0000000000000'
    with start(s3, 'unknown', s3.write_credentials('unknown', access, secret)) as steady:
        steady.fails('denied', '403 InvalidAccessKeyId', 'access-key')
        s3.set_secret(access, secret)
        steady.goes_on()
        ends_well(tap, steady, 'an access key that was unknown')


def no_bucket(tap, s3):
    """a bucket that is made later"""
    with start(s3, 'made', bucket='made-later') as steady:
        steady.fails('denied', '404 NoSuchBucket', 'made-later')
        s3.make_bucket('made-later')
        steady.goes_on()
        ends_well(tap, steady, 'a bucket that is made later')


def full(tap, s3):
    """a quota that is used up, and raised"""
    s3.make_bucket('small')
    with start(s3, 'quota', bucket='small') as steady:
        steady.goes_on()
        s3.set_quota(1)
        try:
            steady.fails('full', 'QuotaExceeded', 'quota')
        finally:
            s3.set_quota(None)
        steady.goes_on()
        ends_well(tap, steady, 'a quota that is used up')


def throttled(tap, s3):
    """a gateway that takes few requests at a time"""
    with start(s3, 'throttled') as steady:
        steady.goes_on()
        s3.set_live('rgw_max_concurrent_requests', 8)
        try:
            steady.fails('throttled', '503 SlowDown')
        finally:
            s3.set_live('rgw_max_concurrent_requests', 1024)
        steady.goes_on()
        ends_well(tap, steady, 'a gateway that takes few requests at a time')


def cut(tap, s3):
    """connections that are cut at every point"""
    points = (1, 10, 100, 200, 400, 800, 1000, 2000, 7000, 50000)
    cuts = [(way, point) for point in points for way in (0, 1)]
    with Cut((HERE, s3.port), cuts) as proxy, start(s3, 'cut', port=proxy.port) as steady:
        steady.until(lambda _: proxy.done(), f'{len(cuts)} cuts')
        steady.goes_on()
        tap.ok(steady.last['unreachable'] >= len(points) // 2, 'connections cut: is counted',
               str(steady.last))
        ends_well(tap, steady, f'connections cut after {len(cuts)} numbers of bytes')


def tls(tap, s3):
    """TLS: a certificate that is trusted, and others"""
    good = s3.write_credentials('good', ca_file=f'{s3.dir}/authority.crt')
    os.mkdir(f'{s3.dir}/other')
    certificate(f'{s3.dir}/other')
    other = s3.write_credentials('other-authority', ca_file=f'{s3.dir}/other/authority.crt')
    with start(s3, 'tls', good, tls=True) as steady:
        steady.goes_on()
        tap.equal(steady.last['denied'], 0, 'TLS: nothing is denied')
        ends_well(tap, steady, 'TLS')
    for name, credentials, how, counter, words in (
            ('another authority', other, {'tls': True}, 'denied', ('certificate', 'ca-file')),
            ('the system\'s authorities', s3.credentials, {'tls': True}, 'denied',
             ('certificate', 'ca-file')),
            ('none where there should be', good, {'tls': True, 'port': s3.port}, 'unreachable',
             ('endpoint=',)),
            ('where there should be none', good, {'port': s3.tls_port}, 'unreachable',
             ('endpoint=',))):
        with start(s3, 'tls', credentials, try_ms=1000, **how) as steady:
            steady.fails(counter, *words)
            tap.ok(steady.last['done'] == 0, f'TLS, {name}: nothing is done', str(steady.last))


CASES = (wrong_secret, unknown_key, no_bucket, full, throttled, tls, cut, frozen, killed,
         down_at_start)


def main():
    tap = begin(s3_server.missing())
    with S3Server(tls=True) as s3:
        cases(tap, CASES, s3)
    tap.done()


if __name__ == '__main__':
    main()
