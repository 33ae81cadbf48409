# SPDX-License-Identifier: Apache-2.0
"""counting.py - counts anomalies in a history a second time, by itself, in three ways.

    paper       as the functions of the AFT paper count: pairs of reads, no transactions, and of
                fractured reads one direction only across functions
    corrected   both directions across all functions, as pairs and as transactions; reading a key
                twice, reading what was never or not yet committed, and finding nothing, apart
    staleness   how far behind a read was, in versions of its key and in milliseconds

`abaft check` is the judge; this shares no code with it, and shows what the paper's rule makes of
the same run. Reads are those that functions made of the store.

The paper's rule, as its functions have it: each value carries (milliseconds, UUID) and the keys
that its transaction writes; our ids are UUIDv7, which are just that. RYW: a key that this request
has written is read with another id. Fractured: held against each earlier read of the request, this
one's writer also writes the other's key, newer; or the other's writer writes this key, newer. What
function 1 read reaches function 2 without its list of keys, so across functions only the first of
these is seen. A key belongs to its own list: reading it twice with another's newer value counts. In
AFT an id is also the order of commits; where commits have versions of their own, "newer" is by
these.
"""
import os
from bisect import bisect_left

PRELOAD = 'preload'


class Read:
    __slots__ = ('key', 'writer', 'number', 'time', 'with_keys', 'at', 'step')


class Write:
    __slots__ = ('key', 'number', 'time', 'at', 'step')


class Transaction:
    __slots__ = ('id', 'client', 'steps', 'ops', 'committed', 'version', 'end', 'last_start',
                 'attempts', 'run')


def _number(text):
    return tuple(int(part) for part in text.split('.'))


def _operation(text, at, step):
    kind, key, rest = text.split(',', 2)
    if kind == 'w':
        write = Write()
        number, time = rest.split(',')
        write.key, write.number, write.time = key, _number(number), int(time)
        write.at, write.step = at, step
        return write
    read = Read()
    read.key, read.at, read.step = key, at, step
    seen = rest.split(',', 1)[1]
    read.writer = None
    if seen not in '-?':
        writer, number, time, _, with_keys = seen.split('/')
        read.writer, read.number, read.time = writer, _number(number), int(time)
        read.with_keys = frozenset(with_keys.split(','))
    return read


def _times(path):
    times = {}
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                txn, step, attempt, *at = line.split()
                times[txn, int(step), int(attempt)] = [int(t) for t in at]
    return times


def read(paths):
    """All transactions of some histories, by id; `run` is the number of the file."""
    found = {}
    for run, path in enumerate(paths):
        times = _times(path + '.times')
        with open(path) as file:
            for line in file:
                if line[0] == 'T':
                    _line(found, line.rstrip('\n').split(' '), times, run)
    for txn in found.values():
        _settle(txn)
    return found


def _line(found, fields, times, run):
    _, name, client, step, attempt, start, end, outcome, version, *ops = fields
    txn = found.get(name)
    if txn is None:
        txn = found[name] = Transaction()
        txn.id, txn.client, txn.steps, txn.attempts, txn.run = name, client, {}, 0, run
    step, attempt = int(step), int(attempt)
    txn.attempts = max(txn.attempts, attempt + 1)
    if step in txn.steps and txn.steps[step][0] > attempt:
        return
    at = times.get((name, step, attempt), [])
    parsed = [_operation(text, at[i] if i < len(at) else int(start), step)
              for i, text in enumerate(ops)]
    txn.steps[step] = (attempt, int(start), int(end), outcome, version, parsed)


def _settle(txn):
    last = txn.steps[max(txn.steps)]
    txn.committed = last[3] in ('committed', 'repeated')
    txn.version = _number(last[4]) if last[4] != '-' else None
    txn.last_start, txn.end = last[1], last[2]
    txn.ops = [op for step in sorted(txn.steps) for op in txn.steps[step][5]]


def paper(txn, order):
    """(RYW, fractured) of one transaction by the paper's rule."""
    def newer(one, other):
        versions = order.commits.get(one.writer), order.commits.get(other.writer)
        return versions[0] > versions[1] if all(versions) else one.writer > other.writer

    ryw = fractured = 0
    own, seen = set(), []
    for op in txn.ops:
        if isinstance(op, Write):
            own.add(op.key)
            continue
        if op.writer is None:
            continue
        ryw += op.key in own and op.writer != txn.id
        if op.writer == txn.id:
            continue
        for other in seen:
            if other.key in op.with_keys and newer(op, other):
                fractured += 1
            elif (other.step == op.step and op.key in other.with_keys
                  and newer(other, op)):
                fractured += 1
        seen.append(op)
    return ryw, fractured


