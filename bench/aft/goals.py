# SPDX-License-Identifier: Apache-2.0
"""goals.py - what the evaluation is to show: each a line that says PASS, MISSED or not measured."""
import figures
import paper
import throughput

# Shim-added median latency of the base transaction, one operation after the other.
ADDED = {'redis': 0.10, 's3': 0.05, 'dynamodb': 0.05}


def _line(good, what, found):
    return {'verdict': 'not measured' if good is None else 'PASS' if good else 'MISSED',
            'goal': what, 'found': found}


def _added(evaluation):
    for condition in figures.CONDITIONS:
        for engine in [e for e in evaluation.engines if e in ADDED]:
            for suffix in ('', ' batched'):
                what = (f'abaft{suffix} over {engine} adds at most {100 * ADDED[engine]:.0f} % to '
                        f'the median of the plain store{suffix}, {condition}')
                results = figures.base(evaluation, condition)
                plain = results.get((engine, 'plain' + suffix))
                ours = results.get((engine, 'abaft' + suffix))
                if not plain or not ours:
                    yield _line(None, what, '')
                    continue
                p, a = plain['latency_ms']['p50'], ours['latency_ms']['p50']
                yield _line(a <= (1 + ADDED[engine]) * p, what,
                            f'{p:.3f} ms plain, {a:.3f} ms abaft: {100 * (a / p - 1):+.1f} %')


def _trips(evaluation):
    for engine in evaluation.engines:
        for condition in figures.CONDITIONS:
            ours = figures.base(evaluation, condition).get((engine, 'abaft'))
            what = (f'at most 1 round trip to {engine} for a commit (the paper: '
                    f'{paper.TRIPS_PER_COMMIT}), {condition}')
            if not ours:
                yield _line(None, what, '')
                continue
            found = ours['storage']
            yield _line(found['requests'] <= 1.0005, what,
                        f'{found["trips"]:.3f} groups and {found["requests"]:.3f} requests a '
                        'commit')


def _anomalies(evaluation):
    runs = [result for key, result in evaluation.bench.done.items() if key[0].is_abaft]
    runs += evaluation.bench.others
    bad = [result for result in runs
           if result['system'].startswith('abaft') and (result['anomalies']['all']
                                                        or result['counted']['pairs'])]
    runs = [result for result in runs if result['system'].startswith('abaft')]
    reads = sum(result['anomalies']['all_judged']['reads'] for result in runs)
    yield _line(None if not runs else not bad, 'no anomaly in any run of abaft',
                f'{len(bad)} of {len(runs)} runs with anomalies, {reads} reads judged')


def _throughput(evaluation):
    result = evaluation.results.get('throughput')
    for engine in ('embedded', 'redis'):
        what = (f'one worker core over {engine}: {throughput.GOAL} transactions/s'
                + (', or Redis at its own limit' if engine == 'redis' else ''))
        runs = [r for r in (result or {}).get('runs', ()) if r['engine'] == engine]
        if not runs:
            yield _line(None, what, '')
            continue
        best = max(runs, key=lambda r: r['committed_per_second'])
        good = best['committed_per_second'] >= throughput.GOAL
        if engine == 'redis':
            good = good or best['server_cores'] >= 0.95
        yield _line(good, what, f'{best["committed_per_second"]:.0f}/s with {best["clients"]} '
                    f'clients, Zipf {best["zipf"]}; node {best["node_cores"]:.2f} cores, server '
                    f'{best["server_cores"]:.2f}')


def tell(evaluation):
    """Goals"""
    found = [*_added(evaluation), *_trips(evaluation), *_anomalies(evaluation),
             *_throughput(evaluation)]
    evaluation.say('\nGoals')
    for line in found:
        evaluation.say(f'  {line["verdict"]:12} {line["goal"]}: {line["found"]}')
    return found
