#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is the compiled core pure? Looks at what its static library needs from outside; prints TAP.

    tests/tidy/purity.py BUILD

Includes can be checked in the source, but a prototype can be written by hand or come with an
innocent header: the symbols do not lie.
"""
import fnmatch
import json
import subprocess
import sys

# Memory at start, bytes, and pure libraries. No clock, randomness, I/O, system call or thread.
MAY_NEED = (
    'calloc', 'malloc', 'aligned_alloc', 'posix_memalign', 'free', 'mmap', 'munmap', 'madvise',
    'memcpy', 'memmove', 'memset', 'memcmp', 'memchr', 'bcmp', 'strlen', 'strnlen', 'snprintf',
    '__memcpy_chk', '__memmove_chk', '__memset_chk', '__snprintf_chk', '__stack_chk_fail',
    '__assert_fail', 'abort', '_GLOBAL_OFFSET_TABLE_', 'ck_*', '_ck_*', 'XXH*',
)


def impure(listing):
    """What a listing of `nm` needs beyond the above and beyond itself."""
    needs, has = set(), set()
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == 'U':
            needs.add(fields[1].split('@')[0])
        elif len(fields) == 3:
            has.add(fields[2])
    return sorted(name for name in needs - has
                  if not any(fnmatch.fnmatchcase(name, pattern) for pattern in MAY_NEED))


def core_library(build):
    run = subprocess.run(['meson', 'introspect', build, '--targets'], stdout=subprocess.PIPE,
                         text=True, check=True)
    for target in json.loads(run.stdout):
        if target['type'] == 'static library' and '/dataplane/core/' in target['defined_in']:
            return target['filename'][0]
    return None


def main(build):
    sample = 'a.o:\n0000 T node_execute\n     U memcpy\n     U clock_gettime\n'
    fires = impure(sample) == ['clock_gettime']
    print('1..2')
    print(f'{"ok" if fires else "not ok"} 1 - a core that reads a clock is found out')
    library = core_library(build)
    if library is None:
        print('ok 2 - the core is pure # SKIP there is no library of dataplane/core yet')
        return 0 if fires else 1
    run = subprocess.run(['nm', library], stdout=subprocess.PIPE, text=True, check=True)
    names = impure(run.stdout)
    print(f'{"not ok" if names else "ok"} 2 - the core is pure')
    for name in names:
        print(f'# {name} is called, or used, in dataplane/core')
    return 0 if fires and not names else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
