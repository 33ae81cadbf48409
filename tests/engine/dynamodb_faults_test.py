#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a DynamoDB does to an engine: it goes away, stands still, has no table, refuses, breaks off.
Whatever it was, when it is over the engine goes on by itself, and nothing that it acknowledged is
missing: steady.c looks.

    dynamodb_faults_test.py STEADY
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import dynamodb_server  # noqa: E402
from cut import Cut  # noqa: E402
from dynamodb_moody import MOODS, Moody  # noqa: E402
from dynamodb_server import DynamoDB  # noqa: E402
from steady import Steady, begin, cases, ends_well  # noqa: E402


def down_at_start(tap):
    """a server that comes later"""
    with DynamoDB(start=False) as server, Steady(server.url(), server.credentials) as steady:
        steady.fails('unreachable', 'DynamoDB at 127.0.0.1', str(server.port))
        server.start()
        steady.goes_on()
        ends_well(tap, steady, 'a server that comes later')


def killed(tap):
    """a server that is killed, with files"""
    with DynamoDB(files=True) as server, Steady(server.url(), server.credentials) as steady:
        for _ in range(2):
            steady.goes_on()
            server.kill()
            steady.fails('unreachable')
            server.start()
        steady.goes_on()
        ends_well(tap, steady, 'a server that is killed')


def frozen(tap):
    """a server that stands still"""
    with DynamoDB() as server, Steady(server.url(), server.credentials, try_ms=300) as steady:
        steady.goes_on()
        server.freeze()
        steady.fails('timeouts', 'no answer in time')
        server.thaw()
        steady.goes_on()
        ends_well(tap, steady, 'a server that stands still')


def no_table(tap):
    """a table that is missing, and then made"""
    with DynamoDB(table=False) as server, Steady(server.url(), server.credentials) as steady:
        steady.fails('denied', 'there is no such table; create it', dynamodb_server.TABLE)
        server.create_table()
        steady.goes_on()
        ends_well(tap, steady, 'a table that is missing')


def in_all_moods(tap):
    """a server that throttles, fails, loses, lies, breaks off"""
    # Here are no requests of several items: those are conformance.c's.
    never = [mood for mood in MOODS if mood != 'in_parts']
    with Moody() as server, Steady(server.url(), server.credentials) as steady:
        steady.until(lambda _: all(server.count[mood] >= 5 for mood in never), 'all moods')
        server.calm = True
        last = steady.last
        for counter in ('throttled', 'unreachable', 'denied', 'broken'):
            tap.ok(last[counter] > 0, f'moods: {counter} is counted', str(last))
        tap.ok(not any('any/secret' in why for why in steady.whys), 'moods: no secret is told',
               *steady.whys)
        steady.goes_on()
        ends_well(tap, steady, 'a server in many moods')


def cut_everywhere(tap):
    """connections that are cut at every point"""
    points = (1, 2, 16, 100, 300, 500, 600, 700, 900, 1500, 4000, 10000, 30000)
    cuts = [(way, point) for point in points for way in (0, 1)]
    with Moody(calm=True) as server, Cut(('127.0.0.1', server.url_port), cuts) as cut:
        server.url_port = cut.port
        with Steady(server.url(), server.credentials) as steady:
            steady.until(lambda _: cut.done(), f'{len(cuts)} cuts')
            steady.goes_on()
            tap.ok(steady.last['unreachable'] > 0, 'cut: is counted', str(steady.last))
            ends_well(tap, steady, f'connections cut after {len(cuts)} numbers of bytes')


CASES = (down_at_start, killed, frozen, no_table, in_all_moods, cut_everywhere)


def main():
    tap = begin(dynamodb_server.missing())
    cases(tap, CASES)
    tap.done()


if __name__ == '__main__':
    main()
