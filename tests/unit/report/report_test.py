#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`abaft report` on recordings that are made up: what is drawn is what was recorded, read back from
the pictures; and what is missing, cut, foreign or hostile gets a message, never a crash.

    report_test.py ABAFT
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', '..', 'lib')]
import recorded  # noqa: E402
from recorded import Outline, Picture, close, distribution, load_json, scrape, second  # noqa: E402
from tap import Tap, skip_all  # noqa: E402

ABAFT = sys.argv[1]


class Folder:
    """Of a case; gone when it ends."""
    count = 0

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='abaft-report-', dir='/var/tmp')
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def run(self, **files):
        Folder.count += 1
        return recorded.write(f'{self.path}/run{Folder.count}', **files)


def report(*arguments, path=None):
    environment = dict(os.environ)
    if path is not None:
        environment['PATH'] = path
    return subprocess.run([ABAFT, 'report', *arguments], capture_output=True, timeout=120,
                          env=environment, check=False)


def page_of(tap, name, *arguments):
    """The page's text; an empty one when there is none."""
    done = report(*arguments)
    said = done.stderr.decode(errors='replace')
    if not tap.ok(done.returncode == 0, f'{name}: a page is made', said):
        return '', said
    with open(done.stdout.decode().strip(), encoding='utf-8') as file:
        page = file.read()
    outline = Outline(page)
    tap.ok(not outline.wrong and len(set(outline.ids)) == len(outline.ids),
           f'{name}: its tags are closed, its identifiers single', outline.wrong, outline.ids)
    return page, said


def refused(tap, name, run, *words, path=None):
    """Exit 6 and a message with these words, and nothing left."""
    done = report(run, path=path)
    said = done.stderr.decode(errors='replace')
    tap.ok(done.returncode == 6 and all(word in said for word in words)
           and not os.path.exists(f'{run}/report.html.new'), f'{name}: refused, in words',
           f'exit {done.returncode}', said)


def lines_of_the_load(tap):
    """Throughput, latencies, errors: each second where it belongs"""
    series = [second(t, 1000 + 100 * (t % 7), 100 + 50 * (t % 5), errors=t % 3, retries=2 * (t % 4),
                     resends=10 + t, failed=t % 2) for t in range(20)]
    series[11]['latency_us'] = None
    with Folder() as folder:
        page, _ = page_of(tap, 'load', folder.run(series=series))
        picture = Picture(page, 'Throughput')
        wrong = [line['t'] for line in series
                 if not close(picture.value(0, line['t'] + 0.5), line['committed'], 0.01)]
        tap.equal(wrong, [], 'load: transactions per second')
        picture = Picture(page, 'Latency', logarithmic=True)
        tap.equal(picture.titles, ['p50', 'p99', 'p99.9', 'max'], 'load: the latencies\' names')
        for number, name in enumerate(picture.titles):
            wrong = [line['t'] for line in series if line['latency_us'] and not
                     close(picture.value(number, line['t'] + 0.5), line['latency_us'][name] / 1e6)]
            tap.equal(wrong, [], f'load: {name}')
        tap.equal(picture.value(0, 11.5), None, 'load: a gap where nothing ended')
        picture = Picture(page, 'Errors and retries')
        for number, name in enumerate(('errors', 'retries', 'resends', 'failed')):
            wrong = [line['t'] for line in series
                     if abs(picture.value(number, line['t'] + 0.5) - line[name]) > 0.2]
            tap.equal(wrong, [], f'load: {name}')


def percentile_curve(tap):
    """Over 1 / (1 - share), up to 99.99 %"""
    with Folder() as folder:
        # A latency of 10 + x us at 1 / (1 - share) = x.
        points = [[10 + x, 1 - 1 / x] for x in (1.2, 1.5, 2, 3, 5, 10, 30, 100, 300, 1000, 3000,
                                                10000, 30000)] + [[50000, 1]]
        page, _ = page_of(tap, 'curve', folder.run(percentiles={'count': 50000, 'points': points}))
        picture = Picture(page, 'Percentiles', True, nines=True)
        tap.equal([text for _, text in picture.marks], list(Picture.NINES), 'curve: marks')
        wrong = [(x, picture.value(0, x)) for x in (1.5, 2, 5, 10, 100, 1000, 9999)
                 if not close(picture.value(0, x), (10 + x) / 1e6)]
        tap.equal(wrong, [], 'curve: the latency at each share')
        # Few transactions: the curve ends at the slowest, and no share is made up.
        page, _ = page_of(tap, 'curve of 50', folder.run(percentiles=distribution(50)))
        picture = Picture(page, 'Percentiles', True, nines=True)
        tap.ok(close(picture.value(0, 25), 48e-6) and picture.value(0, 70) is None,
               'curve: of 50 transactions it ends at 98 %', picture.value(0, 25))


