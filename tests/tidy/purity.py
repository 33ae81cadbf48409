#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is the compiled core pure, and are the programs' names their own? Looks at symbols; prints TAP.

    tests/tidy/purity.py BUILD

Includes can be checked in the source, but a prototype can be written by hand or come with an
innocent header: the symbols do not lie. And a function of ours that has the name of one of a
shared library's silently takes its place, in the library's own calls too.
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
    '__assert_fail', 'abort', '_GLOBAL_OFFSET_TABLE_', 'ck_*', '_ck_*', 'XXH*', 'crc32_iscsi',
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


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def targets_of(build, kind, rooms):
    """The files of the targets of a kind in these rooms."""
    targets = json.loads(output_of('meson', 'introspect', build, '--targets'))
    return [target['filename'][0] for target in targets if target['type'] == kind
            and any(f'/{room}/meson.build' in target['defined_in'] for room in rooms)]


def defined(listing):
    """The functions that a listing of `nm` defines for others, weak ones left out."""
    rows = [line.split() for line in listing.splitlines()]
    return {row[2].split('@')[0] for row in rows if len(row) == 3 and row[1] == 'T'}


def taken(program):
    """Names that a program defines although a library that it is linked with does."""
    ours = defined(output_of('nm', program)) - {'_init', '_fini', '_start'}
    found = []
    for line in output_of('ldd', program).splitlines():
        if '=> /' in line:
            library = line.split('=> ')[1].split()[0]
            theirs = defined(output_of('nm', '-D', '--defined-only', library))
            found += [f'{name} of {library}' for name in sorted(ours & theirs)]
    return found


def main(build):
    sample = 'a.o:\n0000 T node_execute\n     U memcpy\n     U clock_gettime\n'
    cores = targets_of(build, 'static library', ['dataplane/core'])
    programs = targets_of(build, 'executable', ['tools', 'control'])
    tests = (
        ('a core that reads a clock is found out',
         [] if impure(sample) == ['clock_gettime'] else ['it is not']),
        ('the core is pure',
         [f'{name} is used in dataplane/core' for core in cores
          for name in impure(output_of('nm', core))] if cores else ['where is its library?']),
        ('no program takes the name of a function of its libraries',
         [f'{program} defines {name}' for program in programs for name in taken(program)]
         if programs else ['where are the programs?']),
    )
    print(f'1..{len(tests)}')
    for number, (name, findings) in enumerate(tests, 1):
        print(f'{"not ok" if findings else "ok"} {number} - {name}')
        for finding in findings:
            print(f'# {finding}')
    return 1 if any(findings for _, findings in tests) else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