class Order:
    """Which of two writes of a key is newer: by version where there are versions, else by time."""

    def __init__(self, found):
        self.written = {}
        self.commits = {txn.id: txn.version for txn in found.values()}
        for txn in found.values():
            for op in txn.ops:
                if isinstance(op, Write):
                    self.written[txn.id, op.key] = txn.version or (op.time,)
        self.versions = {}
        for (name, key), place in self.written.items():
            txn = found[name]
            if txn.committed:
                self.versions.setdefault(key, []).append((place, txn.end))
        for places in self.versions.values():
            places.sort()

    def of(self, writer, key):
        return self.written.get((writer, key))


def _pair(order, first, second):
    """Of two reads of different keys, the second later: is it fractured, and in which way?"""
    mine = order.of(first.writer, second.key)
    seen = order.of(second.writer, second.key)
    if mine and seen and seen < mine and first.writer != second.writer:
        return 'forward'
    mine = order.of(second.writer, first.key)
    seen = order.of(first.writer, first.key)
    if mine and seen and seen < mine and first.writer != second.writer:
        return 'backward'
    return None


def corrected(txn, order, found):
    """{kind: instances} of one transaction."""
    counts = {}
    own, seen, last = {}, [], {}

    def count(kind):
        counts[kind] = counts.get(kind, 0) + 1

    for op in txn.ops:
        if isinstance(op, Write):
            own[op.key] = op.number
            last.pop(op.key, None)
            continue
        if op.writer is None:
            count('null')
            continue
        if op.key in own:
            if op.writer != txn.id or op.number != own[op.key]:
                count('ryw')
        elif op.key in last and last[op.key] != (op.writer, op.number):
            count('repeatable')
        repeated = last.get(op.key) == (op.writer, op.number)
        last[op.key] = (op.writer, op.number)
        if op.writer == txn.id or repeated:
            continue
        writer = found.get(op.writer)
        if writer is not None and not writer.committed:
            count('aborted')
        elif writer is not None and txn.steps[op.step][2] < writer.last_start:
            count('dirty')
        for other in seen:
            kind = other.key != op.key and _pair(order, other, op)
            if kind:
                count(kind)
        seen.append(op)
    return counts


def staleness(txn, order):
    """(versions behind, ms behind) of each read of the transaction whose writer is known. A version
    counts from when its writer was told that it is committed."""
    for op in txn.ops:
        if not isinstance(op, Read) or op.writer in (None, txn.id):
            continue
        place = order.of(op.writer, op.key)
        places = order.versions.get(op.key, [])
        if place is None:
            continue
        ends = [end for p, end in places[bisect_left(places, (place,)):]
                if p > place and end < op.at]
        yield len(ends), (op.at - min(ends)) / 1e3 if ends else 0.0


def _share(values, part):
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0


def judge(paths):
    """The counts of the last of the histories, over what all of them wrote."""
    found = read(paths)
    order = Order(found)
    result = {'paper': {'ryw': 0, 'fractured': 0}, 'pairs': {}, 'transactions': {},
              'transactions_anomalous': 0}
    behind = []
    reads = nulls = 0
    for txn in found.values():
        if txn.run != len(paths) - 1 or txn.client.startswith(PRELOAD) or not txn.committed:
            continue
        ryw, fractured = paper(txn, order)
        result['paper']['ryw'] += ryw
        result['paper']['fractured'] += fractured
        counts = corrected(txn, order, found)
        reads += sum(isinstance(op, Read) for op in txn.ops)
        nulls += counts.pop('null', 0)
        result['transactions_anomalous'] += bool(counts)
        for kind, count in counts.items():
            result['pairs'][kind] = result['pairs'].get(kind, 0) + count
            result['transactions'][kind] = result['transactions'].get(kind, 0) + 1
        behind.extend(staleness(txn, order))
    stale = sorted(ms for versions, ms in behind if versions)
    result['reads'], result['reads_null'] = reads, nulls
    result['stale'] = {
        'share': len(stale) / len(behind) if behind else 0,
        'versions_mean': sum(v for v, _ in behind) / len(behind) if behind else 0,
        'versions_max': max((v for v, _ in behind), default=0),
        'ms_p50': _share(stale, 0.5), 'ms_p99': _share(stale, 0.99)}
    return result