def lines_of_the_node(tap):
    """From one scrape to the next: rates, and quantiles of what ended in between"""
    # In odd seconds requests take 1000 ns, in even ones 3000; 2 % of each ten times as long. Before
    # the run there were a million of 120 ns.
    histogram = {112: 1000000}
    scrapes = [scrape(0.5, 1000, dict(histogram))]
    for t in range(1, 20):
        base = 992 if t % 2 else 2992
        for low, count in ((base, 98 * t), (10 * base, 2 * t)):
            histogram[low] = histogram.get(low, 0) + count
        scrapes.append(scrape(t + 0.5, 1000 + 50 * t * t, dict(histogram)))
    with Folder() as folder:
        page, _ = page_of(tap, 'node', folder.run(scrapes=scrapes))
        rates = [50 * (2 * t - 1) for t in range(1, 20)]  # at t + 0.5
        for title, number, factor in (('Requests and operations', 0, 1),
                                      ('Requests and operations', 1, 3),
                                      ('Drops and refusals', 0, 3), ('Drops and refusals', 1, 0),
                                      ('Drops and refusals', 2, 0.5)):
            picture = Picture(page, title)
            wrong = [(t, picture.value(number, t + 1.5)) for t, rate in enumerate(rates)
                     if abs(picture.value(number, t + 1.5) - factor * rate) > 0.02 * rates[-1]]
            tap.equal(wrong, [], f'node: {title}: {picture.titles[number]}')
        picture = Picture(page, 'Group commit')
        tap.ok(close(picture.value(0, 10), 5), 'node: records of a group', picture.value(0, 10))
        for title in ('Execution of a request', 'From a commit to its durability',
                      'Write and sync of a group of the log', 'Life of a transaction in the node'):
            picture = Picture(page, title, logarithmic=True)
            tap.equal(picture.titles, ['p50', 'p99'], f'node: {title}')
            wrong = [t for t in range(1, 20) for number, factor in ((0, 1), (1, 10))
                     if not close(picture.value(number, t + 0.5),
                                  factor * ((992 if t % 2 else 2992) + 8 / factor) / 1e9)]
            tap.equal(wrong, [], f'node: {title}: each second by itself')


def gaps_of_the_node(tap):
    """A restart, a death and clocks that go back are gaps, not numbers"""
    requests = [100, 200, 300, 50, 150, 250, 350, 450, 550, 650, 750, 850]
    scrapes = [scrape(t + 1, n, {1000: n}) for t, n in enumerate(requests)]
    scrapes[7]['alive'] = False  # last numbers of a dead one
    for line in scrapes[10:]:
        line['node'] = {'started': recorded.START + 10}
    scrapes.insert(5, scrape(1.5, 240, {1000: 240}))
    with Folder() as folder:
        page, _ = page_of(tap, 'gaps', folder.run(scrapes=scrapes))
        picture = Picture(page, 'Requests and operations')
        drawn = [t for t in (2.5, 3.5, 4.5, 5.5, 6.5, 8.5, 9.5, 10.5, 11.5)
                 if picture.value(0, t) is not None]
        tap.equal(drawn, [2.5, 6.5], 'gaps: only where a line joins two intervals of one life')
        high = max(y for _, _, y in picture.lines[0])
        tap.ok(high < 223.6, 'gaps: nothing below zero', high)
        # Without buckets there are means, and how to have more.
        for line in scrapes:
            for one in line['total']['histograms'].values():
                one.pop('buckets', None)
        page, _ = page_of(tap, 'no buckets', folder.run(scrapes=scrapes))
        picture = Picture(page, 'Execution of a request', logarithmic=True)
        tap.ok(picture.titles == ['mean'] and close(picture.value(0, 2.5), 1008e-9) and
               '--buckets' in page, 'no buckets: the mean', picture.titles)
        # Of another day, or of nobody alive.
        for name, other in (('another day', [scrape(t + 90000, t) for t in range(5)]),
                            ('dead', [scrape(t, t, alive=False) for t in range(5)]),
                            ('one scrape', [scrape(3, 5)]), ('empty', [])):
            page, _ = page_of(tap, name, folder.run(scrapes=other))
            tap.ok('has no two scrapes of a living node' in page, f'{name}: it says so')
        page, _ = page_of(tap, 'no scrapes', folder.run())
        tap.ok('<h2>The node' not in page, 'no scrapes: nothing about the node')
        nothing = [scrape(t, 0) for t in range(5)]
        page, _ = page_of(tap, 'an idle node', folder.run(scrapes=nothing))
        tap.equal(page.count('Nothing was measured'), 5, 'an idle node: no empty pictures')
        cut = ''.join(json.dumps(line) + '\n' for line in scrapes)[:-30]
        page, said = page_of(tap, 'cut', folder.run(scrapes=cut))
        tap.ok('stats.jsonl:13: is cut short and left out' in said,
               'cut: the last line is left out', said)


