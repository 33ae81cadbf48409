# SPDX-License-Identifier: Apache-2.0
"""recorded.py - recordings as `abaft load --record` and `abaft stats` would leave them, made up;
and the pictures of a report, read back."""
import html.parser
import json
import math
import os
import re

START = 1796000000.25


def load_json(**changes):
    result = {'parameters': {'functions': 2, 'reads': 2, 'writes': 1, 'read_share': None,
                             'abort_share': 0, 'value_bytes': 100, 'keys': 1000, 'zipf': 1,
                             'rate': 0, 'arrivals': 'closed', 'clients': 8, 'threads': 1, 'seed': 1,
                             'one_packet': False},
              'machine': {'kernel': '6.0', 'cpu': 'a processor', 'cpus': 2},
              'start_unix_s': START, 'seconds': 20.0, 'committed': 12345678,
              'committed_per_second': 1234.5, 'aborted': 0, 'failed': 0, 'unknown': 0,
              'errors': {'BUSY': 17},
              'latency_us': {'mean': 150.5, 'p50': 100, 'p90': 200, 'p99': 1500.25, 'p99.9': 2000,
                             'p99.99': 3000, 'max': 2345678}}
    result.update(changes)
    return result


def second(t, committed, base_us, **changes):
    line = {'t': t, 'seconds': 1, 'committed': committed, 'aborted': 0, 'failed': 0, 'unknown': 0,
            'errors': 0, 'retries': 0, 'resends': 0,
            'latency_us': {'p50': base_us, 'p90': 2 * base_us, 'p99': 5 * base_us,
                           'p99.9': 10 * base_us, 'max': 20 * base_us}}
    line.update(changes)
    return line


