# SPDX-License-Identifier: Apache-2.0
"""bootstrap.py - how long a killed node takes to serve again, by the number of commits that were
made over its data, with checkpoints and without. The paper's node reads all commit records; how
long that takes it does not say.
"""
import contextlib
import os
import re
import shutil
import subprocess
import time

import node as nodes
import plot

KEYS = 10000
VALUE_BYTES = 100
LIMIT_S = 900


class Filled:
    """A node over an engine, killed and started again."""

    def __init__(self, evaluation, engine, checkpoint):
        self.build = evaluation.bench.build
        self.engine = evaluation.bench.engine(engine)
        settings = {'memory': '1G', 'keys': '65536', 'segment_size': '64M',
                    'checkpoint': checkpoint}
        if evaluation.size == 'smoke':
            settings = {'checkpoint': checkpoint}
        if engine != 'embedded':
            place = self.engine.fresh()
            settings['engine'] = self.engine.url(place, self.engine.port)
            settings.update(self.engine.node_keys)
        self.node = nodes.Node(environment=self.engine.environment, **settings)
        self.commits = 0

    def commit(self, count):
        """Until so many commits were made."""
        subprocess.run([f'{self.build}/tools/abaft', 'load', '--functions=1', '--writes=1',
                        '--reads=0', '--one-packet', '--uniform', f'--keys={KEYS}',
                        f'--value-bytes={VALUE_BYTES}', '--clients=256',
                        f'--transactions={count - self.commits}', '--seconds=100000', '--quiet'],
                       check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S)
        self.commits = count

    def restart(self):
        """Seconds until it serves, and what it says to have read."""
        self.node.kill()
        if self.engine.name != 'embedded':
            # As on another machine: all there is is in the engine.
            shutil.rmtree(self.node.keys['data_dir'], ignore_errors=True)
        os.sync()
        with open('/proc/sys/vm/drop_caches', 'w') as file:
            file.write('1')
        begin = time.monotonic()
        self.node.start(600)
        took = time.monotonic() - begin
        said = re.search(r'recovered (.*) in ([\d.]+) s', self.node.ready)
        return {'seconds': took, 'recovery_s': float(said.group(2)) if said else None,
                'said': said.group(1) if said else self.node.ready}

    def close(self):
        self.node.close()


def measure(evaluation):
    """How long a killed node takes to serve again, by commits"""
    counts = {'full': (10000, 100000, 1000000), 'quick': (10000, 100000),
              'smoke': (200,)}[evaluation.size]
    out, series = [], {}
    evaluation.say(f'\nBootstrap: seconds until a killed node serves again, by commits made before '
                   f'(1 write of {VALUE_BYTES} B each, {KEYS} keys)')
    for engine in evaluation.engines:
        if evaluation.bench.missing_engine(engine):
            continue
        for name, checkpoint in evaluation.some(
                (('no checkpoints', '0'), ('checkpoint each 16 MiB', '16M')),
                (('no checkpoints', '0'),)):
            with contextlib.closing(Filled(evaluation, engine, checkpoint)) as filled:
                empty = filled.restart()
                for count in counts:
                    filled.commit(count)
                    result = filled.restart()
                    out.append({'engine': engine, 'checkpoint': checkpoint, 'commits': count,
                                'empty_s': empty['seconds'], **result})
                    series.setdefault(f'{engine}, {name}', {})[count] = result['seconds']
                    evaluation.say(
                        f'  {engine:9} {name:22} {count:8} commits {result["seconds"]:7.2f} s '
                        f'(without data {empty["seconds"]:.2f} s), of which recovery '
                        f'{result["recovery_s"]} s: {result["said"]}')
    if series:
        plot.lines(f'{evaluation.out}/bootstrap.svg', 'Seconds until a killed node serves again',
                   'commits made before', 's', series)
    return out