def few_seconds(tap):
    """Less than two seconds, none, no transaction, only aborted ones; flat lines and zeros"""
    flat = [second(t, 500, 100) for t in range(5)]
    for line in flat:
        line['latency_us'] = dict.fromkeys(line['latency_us'], 100)
    silent = [second(t, 0, 1, latency_us=None, errors=9) for t in range(5)]
    zeros = [second(t, 500, 0) for t in range(5)]
    none = {'unit': 'us', 'count': 0, 'points': []}
    short = 'shorter than two seconds'
    no_latency = 'there are no latencies'
    with Folder() as folder:
        for name, files, says, pictures in (
                ('one second', {'series': [second(0, 5, 100)]}, short, 1),
                ('a bit more', {'series': [second(0, 5, 100), second(1, 0, 1, seconds=0.01)]},
                 short, 1),
                ('nothing', {'series': [], 'percentiles': none}, short, 0),
                ('two seconds', {'series': [second(0, 5, 100), second(1, 5, 100)]}, '', 4),
                ('silence', {'series': silent, 'percentiles': none}, no_latency, 2),
                ('flat', {'series': flat}, '', 4), ('zeros', {'series': zeros}, '', 3)):
            page, _ = page_of(tap, name, folder.run(**files))
            tap.ok(says in page and page.count('<svg') == pictures,
                   f'{name}: {pictures} pictures, and why', page.count('<svg'))
        # A last second of 10 ms with one transaction is no rate of 100/s.
        series = [second(t, 1000, 100) for t in range(5)] + [second(5, 1, 9000, seconds=0.01)]
        page, _ = page_of(tap, 'short end', folder.run(series=series))
        picture = Picture(page, 'Throughput')
        tap.ok(close(picture.value(0, 4.5), 1001 / 1.01, 0.01), 'short end: a part of the last one',
               picture.value(0, 4.5))


def a_long_run(tap):
    """More seconds than points: rates on average, the worst latencies"""
    series = [second(t, 1000 + t % 2, 100) for t in range(5003)]
    series[3333] = second(3333, 1000, 100000)
    with Folder() as folder:
        run = folder.run(series=series, load=load_json(seconds=5003))
        page, _ = page_of(tap, 'long', run)
        picture = Picture(page, 'Latency', logarithmic=True)
        points = [len(line) for line in picture.lines]
        tap.ok(max(points) <= 600 and 'A point stands for 9 seconds' in page, 'long: at most 600',
               points)
        tap.ok(close(picture.highest(0), 0.1) and picture.highest(0, 3400) < 2e-4 and
               picture.highest(0, 0, 3300) < 2e-4, 'long: the one bad second is seen, in its place',
               picture.highest(0))
        picture = Picture(page, 'Throughput')
        tap.ok(close(picture.value(0, 2500), 1000.5, 0.002), 'long: the average',
               picture.value(0, 2500))
        tap.ok(os.path.getsize(f'{run}/report.html') < 200000, 'long: the page stays small')


