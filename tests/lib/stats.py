# SPDX-License-Identifier: Apache-2.0
"""stats.py - what a node's pinned maps say, as `abaft stats --json` prints it, and what moved
between two looks. The command is found by $ABAFT, else in build/tools."""
import json
import os
import subprocess
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
ABAFT = os.environ.get('ABAFT', f'{ROOT}/build/tools/abaft')
SECOND = 1e9


def abaft(*arguments, timeout_s=30):
    return subprocess.run([ABAFT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, timeout=timeout_s, check=False)


def stats(node):
    """All of it, buckets included."""
    done = abaft('stats', '--json', '--buckets', '--pin-dir', node.keys['pin_dir'])
    if done.returncode != 0:
        raise OSError(f'abaft stats: {done.stderr}')
    return json.loads(done.stdout)


def slow(node):
    """The slow transactions that are there."""
    done = abaft('slow', '--last', '256', '--write', 'json', '--pin-dir', node.keys['pin_dir'])
    if done.returncode != 0:
        raise OSError(f'abaft slow: {done.stderr}')
    return [json.loads(line) for line in done.stdout.splitlines()]


def watched(node, *names, timeout_s=15):
    """Whether BPF programs have pinned these maps: they are loaded when the node serves."""
    end = time.monotonic() + timeout_s
    while not all(os.path.exists(f'{node.keys["pin_dir"]}/{name}') for name in names):
        if time.monotonic() > end or not node.alive():
            return False
        time.sleep(0.05)
    return True


class Moved:
    """What histograms gained between two looks, of one worker or of all."""

    def __init__(self, before, after, worker=None):
        self.buckets = {}
        for kind in ('histograms', 'kernel'):
            for which, sign in ((before, -1), (after, 1)):
                whose = which['total'] if worker is None else which['workers'][worker]
                for name, histogram in whose.get(kind, {}).items():
                    mine = self.buckets.setdefault(name, {})
                    for low, high, count in histogram['buckets']:
                        mine[low, high] = mine.get((low, high), 0) + sign * count

    def names(self):
        return set(self.buckets)

    def count(self, name):
        return sum(self.buckets[name].values())

    def longest_s(self, name):
        """No more than this, and at most 3 % less; 0: it did not move."""
        return max((high for (_, high), count in self.buckets[name].items() if count > 0),
                   default=0) / SECOND
