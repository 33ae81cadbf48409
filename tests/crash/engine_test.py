#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a node whose commit logs are in a storage engine, and of the engine, under load.

    engine_test.py redis|s3|dynamodb [CASE...]

Nothing acknowledged is lost, nothing is there twice or half: whether the node starts where it ran
or on a host that has nothing, with one worker or two; whether the engine acknowledges commits
or the node's disk does, with the engine some way behind; and while segments are cleaned out of it.
"""
import importlib
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
from dynamodb_server import TABLE  # noqa: E402
from engine_node import forget, keys_of, wait  # noqa: E402
from node import Failed, Node, enter_namespace, missing  # noqa: E402
from storm import Storm, bad  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ROUNDS = int(os.environ.get('ABAFT_CRASH_ROUNDS', '0'))
SLOTS = 20000  # of three keys on average, and some pairs
CLEAN_SLOTS = 40
CLEAN_COMMITS = 40
LARGE_SLOTS = 150
LAG = 8 << 20
LOAD_COMMITS = {'redis': 200, 's3': 20, 'dynamodb': 20}  # before a kill, at most
LOAD_S = 3  # not longer, on a slow machine
LEAST = 3  # acknowledged in a round
SERVER = {'redis': {'files': True}, 's3': {}, 'dynamodb': {'files': True}}
MARKER = re.compile(r'\{(log-\d{3})\}:([0-9a-f]{8}-[0-9a-f]{8})-[0-9a-f]{10}$')
GROUP = re.compile(r'\{(log-\d{3}-[0-9a-f]{8}-[0-9a-f]{8})\}:.*')
STAYS = '-ffff'
PART = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}$')
SEGMENTS = 12  # that `cleaning` may have
CLEAN = {'segment_size': '8M', 'log_bytes_max': f'{8 * SEGMENTS}M', 'checkpoint': '8M',
         'clean_below': 85, 'clean_rate': 0, 'cache': '4M', 'memory': '96M', 'outcomes': 1 << 14}


class Run:
    """A node over a server, and a storm over it; rounds of it, and their sum."""

    def __init__(self, tap, name, server, what, storm=('fresh',), slots=SLOTS, **keys):
        self.tap, self.name, self.server, self.what = tap, name, server, what
        self.starts = 1
        self.sum = dict.fromkeys(('acknowledged', 'unknown', 'full', 'rounds'), 0)
        self.node = Node(start=False, **keys_of(server, what, **keys))
        self.storm = Storm(random.getrandbits(32), slots, *storm)
        try:
            self.node.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.storm.close()
        self.node.close()

    def load(self, meanwhile, commits=None):
        """Load, so many commits at most, until `meanwhile` has come back."""
        self.storm.say('load')
        wanted = self.node.total('commits') + random.randrange(1, commits or
                                                               LOAD_COMMITS[self.name])
        end = time.monotonic() + LOAD_S
        while self.node.total('commits') < wanted and time.monotonic() < end:
            time.sleep(random.uniform(0, 0.02))
        meanwhile()
        self.storm.say('halt')
        loaded = self.storm.answer()
        for name in loaded:
            if name in self.sum:
                self.sum[name] += loaded[name]
        self.sum['rounds'] += 1
        return loaded

    def check(self, loaded, how):
        checked = self.storm.ask('check')
        self.tap.ok(not bad(checked) and not loaded['fractured'],
                    f'{self.what}, round {self.sum["rounds"]}: {how}; {loaded["acknowledged"]} '
                    f'acknowledged, {loaded["unknown"]} not: {checked["checked"]} whole',
                    bad(checked), loaded, self.node.ready, *self.node.said().splitlines()[-5:])

    def judge(self):
        checked = self.storm.ask('all')
        self.tap.equal(bad(checked), {}, f'{self.what}: in the end {checked["checked"]} are whole')
        rounds = self.sum['rounds']
        self.tap.ok(self.sum['acknowledged'] >= LEAST * rounds and
                    self.sum['unknown'] >= rounds // 2, f'{self.what}: kills met load', self.sum)
        self.tap.note(', '.join(f'{n} {name}' for name, n in self.sum.items()))

    def start_again(self, workers):
        """After a kill; now and then there is another, somewhere on the way up."""
        self.node.keys['workers'] = workers
        if random.randrange(4) == 0:
            self.starts += 1
            try:
                self.node.start(random.uniform(0, 0.3))
            except Failed:
                pass
            self.node.kill()
        self.starts += 1
        self.node.start()


def kill_engine(server):
    """What brings it back."""
    if hasattr(server, 'kill_gateway'):
        server.kill_gateway()
        return server.start_gateway
    server.kill()
    return server.start


def engine_dies(run):
    """It is there again a moment later; the node has lived."""
    back = kill_engine(run.server)
    time.sleep(random.uniform(0, 0.5))
    back()
    before = run.node.info()['commits']
    wait(lambda: run.node.total('commits') > before, 'commits to go on')


def both_die(run):
    back = kill_engine(run.server)
    time.sleep(random.uniform(0, 0.1))
    run.node.kill()
    back()


def storage(tap, name, server, rounds, storm=('fresh',), slots=SLOTS):
    """engine-ack = storage: the node, its host, the engine die"""
    with Run(tap, name, server, 'storage', storm, slots) as run:
        for number in range(rounds):
            # A real S3 that lost its gateway is back after seconds: seldom.
            engine = number % (2 if name == 'redis' else 4) == 1
            if engine and number % 4 == 1:
                loaded, how = run.load(lambda: engine_dies(run)), 'the engine was killed'
            else:
                loaded = run.load(lambda: both_die(run) if engine else run.node.kill())
                how = 'both were killed' if engine else 'the node was killed'
                if random.randrange(2):
                    forget(run.node)
                    how += ', its host forgot'
                run.start_again(1 + number // 2 % 2)
            run.check(loaded, how)
        run.judge()
        if name == 'dynamodb':
            tap.ok(in_parts(server), 'storage: some groups are in parts')
        tap.equal(run.node.stop(), 0, 'storage: a clean stop')


def in_parts(dynamodb):
    """Are there groups larger than an item, in several?"""
    more = {}
    while True:
        page = dynamodb.call('Scan', TableName=TABLE, ProjectionExpression='l', **more)
        if any(PART.match(item['l']['S']) for item in page['Items']):
            return True
        if 'LastEvaluatedKey' not in page:
            return False
        more['ExclusiveStartKey'] = page['LastEvaluatedKey']


def log(tap, name, server, rounds):
    """engine-ack = log: the same, and with the engine away meanwhile; then the disk is lost"""
    with Run(tap, name, server, 'log', engine_ack='log') as run:
        for number in range(rounds):
            # Of two workers' logs one is closed afterwards, with its end not in the engine yet.
            back = kill_engine(server) if number % 2 else None
            loaded = run.load(run.node.kill)
            if back:
                back()
            run.start_again(2 - number % 2)
            run.check(loaded, 'the engine was away' if back else 'the node was killed')
        run.judge()
        tap.equal(run.node.stop(), 0, 'log: a clean stop')
        forget(run.node)
        run.node.keys.update(engine_ack='storage', workers=2)
        run.node.start()
        tap.equal(bad(run.storm.ask('all')), {},
                  'log: stopped well, then its disk was lost: the engine has all')


def tail(tap, name, server, rounds):
    """engine-ack = log: kill -9, and the disk is lost: what is missing is an end of the log"""
    missed = 0
    for number in range(rounds):
        workers = 1 + number % 2
        with Run(tap, name, server, f'tail-{number}', engine_ack='log', engine_lag=LAG,
                 workers=workers) as run:
            for _ in range(random.randrange(3)):
                loaded = run.load(run.node.kill)
                run.start_again(workers)
                run.check(loaded, 'the node was killed')
            back = kill_engine(server) if number % 3 == 0 else lambda: None
            run.load(run.node.kill)
            back()
            forget(run.node)
            run.node.keys['engine_ack'] = 'storage'
            run.node.start()
            found = run.storm.ask('tail')
            # Of two logs each lacks an end of its own.
            holes = found['holes'] if workers == 1 else 0
            tap.equal((bad(found), holes), ({}, 0), f'{run.what}: {found["missing"]} of '
                      f'{found["checked"]} are missing, and are an end')
            tap.ok(found['bytes'] <= LAG * workers, f'{run.what}: no more than the lag', found)
            missed += found['missing']
    tap.ok(missed > 0, 'tail: some were lost at all')


def segments(server, what):
    """Of all logs, below a prefix: those that are there, and what objects are there of others; and
    how many keys there are."""
    keys = server.cli('--raw', 'KEYS', f'{what}:*').split()
    marked = {f'{m[1]}-{m[2]}' for m in map(MARKER.search, keys) if m}
    gone = {m[0] for m in map(GROUP.search, keys) if m and m[1] not in marked}
    return marked, gone, len(keys)


def beside_seals(gone):
    """Without the seals, which stay, and what says of which that they do (remote.h, E4)."""
    return {name for name in gone
            if name.removesuffix(STAYS) not in gone or name.removesuffix(STAYS) + STAYS not in gone}


def cleaning(tap, name, server, rounds):
    """Segments are cleaned out of the engine under load: it stays bounded, nothing is lost"""
    for ack in ('storage', 'log'):
        what = f'cleaning-{ack}'
        with Run(tap, name, server, what, ('large',), CLEAN_SLOTS, engine_ack=ack, **CLEAN) as run:
            most = objects = freed = 0
            for number in range(rounds):
                loaded = run.load(lambda: kill_cleaning(run), CLEAN_COMMITS)
                if ack == 'storage' and number % 2:
                    forget(run.node)
                freed += run.freed
                run.start_again(1)
                run.check(loaded, f'killed, {run.freed} segments freed')
                marked, _, keys = segments(server, what)
                most, objects = max(most, len(marked)), max(objects, keys)
            run.judge()
            tap.ok(freed >= rounds, f'{run.what}: segments were freed', freed)
            tap.note(f'{freed} segments freed; at most {most} are there, and {objects} keys')
            # Both logs may have made one ahead.
            tap.ok(most <= SEGMENTS + 2, f'{run.what}: no more than log-bytes-max', most)
            tap.equal(run.node.stop(), 0, f'{run.what}: a clean stop')
            _, gone, _ = segments(server, what)
            tap.equal(beside_seals(gone), set(), f'{run.what}: of segments that are gone nothing '
                      'is left but seals')
            tap.ok(len(gone) <= 4 * run.starts, f'{run.what}: two objects for each start and log',
                   len(gone), run.starts)


def kill_cleaning(run):
    """At a moment when it cleans, if it does so soon."""
    end = time.monotonic() + 2
    while time.monotonic() < end and run.node.info()['cleaned_segments'] == 0:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.1))
    run.freed = run.node.info()['cleaned_segments']
    run.node.kill()


CASES = {
    'redis': {'storage': (storage, 6), 'log': (log, 4), 'tail': (tail, 2),
              'cleaning': (cleaning, 2)},
    's3': {'storage': (storage, 2)},
    'dynamodb': {'storage': (storage, 2)},
}


def main(name, *wanted):
    module = importlib.import_module(f'{name}_server')
    reason = missing() or module.missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    seed = int(os.environ.get('ABAFT_SEED', int.from_bytes(os.urandom(4), 'little')))
    tap.note(f'seed {seed}: ABAFT_SEED={seed} repeats the delays and the writes')
    random.seed(seed)
    enter_namespace()
    server_of = {'redis': 'Server', 's3': 'S3Server', 'dynamodb': 'DynamoDB'}[name]
    with getattr(module, server_of)(**SERVER[name]) as server:
        for case, (function, rounds) in CASES[name].items():
            if not wanted or case in wanted:
                begin = time.monotonic()
                more = () if name == 'redis' else (('fresh', 'large'), LARGE_SLOTS)
                tap.case(function, name, server, ROUNDS or rounds, *more)
                tap.note(f'{case}: {time.monotonic() - begin:.1f} s')
    tap.done()


main(*sys.argv[1:])