def numbers(tap):
    """The tables and what comes first"""
    with Folder() as folder:
        page, _ = page_of(tap, 'numbers', folder.run(load=load_json(seconds=90.5)))
        rows = dict(re.findall('<th scope="row">([^<]*)</th><td>([^<]*)</td>', page))
        for label, value in (('committed', '12\u202f345\u202f678'), ('seconds', '90.5'),
                             ('committed per second', '1\u202f234'), ('mean', '150.5'),
                             ('all functions in one packet', 'no'), ('BUSY', '17'),
                             ('share of reads, drawn for each operation', '\u2013'),
                             ('processor', 'a processor'), ('kernel', '6.0')):
            tap.equal(rows.get(label), value, f'numbers: {label}')
        tap.ok('<b>1.5 ms</b>' in page and '2026-11-30' in page, 'numbers: units and the day')


def comparison(tap):
    """Several runs on one page: overlaid, and what differs stands out"""
    with Folder() as folder:
        runs = [folder.run(),
                folder.run(series=[second(t, 4000, 300) for t in range(12)],
                           load=load_json(parameters={**load_json()['parameters'], 'keys': 7,
                                                      'rate': 4100}, errors={'TIMEOUT': 3})),
                folder.run(scrapes=[scrape(t, t) for t in range(5)])]
        out = f'{folder.path}/compared.html'
        page, _ = page_of(tap, 'compare', *runs, '--output', out)
        picture = Picture(page, 'Throughput')
        tap.ok(picture.titles[:3] == ['A committed', 'B committed', 'C committed'] and
               close(picture.value(1, 5.5), 4000, 0.01) and
               close(picture.value(0, 5.5), 1500, 0.01) and picture.value(1, 14) is None,
               'compare: lines of all runs', picture.titles)
        picture = Picture(page, 'Latency', logarithmic=True)
        tap.ok(picture.titles == [f'{run} {name}' for run in 'ABC' for name in ('p50', 'p99')] and
               close(picture.value(3, 5.5), 1500e-6), 'compare: p50 and p99', picture.titles)
        differing = re.findall('<tr class="differs"><th scope="row">([^<]*)', page)
        tap.equal(differing, ['keys', 'rate asked for, per second; 0: as fast as it goes'],
                  'compare: parameters that differ')
        tap.ok('TIMEOUT' in page and 'BUSY' in page, 'compare: errors of each')
        tap.ok('shown when a run is reported alone' in page, 'compare: not the node')
        for arguments, says in (((), 'name the folder'), (runs, '--output'),
                                (runs * 3 + ['-o', out], 'at most 6'),
                                (('--nonsense',), 'nonsense')):
            done = report(*arguments)
            tap.ok(done.returncode == 2 and says in done.stderr.decode(), f'compare: {says}',
                   done.stderr)


