# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: the one table. ARCHITECTURE.md shows it, and a rule compares the two.

The longest room that a path begins with owns it. `own` are the project's rooms (or single headers)
whose headers the room may include, beside its own. `system` says which headers from outside it may
include: `only` those that match, or all `but` those that match.
"""
import fnmatch
import re

PLAIN_C = ('assert.h', 'endian.h', 'errno.h', 'inttypes.h', 'limits.h', 'stdalign.h',
           'stdatomic.h', 'stdbool.h', 'stddef.h', 'stdint.h', 'stdlib.h', 'string.h')

#        room               own                                               system
ROOMS = (
    ('include/abaft',       (),
     ('only', ('stdbool.h', 'stddef.h', 'stdint.h', 'linux/types.h'))),
    ('bpf',                 ('include/abaft',),
     ('only', ('linux/*', 'bpf/*', 'stdbool.h', 'stddef.h', 'stdint.h'))),
    ('dataplane/core',      ('include/abaft',),
     ('only', PLAIN_C + ('linux/types.h', 'sys/queue.h', 'sys/sdt.h', 'ck_*', 'isa-l/*',
                         'xxhash.h'))),
    ('dataplane/log',       ('include/abaft', 'dataplane/core'),
     ('but', ('rte_*', 'bpf/*'))),
    ('dataplane/net',       ('include/abaft', 'dataplane/core', 'bpf'),
     ('but', ('liburing.h',))),
    ('dataplane/xcore',     ('include/abaft', 'dataplane/core'),
     ('but', ('rte_*', 'liburing.h', 'bpf/*'))),
    ('dataplane/engine',    ('include/abaft', 'dataplane/core'),
     ('but', ('rte_*', 'bpf/*'))),
    ('dataplane/remote',    ('include/abaft', 'dataplane/core', 'dataplane/log',
                             'dataplane/engine'),
     ('but', ('rte_*', 'liburing.h', 'bpf/*', 'ck_*'))),
    ('dataplane/book',      ('include/abaft', 'dataplane/core'),
     ('but', ('rte_*', 'bpf/*'))),
    ('dataplane',           ('include/abaft', 'dataplane/core', 'dataplane/log', 'dataplane/net',
                             'dataplane/xcore', 'dataplane/engine', 'dataplane/book', 'bpf'),
     ('but', ('liburing.h',))),
    ('telemetry',           ('include/abaft',),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('control',             ('include/abaft', 'telemetry', 'dataplane', 'dataplane/core',
                             'dataplane/log', 'dataplane/net', 'dataplane/xcore',
                             'dataplane/engine', 'dataplane/remote', 'bpf'),
     ('but', ('liburing.h',))),
    ('client',              ('include/abaft',),
     ('but', ('rte_*', 'liburing.h', 'ck_*', 'bpf/*'))),
    ('tools/command',       ('include/abaft', 'dataplane/log', 'dataplane/core/outcome.h',
                             'dataplane/core/place.h', 'dataplane/core/record.h',
                             'dataplane/core/snapshot.h'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tools/history',       ('include/abaft', 'tools/command'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tools/load',          ('include/abaft', 'tools/command', 'tools/history'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tools/report',        ('include/abaft', 'tools/command'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tools/demo',          ('include/abaft', 'tools/command', 'tools/history'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tools/backup',        ('include/abaft', 'dataplane/log', 'dataplane/core/hlc.h',
                             'dataplane/core/place.h', 'dataplane/core/record.h',
                             'dataplane/core/snapshot.h', 'tools/command'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tools/telemetry',     ('include/abaft', 'telemetry', 'tools/command', 'bpf'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tools',               ('include/abaft', 'tools/command'),
     ('but', ('rte_*', 'liburing.h', 'ck_*'))),
    ('tests',               ('*',), ('but', ())),
    ('bench',               ('*',), ('but', ())),
)

# Single files that may include what their room may not, each with its reason.
EXCEPTIONS = {}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    best = None
    for room in ROOMS:
        if path.startswith(room[0] + '/') and (best is None or len(room[0]) > len(best[0])):
            best = room
    return best


def _project_path(tree, form, name):
    """The project's path of an included header, None if it comes from outside."""
    if form == '<':
        return 'include/' + name if name.startswith('abaft/') else None
    if name.endswith('.skel.h'):  # made by bpftool from a program of bpf
        return 'bpf/' + name.rsplit('/', 1)[-1]
    return name


def _generated(tree, target):
    """Made by the build: its folder's meson.build names it."""
    folder, name = target.rsplit('/', 1) if '/' in target else ('.', target)
    build = f'{folder}/meson.build'
    return tree.has(build) and f"'{name}'" in tree.text(build)


def _allowed(room, target):
    name, own, _ = room
    if '*' in own or target in own:
        return True
    owner = room_of(target)
    return owner is not None and (owner[0] == name or owner[0] in own)


def _system_allowed(room, name):
    mode, patterns = room[2]
    hit = any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    return hit if mode == 'only' else not hit


def includes(tree):
    """Sources include only what the table allows, project headers by their path from the root."""
    found = []
    for path in tree.sources():
        room = room_of(path)
        if room is None:
            found.append(f'{path}:1: belongs to no room; see tests/tidy/rooms.py')
            continue
        for number, line in enumerate(tree.lines(path), 1):
            match = INCLUDE.match(line)
            if not match or match.group(2) in EXCEPTIONS.get(path, ()):
                continue
            form, name = match.groups()
            target = _project_path(tree, form, name)
            if target is None:
                if not _system_allowed(room, name):
                    found.append(f'{path}:{number}: {room[0]} may not include <{name}>')
            elif not tree.has(target) and not _generated(tree, target):
                found.append(f'{path}:{number}: "{name}" is no path from the root')
            elif not _allowed(room, target):
                found.append(f'{path}:{number}: {room[0]} may not include {target}')
    return found


def table():
    """The table as ARCHITECTURE.md shows it."""
    rows = ['| room | may include of ours, beside itself | from outside |', '|---|---|---|']
    for name, own, (mode, patterns) in ROOMS:
        ours = 'everything' if '*' in own else ', '.join(f'`{room}`' for room in own) or 'nothing'
        names = ', '.join(f'`{pattern}`' for pattern in patterns)
        outside = 'anything'
        if names:
            outside = names if mode == 'only' else f'anything but {names}'
        rows.append(f'| `{name}` | {ours} | {outside} |')
    return rows


def shown(tree):
    """ARCHITECTURE.md shows the table of rooms as it is."""
    page = 'ARCHITECTURE.md'
    if not tree.has(page):
        return [f'{page}:1: missing']
    text = tree.text(page)
    return [f'{page}:1: lacks the row "{row}"; `tests/tidy/tidy.py --table` prints the table'
            for row in table() if row + '\n' not in text] + [
        f'{page}:{number}: a row that tests/tidy/rooms.py does not have'
        for number, line in enumerate(text.splitlines(), 1)
        if re.match(r'\| `[^`]*` \| .*\| (anything|`)', line) and line not in table()]