def distribution(count=10000):
    """Latencies of 1 us, 2 us, ...: a share of i / count takes i us at most."""
    steps = [count * i // 200 for i in range(1, 200)] + [count - 50, count - 5, count - 1, count]
    return {'unit': 'us', 'count': count,
            'points': [[i, i / count] for i in sorted(set(steps)) if i > 0]}


def scrape(at_s, requests, histogram=None, alive=True, **changes):
    """A line of `abaft stats --json` when the node has answered so many requests; a histogram's
    buckets are given as {low: count}, each 16 ns wide."""
    buckets = [[low, low + 16, count] for low, count in sorted((histogram or {}).items())]
    count = sum(row[2] for row in buckets)
    one = {'unit': 'ns', 'count': count, 'sum': sum((low + 8) * n for low, _, n in buckets),
           'max': 0, 'p50': 0, 'p90': 0, 'p99': 0, 'p99.9': 0, 'buckets': buckets}
    line = {'time': START + at_s, 'alive': alive, 'node': {'started': START - 100},
            'total': {'counters': {'drop_frame': 3 * requests, 'requests': requests},
                      'core': {'refused_id': 0, 'busy_txns': requests // 2},
                      'log': {'groups': requests // 10, 'records': requests // 2},
                      'ops': {'packet': {'count': requests}, 'get': {'count': 2 * requests},
                              'commit': {'count': requests}},
                      'histograms': {name: one for name in ('service', 'commit_durable',
                                                            'log_device', 'txn_life')}},
            'steer': None}
    line.update(changes)
    return line


def write(folder, load=None, series=None, percentiles=None, scrapes=None):
    """A folder of a recording; what is text or bytes is written as it is."""
    os.makedirs(folder)
    if series is None:
        series = [second(t, 1000 + 100 * t, 100 + 10 * t) for t in range(20)]
    for name, what in (('load.json', load_json() if load is None else load),
                       ('series.jsonl', series),
                       ('percentiles.json', distribution() if percentiles is None else percentiles),
                       ('stats.jsonl', scrapes)):
        if what is None:
            continue
        if isinstance(what, list):
            what = ''.join(json.dumps(line) + '\n' for line in what)
        elif isinstance(what, dict):
            what = json.dumps(what)
        if isinstance(what, str):
            what = what.encode()
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(what)
    return folder


class Outline(html.parser.HTMLParser):
    """Whether tags are closed in order; which there are, which texts, which identifiers."""
    VOID = {'meta', 'br', 'link', 'img', 'hr', 'input'}

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.tags, self.texts, self.ids = [], [], set(), [], []
        self.feed(text)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == 'id']
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == 'id']

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


UNITS = {'ns': 1e-9, 'µs': 1e-6, 'ms': 1e-3, 's': 1, '': 1}


def _number(text):
    match = re.fullmatch(r'\s*([0-9.]+)\s*(ns|µs|ms|s|)', text)
    return float(match.group(1)) * UNITS[match.group(2)] if match else None


class Picture:
    """A figure of the page, by its title: its lines, read back in the units of its axes."""
    TICK = re.compile(r"d='M([-\d.]+),([-\d.]+) L[^']*'/>\s*<g transform=[^>]*"
                      r'text-anchor="(\w+)">\s*<text>([^<]*)<')

    NINES = {'0': 1, '50 %': 2, '90 %': 10, '99 %': 100, '99.9 %': 1000, '99.99 %': 10000}

    def __init__(self, page, title, logarithmic=False, nines=False):
        figure = next(part for part in page.split('<figure>')[1:]
                      if f'<h3>{title}</h3>' in part).split('</figure>')[0]
        self.svg = figure
        ticks = [(float(x), float(y), anchor, text)
                 for x, y, anchor, text in self.TICK.findall(figure)]
        self.logarithmic, self.nines = logarithmic, nines
        self.marks = [(x, text) for x, _, anchor, text in ticks if anchor == 'middle']
        self.x = self._axis([(x, self.NINES.get(text) if nines else _number(text))
                             for x, text in self.marks], nines)
        self.y = self._axis([(y, _number(text)) for _, y, anchor, text in ticks if anchor == 'end'],
                            logarithmic)
        groups = figure.split('_plot_')[1:]
        keys = [re.search(r'text-anchor="start">\s*<text>([^<]*)<', group) for group in groups]
        self.titles = [key.group(1) if key else '' for key in keys]
        self.lines = [self._line(group)[2 if key else 0:] for group, key in zip(groups, keys)]

    @staticmethod
    def _axis(ticks, logarithmic):
        """(pixel of 0, pixels of 1), of the value or its logarithm."""
        ticks = [(at, math.log10(value) if logarithmic else value) for at, value in ticks
                 if value is not None and (value > 0 or not logarithmic)]
        (a, low), (b, high) = min(ticks, key=lambda t: t[1]), max(ticks, key=lambda t: t[1])
        scale = (b - a) / (high - low)
        return a - low * scale, scale

    @staticmethod
    def _line(group):
        """(M or L, x, y) of a line; the first two are its sample in the key, if it has one."""
        points = []
        group = group.split('\t</g>\n<g')[0]
        for path in re.findall(r"<path stroke='[^']*'[^>]*d='([^']*)'", group):
            points += [(kind, float(x), float(y))
                       for kind, x, y in re.findall(r'([ML])([-\d.]+),([-\d.]+)', path)]
        return points

    def highest(self, line, begin=-math.inf, end=math.inf):
        """The largest value of a line between two x."""
        top = min(py for _, px, py in self.lines[line]
                  if begin <= (px - self.x[0]) / self.x[1] <= end)
        value = (top - self.y[0]) / self.y[1]
        return 10 ** value if self.logarithmic else value

    def value(self, line, x):
        """Of a line at x; None: it is not drawn there."""
        at = self.x[0] + (math.log10(x) if self.nines else x) * self.x[1]
        before = None
        for kind, px, py in self.lines[line]:
            if before and kind == 'L' and before[0] - 0.02 <= at <= px + 0.02:
                width = px - before[0]
                y = py if width == 0 else before[1] + (py - before[1]) * (at - before[0]) / width
                value = (y - self.y[0]) / self.y[1]
                return 10 ** value if self.logarithmic else value
            before = (px, py)
        return None


def close(have, want, relative=0.03):
    return have is not None and abs(have - want) <= relative * max(abs(want), 1e-9)