def bad_files(tap):
    """Missing, empty, cut, foreign: which file, which line, what is wrong"""
    good = json.dumps(second(0, 1, 1)) + '\n'
    far = json.dumps(second(1, 1, 1))

    def line(**changes):
        return good + json.dumps({**second(1, 1, 1), **changes}) + '\n'

    def without(name):
        broken = second(1, 1, 1)
        del broken[name]
        return good + json.dumps(broken) + '\n'

    def histogram(buckets):
        broken = scrape(2, 5)
        broken['total']['histograms']['service']['buckets'] = buckets
        return [scrape(1, 1), broken]
    cases = (
        ('no load.json', {'load': b''}, ('load.json', 'is empty')),
        ('cut load.json', {'load': json.dumps(load_json())[:-9]}, ('load.json', 'cut short')),
        ('more behind it', {'load': json.dumps(load_json()) + '{}'}, ('load.json', 'no JSON')),
        ('no object', {'load': '[1, 2]'}, ('load.json', 'no JSON object')),
        ('another program\'s', {'load': {'results': []}}, ('no result of `abaft load`',)),
        ('seconds of text', {'load': load_json(seconds='ten')}, ('"seconds" is no number',)),
        ('seconds without end', {'load': json.dumps(load_json()).replace('20.0', '1e999')},
         ('"seconds" is no number',)),
        ('seconds below 0', {'load': load_json(seconds=-1)}, ('"seconds" is no number',)),
        ('NaN', {'load': json.dumps(load_json()).replace('20.0', 'NaN')}, ('no JSON object',)),
        ('huge load.json', {'load': b' ' * (2 << 20)}, ('load.json', 'larger than 1 MiB')),
        ('binary', {'series': os.urandom(300) + b'\n'}, ('series.jsonl:', 'no JSON object')),
        ('deep', {'series': '[' * 100000 + '\n'}, ('series.jsonl:1:', 'no JSON object')),
        ('cut series', {'series': good + far[:-20]}, ('series.jsonl:2:', 'cut short')),
        ('a line is missing', {'series': good + '\n' + far + '\n'}, ('series.jsonl:2:',)),
        ('text for a number', {'series': line(committed='many')}, (':2:', '"committed" is no')),
        ('a member is missing', {'series': without('errors')}, (':2:', 'lacks "errors"')),
        ('no latency', {'series': without('latency_us')}, (':2:', 'lacks "p50"')),
        ('too large', {'series': line(committed=1e19)}, (':2:', '"committed" is no number')),
        ('backwards', {'series': line(t=0)}, (':2:', '"t" does not go on')),
        ('no time', {'series': line(seconds=0)}, (':2:', '"seconds" is 0')),
        ('a line without end', {'series': 'x' * (17 << 20)}, ('series.jsonl:1:', '16 MiB')),
        ('shares go down', {'percentiles': {'count': 2, 'points': [[1, 0.9], [2, 0.5]]}},
         ('percentiles.json', 'point 1')),
        ('shares above 1', {'percentiles': {'count': 2, 'points': [[1, 1.5]]}}, ('point 0',)),
        ('pairs of text', {'percentiles': {'count': 2, 'points': [['a', 'b']]}}, ('point 0',)),
        ('no pairs', {'percentiles': {'count': 2, 'points': [7]}}, ('point 0',)),
        ('no points', {'percentiles': {'count': 2}}, ('no distribution',)),
        ('too many points', {'percentiles': {'count': 2, 'points': [[1, 0.5]] * 70000}},
         ('more than 65536',)),
        ('foreign stats', {'scrapes': [{'time': 1, 'cpu': 2}]}, ('stats.jsonl:1:', 'no line of')),
        ('stats of text', {'scrapes': 'hello\n'}, ('stats.jsonl:1:', 'no JSON object')),
        ('stats without time', {'scrapes': [scrape(1, 1, time=None)]}, ('"time" is no number',)),
        ('buckets overlap', {'scrapes': histogram([[0, 16, 1], [8, 24, 1]])}, (':2:', 'buckets')),
        ('buckets of text', {'scrapes': histogram('none')}, ('stats.jsonl:2:', 'buckets')),
        ('counts below 0', {'scrapes': histogram([[0, 16, -1]])}, ('stats.jsonl:2:', 'buckets')),
    )
    with Folder() as folder:
        for name, files, words in cases:
            refused(tap, f'bad: {name}', folder.run(**files), *words)
        for name in ('load.json', 'series.jsonl', 'percentiles.json'):
            run = folder.run()
            os.unlink(f'{run}/{name}')
            refused(tap, f'bad: no {name}', run, name, 'No such file')
            os.mkdir(f'{run}/{name}')
            refused(tap, f'bad: {name} is a folder', run, name, 'directory')
        refused(tap, 'bad: no folder', f'{folder.path}/none', 'none/load.json', 'No such file')
        done = report(folder.run(), '-o', f'{folder.path}/none/page.html')
        tap.ok(done.returncode == 6 and b'none/page.html' in done.stderr, 'bad: no place for it',
               done.stderr)
        done = report(folder.run(), '-o', '/dev/full/page.html')
        tap.ok(done.returncode == 6, 'bad: a place that is no folder', done.stderr)


def hostile_text(tap):
    """Names and texts of the files are text on the page, whatever they hold"""
    evil = '</title><script>alert("x")</script><b a=\'&amp;'
    errors = {evil: 1, 'x' * 5000: 2, **{f'E{i}': i for i in range(500)}}
    parameters = {**load_json()['parameters'], 'arrivals': evil}
    load = load_json(parameters=parameters, errors=errors, machine={'cpu': evil, 'kernel': evil})
    with Folder() as folder:
        run = folder.run(load=load)
        named = f'{folder.path}/{evil.replace("/", "%")}`id`$(id)\'"'
        os.rename(run, named)
        page, _ = page_of(tap, 'hostile', named)
        outline = Outline(page)
        tap.ok(not outline.tags & {'script', 'a'} and evil in outline.texts,
               'hostile: no tag comes of it', outline.tags)
        tap.ok(page.count('<tr>') < 120 and 'x' * 300 not in page, 'hostile: bounded')
        tap.ok(not re.search(r'(?:src|href)=|https?://(?!www\.w3\.org/)|url\(|@import', page),
               'hostile: nothing is loaded from anywhere')
        raw = json.dumps(load_json()).replace('a processor', '\x00\xff').encode('latin-1')
        run = folder.run(load=raw.replace(b'\x00', b'\x7f\\u0001'))
        page, _ = page_of(tap, 'no UTF-8', run)
        tap.ok('\ufffd\ufffd\ufffd' in page, 'hostile: what is no text is replaced')


