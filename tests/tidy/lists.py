# SPDX-License-Identifier: Apache-2.0
"""Lists that must agree with the code: counters, limits, packages."""
import re

from tree import code_only

TELEMETRY = 'include/abaft/telemetry.h'
LIMITS = 'include/abaft/limits.h'
PACKAGES = 'tools/packages.txt'

# Where each list of counters is counted, the main source first: while that is not there, the room
# is not built yet and has nothing to count.
COUNTED_IN = {
    'ABAFT_STEER_COUNTERS': ('bpf/steer.bpf.c', 'bpf/'),
    'ABAFT_WORKER_COUNTERS': ('dataplane/worker.c', 'dataplane/worker', 'dataplane/net/',
                              'dataplane/xcore/'),
    'ABAFT_LOG_COUNTERS': ('dataplane/worker.c', 'dataplane/worker'),
    'ABAFT_NODE_COUNTERS': ('dataplane/core/node.c', 'dataplane/core/'),
    'ABAFT_ENGINE_COUNTERS': ('dataplane/engine/service.c', 'dataplane/engine/'),
}

# meson's name of a dependency -> the Debian package that brings it.
PACKAGE_OF = {
    'libdpdk': 'libdpdk-dev', 'ck': 'libck-dev', 'liburing': 'liburing-dev',
    'libbpf': 'libbpf-dev', 'libxdp': 'libxdp-dev', 'libisal': 'libisal-dev',
    'inih': 'libinih-dev', 'libcjson': 'libcjson-dev', 'libedit': 'libedit-dev',
    'libxxhash': 'libxxhash-dev', 'cmocka': 'libcmocka-dev', 'libelf': 'libelf-dev',
    'zlib': 'zlib1g-dev', 'libsystemd': 'libsystemd-dev', 'threads': 'gcc',
    'ncurses': 'libncurses-dev', 'libmicrohttpd': 'libmicrohttpd-dev',
    'hiredis': 'libhiredis-dev', 'libcurl': 'libcurl4-openssl-dev', 'openssl': 'libssl-dev',
    'expat': 'libexpat1-dev',
    'bpftool': 'bpftool', 'clang-14': 'clang-14', 'clang': 'clang-14', 'llvm-strip-14': 'llvm-14',
    'python3': 'python3', 'bash': None, 'sh': None,
}


def _room_code(tree, prefixes):
    return [code_only(tree.text(path)) for path in tree.sources() if path.startswith(prefixes)]


def _counted(name, codes):
    """As a member (->name, .name), in a count...() call or macro, by offset, or as KIND_name."""
    pattern = re.compile(r'(?:->|\.)\s*%s\b|(?i:\w*count\w*)\s*\([^;{}]*\b%s\b|_counters,\s*%s\b'
                         r'|\b[A-Z]+_%s\b' % (name, name, name, name))
    return any(pattern.search(code) for code in codes)


def counters(tree):
    """Every counter of telemetry.h is counted somewhere."""
    found = []
    if not tree.has(TELEMETRY):
        return found
    for group, body in re.findall(r'#define (ABAFT_\w+_COUNTERS)\(X\)((?:.*\\\n)*.*\n)',
                                  tree.text(TELEMETRY)):
        if group not in COUNTED_IN:
            found.append(f'{TELEMETRY}:1: {group} has no row in tests/tidy/lists.py')
            continue
        if COUNTED_IN[group][0] not in tree.paths:
            continue
        codes = _room_code(tree, COUNTED_IN[group])
        found += [f'{TELEMETRY}:1: {group}: {name} is never counted; count it or take it out'
                  for name in re.findall(r'\bX\((\w+)\s*,', body) if not _counted(name, codes)]
    return found


def limits(tree):
    """Every limit of limits.h is used by some code, or its comment says that it is reserved."""
    if 'control/main.c' not in tree.paths:
        return 'the daemon, which sets most of them, is not there yet'
    found, previous = [], ''
    codes = [code_only(tree.text(path)) for path in tree.sources() if path != LIMITS]
    own = code_only(tree.text(LIMITS))
    for number, line in enumerate(tree.lines(LIMITS), 1):
        match = re.match(r'#define (ABAFT_\w+)\s+\S', line)
        if match and 'reserved' not in (previous + line).lower():
            word = re.compile(r'\b%s\b' % match.group(1))
            if len(word.findall(own)) < 2 and not any(word.search(code) for code in codes):
                found.append(f'{LIMITS}:{number}: {match.group(1)} bounds nothing; use it, take it '
                             'out, or say in its comment that it is reserved')
        previous = line if line.startswith(('/*', ' *')) else ''
    return found


def packages(tree):
    """What meson looks for is in the list of packages, and the list names nothing twice."""
    if not tree.has(PACKAGES):
        return [f'{PACKAGES}:1: missing']
    listed = [line.split('#')[0].strip() for line in tree.lines(PACKAGES)]
    listed = [name for name in listed if name]
    found = [f'{PACKAGES}:1: {name} is there twice' for name in sorted(set(listed))
             if listed.count(name) > 1]
    for path in tree.builds():
        text = re.sub(r'#.*', '', tree.text(path))
        for name in re.findall(r"\b(?:dependency|find_program)\(\s*'([^']+)'", text):
            if tree.has(name) or name not in PACKAGE_OF:
                if not tree.has(name):
                    found.append(f'{path}:1: {name}: no package known; add it to '
                                 'tests/tidy/lists.py and tools/packages.txt')
            elif PACKAGE_OF[name] and PACKAGE_OF[name] not in listed:
                found.append(f'{path}:1: {name} needs {PACKAGE_OF[name]} in {PACKAGES}')
    return found
