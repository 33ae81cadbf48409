# SPDX-License-Identifier: Apache-2.0
"""figures.py - the evaluation's figures: what is measured for each, and how it is told beside the
paper's. Each takes an Evaluation and returns what goes into its JSON file."""
import dataclasses

import paper
import plot
from cells import System, Workload

HOP_US = 15000  # of one invocation; with it the paper's plain figures come out
PLAIN = {'redis': System('redis'), 's3': System('s3'), 'dynamodb': System('dynamodb')}
ABAFT = System('abaft')
AT_MOST_S = 45  # a point of figures with many: slow stores end with fewer transactions
DIVIDED = {'full': 1, 'quick': 10, 'smoke': 100}  # transactions of each client


@dataclasses.dataclass
class Evaluation:
    bench: object
    engines: list
    size: str  # of DIVIDED
    out: str
    skipped: dict  # engine, or (engine, system) -> reason
    results: dict  # of figures, as they are done
    cold: bool = False

    def load(self, **more):
        load = Workload(cold=self.cold, **more)
        if self.size == 'smoke':
            load = dataclasses.replace(load, clients=min(load.clients, 3),
                                       hop_us=min(load.hop_us, 1000))
        return dataclasses.replace(
            load, transactions=max(10, load.transactions // DIVIDED[self.size]))

    def some(self, full, few):
        """All points of an axis, or a few."""
        return full if self.size == 'full' else few

    def say(self, text=''):
        print(text, flush=True)


# The three conditions under which the base transaction is measured.
CONDITIONS = {
    'as in the paper': (dict(hop_us=HOP_US), True,
                        '10 clients, each function invoked after 15 ms, storage as slow as the '
                        'services, a network to the node'),
    'servers as they are': (dict(), False, '10 clients, no hop, no delay: two cores, all busy'),
    'one client': (dict(clients=1), False, '1 client, no hop, no delay')}


def times(result):
    return result['latency_ms']['p50'], result['latency_ms']['p99']


def _pair(values):
    return f'{values[0]:9.3g} {values[1]:9.3g}' if values else f'{"-":>9} {"-":>9}'


def _possible(evaluation, engine, systems):
    """Those that can be measured; says once of the others why not."""
    found = []
    for system in systems:
        reason = evaluation.bench.missing(system, engine)
        if not reason:
            found.append(system)
        elif (engine, str(system)) not in evaluation.skipped:
            evaluation.skipped[engine, str(system)] = reason
            evaluation.say(f'  {engine} {system}: skipped, {reason}')
    return found


def systems_of(evaluation, engine):
    """All systems over an engine, the store as it is first."""
    found = []
    if engine in PLAIN:
        found += [PLAIN[engine], dataclasses.replace(PLAIN[engine], batched=True)]
    if engine == 'redis':
        found += [System('redis-multi'), System('redis-validated')]
    return _possible(evaluation, engine, found + [ABAFT, System('abaft', batched=True)])


def base(evaluation, condition):
    """Results of the base transaction: {(engine, system): result}."""
    more, delayed, _ = CONDITIONS[condition]
    results = {}
    for engine in evaluation.engines:
        for system in systems_of(evaluation, engine):
            results[engine, str(system)] = evaluation.bench.measure(
                system, engine, evaluation.load(**more), delayed)
    return results


def _note_transactions(evaluation):
    if 'dynamodb' in evaluation.engines:
        said = evaluation.bench.engine('dynamodb').transactions()
        evaluation.say('  dynamodb transactions (the paper: 81.1 and 351 ms, RYW 0, FR 115): not '
                       'measured: ' + (f'the server says {said}' if said else
                                       'no client for them here'))


def fig3(evaluation):
    """Fig. 3: the base transaction end to end"""
    out = {}
    for condition, (_, _, words) in CONDITIONS.items():
        evaluation.say(f'\nFig. 3, {condition}: {words}')
        evaluation.say(f'  {"":28}      median ms, p99 ms     the paper\'s, on Lambda')
        results = base(evaluation, condition)
        for (engine, system), result in results.items():
            theirs = paper.FIG_3.get((engine, system)) if condition == 'as in the paper' else None
            evaluation.say(f'  {engine:9} {system:18} {_pair(times(result))}   {_pair(theirs)}'
                           f'   {result["committed_per_s"]:6.0f}/s, {_faults(result)}')
        _note_transactions(evaluation)
        _added(evaluation, results)
        out[condition] = list(results.values())
        plot.bars(f'{evaluation.out}/fig3-{condition.replace(" ", "-")}.svg',
                  f'Base transaction, {condition}: median, and line to the 99th percentile',
                  'ms', _groups(evaluation, results, condition))
    return out


def _groups(evaluation, results, condition):
    groups = []
    for engine in evaluation.engines:
        values = {s: times(r) for (e, s), r in results.items() if e == engine}
        if condition == 'as in the paper':
            values.update({f'paper: {s.replace("abaft", "AFT")}': t
                           for (e, s), t in paper.FIG_3.items() if e == engine})
        groups.append((engine, values))
    return groups


def _faults(result):
    failed = sum(result['failed'].values())
    retried = result['attempts'] - result['begun']
    return (f'{retried} attempts run again' if retried else 'none run again') + (
        f', {failed} failed: {result["failed"]}' if failed else '')


def _added(evaluation, results):
    """What the shim adds, of medians; and what of it the node says that it waited for storage."""
    for engine in evaluation.engines:
        for ours, theirs in (('abaft', 'plain'), ('abaft batched', 'plain batched')):
            if (engine, theirs) not in results or (engine, ours) not in results:
                continue
            a, p = results[engine, ours], results[engine, theirs]
            added = times(a)[0] - times(p)[0]
            durable = a.get('node_phases_us', {}).get('commit_durable', {}).get('p50')
            evaluation.say(
                f'  {engine}: {ours} - {theirs} = {added:+.3f} ms '
                f'({100 * added / times(p)[0]:+.1f} %); of a commit\'s time in the node '
                + (f'{durable / 1e3:.3f} ms are until the storage has it' if durable else
                   'nothing is known'))


def _anomaly_line(result):
    judged = result['anomalies']['all']
    committed = result['anomalies']['committed']
    names = {'read_your_writes': 'RYW', 'fractured_forward': 'FR forward',
             'fractured_backward': 'FR backward', 'repeatable_read': 'RR', 'dirty_read': 'dirty',
             'aborted_read': 'aborted', 'intermediate_read': 'intermediate',
             'dirty_write': 'G0', 'circular_flow': 'G1c', 'lost_commit': 'lost',
             'partial_commit': 'partial'}
    if not judged and not committed:
        return 'clean'
    def words(found):
        return ', '.join(f'{names.get(kind, kind)} {count["transactions"]} txns {count["pairs"]} '
                         'pairs' for kind, count in found.items())
    if committed == judged:
        return words(judged)
    return (f'acknowledged transactions: {words(committed) or "clean"}; with what was run again: '
            f'{words(judged)}')


def table2(evaluation):
    """Table 2: anomalies, counted as the paper does and by the checker"""
    out = {}
    conditions = ('as in the paper', 'servers as they are')
    for condition in conditions[:1 if evaluation.size == 'smoke' else 2]:
        evaluation.say(f'\nTable 2, {condition}: {CONDITIONS[condition][2]}; per 10000 '
                       'transactions by the paper\'s rule, then what `abaft check` finds')
        evaluation.say(f'  {"":28}   RYW     FR | paper: RYW  FR')
        results = base(evaluation, condition)
        for (engine, system), result in results.items():
            scale = 10000 / max(1, result['committed'])
            mine = result['counted']['paper']
            theirs = paper.TABLE_2.get((engine, system), ('-', '-'))
            evaluation.say(f'  {engine:9} {system:18} {mine["ryw"] * scale:5.0f}  '
                           f'{mine["fractured"] * scale:5.0f} | {theirs[0]:>10} {theirs[1]:>3}'
                           f'   {_anomaly_line(result)}')
        _note_transactions(evaluation)
        _metrics(evaluation, results)
        out[condition] = list(results.values())
    return out


def _metrics(evaluation, results):
    """What the paper does not tell."""
    evaluation.say('  also: per commit requests to the storage, bytes written; reads that found '
                   'nothing; attempts run again; reads behind, by versions and ms')
    for (engine, system), result in results.items():
        storage, counted = result['storage'], result['counted']
        stale = counted['stale']
        evaluation.say(
            f'  {engine:9} {system:18} {storage["requests"]:6.2f} '
            f'{storage["bytes_written"]:8.0f} B; {counted["reads_null"]} of {counted["reads"]}; '
            f'{result["attempts"] - result["begun"]} of {result["begun"]}; '
            f'{100 * stale["share"]:.2f} % behind, at most {stale["versions_max"]} versions, p50 '
            f'{stale["ms_p50"]:.2f} ms, p99 {stale["ms_p99"]:.2f} ms')


def fig2(evaluation):
    """Fig. 2: latency of 1, 5 and 10 writes, one client"""
    out = []
    rows = {}
    for engine in evaluation.engines:
        systems = [s for s in systems_of(evaluation, engine)
                   if s.store not in ('redis-multi', 'redis-validated')]
        for system in systems:
            keys = 11
            with evaluation.bench.cell(system, engine, keys, True) as cell:
                for writes in (1, 5, 10):
                    result = cell.measure(evaluation.load(functions=1, writes=writes, reads=0,
                                                          keys=keys, clients=1, distinct=True,
                                                          seconds=AT_MOST_S))
                    rows[engine, str(system), writes] = result
                    out.append(result)
    evaluation.bench.others += out
    evaluation.say('\nFig. 2: one client, no hop, storage as slow as the services; median ms, p99 '
                   'ms of a transaction of so many writes')
    for (engine, system, writes), result in rows.items():
        theirs = paper.FIG_2[writes].get(system) if engine == 'dynamodb' else None
        evaluation.say(f'  {engine:9} {system:14} {writes:2} writes {_pair(times(result))}'
                       + (f'   paper {_pair(theirs)}' if theirs else ''))
    plot.bars(f'{evaluation.out}/fig2.svg', 'Writes of 4 KB by one client: median, and line to the '
              '99th percentile', 'ms',
              [(f'{engine} {writes}', {s: times(r) for (e, s, w), r in rows.items()
                                       if (e, w) == (engine, writes)})
               for engine in evaluation.engines for writes in (1, 5, 10)], log=True)
    return out


def fig4(evaluation):
    """Fig. 4: caching and skew, 100000 keys"""
    keys = evaluation.some(100000, 1000)
    out, rows = [], {}
    for engine in [e for e in evaluation.engines if e != 's3']:
        systems = [ABAFT, System('abaft', cache='1M')]
        if engine in PLAIN:
            systems.insert(0, PLAIN[engine])
        for system in _possible(evaluation, engine, systems):
            with evaluation.bench.cell(system, engine, keys, True) as cell:
                for zipf in (1.0, 1.5, 2.0):
                    result = cell.measure(evaluation.load(keys=keys, zipf=zipf, hop_us=HOP_US,
                                                          seconds=AT_MOST_S))
                    rows[engine, str(system), zipf] = result
                    out.append(result)
    evaluation.bench.others += out
    evaluation.say(f'\nFig. 4: {keys} keys, 10 clients, hop 15 ms; median ms, p99 ms')
    for (engine, system, zipf), result in rows.items():
        theirs = paper.FIG_4.get((engine, system), {}).get(zipf)
        evaluation.say(f'  {engine:9} {system:16} Zipf {zipf} {_pair(times(result))}   paper '
                       f'{_pair(theirs)}   {_anomaly_line(result)}')
    if 's3' in evaluation.engines:
        evaluation.say('  s3: not in the paper\'s figure, and filling it key by key takes an hour')
    plot.bars(f'{evaluation.out}/fig4.svg', f'{keys} keys by skew: median, and line to the 99th '
              'percentile', 'ms',
              [(f'{engine} Zipf {zipf}', {s: times(r) for (e, s, z), r in rows.items()
                                          if (e, z) == (engine, zipf)})
               for engine in evaluation.engines for zipf in (1.0, 1.5, 2.0) if engine != 's3'])
    return out


def _series(evaluation, name, x, loads, theirs, systems):
    """A figure of latencies along some axis: {(engine, system): {x: result}}."""
    rows = {}
    for engine in evaluation.engines:
        for system in _possible(evaluation, engine, systems(engine)):
            for at, load in loads.items():
                rows[engine, str(system), at] = evaluation.bench.measure(
                    system, engine, load, True)
    evaluation.say(f'\n{name}; median ms, p99 ms')
    for (engine, system, at), result in rows.items():
        other = theirs.get(engine, {}).get(at) if system == 'abaft' else None
        evaluation.say(f'  {engine:9} {system:8} {at:4} {x} {_pair(times(result))}   paper '
                       f'{_pair(other)}   {_anomaly_line(result)}')
    series = {}
    for (engine, system, at), result in rows.items():
        series.setdefault(f'{engine} {system}', {})[at] = times(result)[0]
    for engine in evaluation.engines:
        if engine in theirs:
            series[f'paper: AFT over {engine}'] = {a: t[0] for a, t in theirs[engine].items()}
    return rows, series


def _plain_and_abaft(engine):
    return [PLAIN[engine], ABAFT] if engine in PLAIN else [ABAFT]


def fig5(evaluation):
    """Fig. 5: share of reads among 10 operations of one function"""
    keys = evaluation.some(10000, 1000)
    loads = {share: evaluation.load(functions=1, writes=10 - share // 10, reads=share // 10,
                                    keys=keys, zipf=1.5, hop_us=HOP_US, seconds=AT_MOST_S)
             for share in evaluation.some((0, 20, 40, 60, 80, 100), (0, 60, 100))}
    rows, series = _series(evaluation, f'Fig. 5: 10 operations, {keys} keys (the paper: 100000), '
                           'Zipf 1.5, hop 15 ms', '% reads', loads, paper.FIG_5, _plain_and_abaft)
    plot.lines(f'{evaluation.out}/fig5.svg', 'Share of reads: median', '% reads', 'ms', series)
    return list(rows.values())


def fig6(evaluation):
    """Fig. 6: number of functions"""
    loads = {count: evaluation.load(functions=count, hop_us=HOP_US, zipf=1.5,
                                    seconds=AT_MOST_S)
             for count in evaluation.some((1, 2, 4, 6, 8, 10), (1, 2, 6))}
    rows, series = _series(evaluation, 'Fig. 6: functions of 1 write and 2 reads, 1000 keys, Zipf '
                           '1.5, hop 15 ms', 'functions', loads, paper.FIG_6, _plain_and_abaft)
    plot.lines(f'{evaluation.out}/fig6.svg', 'Functions of a transaction: median', 'functions',
               'ms', series)
    return list(rows.values())


def fig7(evaluation):
    """Fig. 7: one node, by number of clients"""
    clients = evaluation.some((1, 10, 20, 30, 40, 50, 75), (1, 10, 50))
    rows = {}
    for engine in evaluation.engines:
        for count in clients if _possible(evaluation, engine, [ABAFT]) else ():
            rows[engine, count] = evaluation.bench.measure(
                ABAFT, engine, evaluation.load(clients=count, zipf=1.5, hop_us=HOP_US,
                                               transactions=1000, seconds=AT_MOST_S),
                True)
    evaluation.say('\nFig. 7: transactions per second of one node with one worker, Zipf 1.5, hop '
                   '15 ms; median ms')
    for (engine, count), result in rows.items():
        theirs = paper.FIG_7.get(engine, {}).get(count, '-')
        evaluation.say(f'  {engine:9} {count:3} clients {result["committed_per_s"]:7.0f}/s, '
                       f'{times(result)[0]:.1f} ms, node used {result["node_cores"]:.2f} cores   '
                       f'paper {theirs}/s   {_anomaly_line(result)}')
    series = {}
    for (engine, count), result in rows.items():
        series.setdefault(f'abaft over {engine}', {})[count] = result['committed_per_s']
    for engine in evaluation.engines:
        if engine in paper.FIG_7:
            series[f'paper: AFT over {engine}'] = paper.FIG_7[engine]
    plot.lines(f'{evaluation.out}/fig7.svg', 'One node: transactions per second', 'clients',
               'transactions per second', series)
    return list(rows.values())