def gnuplots(tap):
    """gnuplot that is missing, fails, draws nothing; the page that was there stays"""
    with Folder() as folder:
        run = folder.run()
        page_of(tap, 'gnuplot', run)
        before = open(f'{run}/report.html').read()
        for name, script, words in (
                ('missing', None, ('gnuplot-nox',)),
                ('no program', 'not a program', ('gnuplot',)),
                ('fails', '#!/bin/sh\necho out of ink >&2; exit 1\n', ('out of ink',)),
                ('killed', '#!/bin/sh\nkill -9 $$\n', ('signal', 'Killed')),
                ('silent', '#!/bin/sh\nexit 0\n', ('none that can be shown',)),
                ('babbles', '#!/bin/sh\necho hello\n', ('none that can be shown',))):
            tools = f'{folder.path}/{name.replace(" ", "-")}'
            os.mkdir(tools)
            if script:
                with open(f'{tools}/gnuplot', 'w') as file:
                    file.write(script)
                os.chmod(f'{tools}/gnuplot', 0o755)
            refused(tap, f'gnuplot {name}', run, *words, path=tools)
        tap.equal(open(f'{run}/report.html').read(), before, 'gnuplot: the old page is still there')


FAKE = """#!/bin/sh
echo '<?xml version="1.0"?><svg viewBox="0 0 640 300"><title>x</title><desc>y</desc><g></g></svg>'
"""


def broken_at_random(tap):
    """Files with bytes changed, cut out and doubled: a page or words, and no crash"""
    dice = random.Random(5)
    with Folder() as folder:
        with open(f'{folder.path}/gnuplot', 'w') as file:  # a quick one
            file.write(FAKE)
        os.chmod(f'{folder.path}/gnuplot', 0o755)
        run = folder.run(series=[second(t, 10 + t, 100) for t in range(4)],
                         percentiles=distribution(20),
                         scrapes=[scrape(t, 10 * t, {1000: t, 5000: 2 * t}) for t in range(5)])
        files = {name: open(f'{run}/{name}', 'rb').read() for name in os.listdir(run)}
        made = said = 0
        bad = []
        for number in range(200):
            name = dice.choice(sorted(files))
            text = bytearray(files[name])
            for _ in range(dice.choice((1, 1, 2, 5))):
                at = dice.randrange(len(text))
                what = dice.randrange(4)
                if what == 0:
                    text[at] = dice.choice(b'0123456789-.eE[]{}",:x\x00\xff')
                elif what == 1:
                    del text[at:at + dice.randrange(1, 40)]
                elif what == 2:
                    text[at:at] = text[at:at + dice.randrange(1, 40)]
                else:
                    text[at:at] = dice.choice((b'1e308', b'-1', b'null', b'9' * 400, b'[[[', b'{}'))
                if not text:
                    break
            with open(f'{run}/{name}', 'wb') as file:
                file.write(text)
            done = report(run, path=f'{folder.path}:/usr/bin:/bin')
            if done.returncode == 0:
                made += 1
                outline = Outline(open(f'{run}/report.html', encoding='utf-8').read())
                if outline.wrong:
                    bad.append((number, name, outline.wrong))
            elif done.returncode == 6 and done.stderr.startswith(b'abaft report: '):
                said += 1
            else:
                bad.append((number, name, done.returncode, done.stderr[-300:]))
            with open(f'{run}/{name}', 'wb') as file:
                file.write(files[name])
        tap.equal(bad, [], 'random: neither a crash nor a broken page')
        tap.ok(made > 20 and said > 60, f'random: {made} pages, {said} refusals')


def main():
    if shutil.which('gnuplot') is None:
        skip_all('gnuplot is not there (package gnuplot-nox)')
    tap = Tap()
    for case in (lines_of_the_load, percentile_curve, lines_of_the_node, gaps_of_the_node,
                 few_seconds, a_long_run, numbers, comparison, bad_files, hostile_text, gnuplots,
                 broken_at_random):
        tap.case(case)
    tap.done()


main()
