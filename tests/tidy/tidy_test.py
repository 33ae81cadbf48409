#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that every rule of tidy fires: a bad sample that it must refuse, a good one it must pass.

A sample is a small tree of files in a temporary folder. Prints TAP.
"""
import os
import sys
import tempfile

sys.dont_write_bytecode = True

import lists  # noqa: E402
import pages  # noqa: E402
import rooms  # noqa: E402
import shape  # noqa: E402
import words  # noqa: E402
from tidy import RULES  # noqa: E402
from tree import Tree  # noqa: E402

SPDX = '/* SPDX-License-Identifier: Apache-2.0 */\n'
LONG = 'int f(void)\n{\n' + '\tg();\n' * 80 + '}\n'
NODE = 'dataplane/core/node.c'
TELEMETRY = '#define ABAFT_NODE_COUNTERS(X) \\\n\tX(gets, "t") \\\n\tX(puts, "t")\n'
DAEMON = {'control/main.c': 'int a = ABAFT_ONE;\n'}
LIMITS = '#define ABAFT_ONE 1\n'
PACKAGES = {'tools/packages.txt': 'libck-dev\n'}


def including(path, what, **more):
    return {path: f'#include {what}\n', **more}


# (rule, what the sample shows, its files, does the rule fire)
CASES = [
    (rooms.includes, 'core with a clock', including(NODE, '<time.h>'), True),
    (rooms.includes, 'core with a thread', including(NODE, '<pthread.h>'), True),
    (rooms.includes, 'core with DPDK', including(NODE, '<rte_mbuf.h>'), True),
    (rooms.includes, 'core with io_uring', including(NODE, '<liburing.h>'), True),
    (rooms.includes, 'core with system calls', including(NODE, '<unistd.h>'), True),
    (rooms.includes, 'core with the log',
     {NODE: '#include "dataplane/log/log.h"\n', 'dataplane/log/log.h': ''}, True),
    (rooms.includes, 'core with itself, CK and C',
     {NODE: '#include <string.h>\n#include <ck_epoch.h>\n#include "dataplane/core/node.h"\n',
      'dataplane/core/node.h': ''}, False),
    (rooms.includes, 'net with the log',
     {'dataplane/net/a.c': '#include "dataplane/log/log.h"\n', 'dataplane/log/log.h': ''}, True),
    (rooms.includes, 'the log with net',
     {'dataplane/log/a.c': '#include "dataplane/net/port.h"\n', 'dataplane/net/port.h': ''}, True),
    (rooms.includes, 'the worker with all of them',
     {'dataplane/worker.c': '#include "dataplane/net/port.h"\n#include "dataplane/log/log.h"\n',
      'dataplane/net/port.h': '', 'dataplane/log/log.h': ''}, False),
    (rooms.includes, 'client with core',
     {'client/a.c': '#include "dataplane/core/node.h"\n', 'dataplane/core/node.h': ''}, True),
    (rooms.includes, 'bpf with core',
     {'bpf/a.bpf.c': '#include "dataplane/core/node.h"\n', 'dataplane/core/node.h': ''}, True),
    (rooms.includes, 'tools with control',
     {'tools/a.c': '#include "control/config.h"\n', 'control/config.h': ''}, True),
    (rooms.includes, 'tools with core beside record.h',
     {'tools/a.c': '#include "dataplane/core/node.h"\n', 'dataplane/core/node.h': ''}, True),
    (rooms.includes, 'tools with record.h',
     {'tools/command/a.c': '#include "dataplane/core/record.h"\n',
      'dataplane/core/record.h': ''}, False),
    (rooms.includes, 'tests with everything',
     {'tests/a.c': '#include "dataplane/core/node.h"\n#include <time.h>\n',
      'dataplane/core/node.h': ''}, False),
    (rooms.includes, 'a path that is not from the root',
     {NODE: '#include "index.h"\n', 'dataplane/core/index.h': ''}, True),
    (rooms.includes, 'a header that the build makes',
     {'control/a.c': '#include "control/made.h"\n', 'control/meson.build': "output: 'made.h'\n"},
     False),
    (rooms.includes, 'a source outside every room', {'a.c': ''}, True),
    (rooms.shown, 'no table', {'ARCHITECTURE.md': '# A\n'}, True),
    (rooms.shown, 'the table', {'ARCHITECTURE.md': '\n'.join(rooms.table()) + '\n'}, False),
    (rooms.shown, 'a row too many',
     {'ARCHITECTURE.md': '\n'.join(rooms.table() + ['| `a` | nothing | anything |']) + '\n'}, True),
    (shape.licence, 'none', {NODE: 'int a;\n'}, True),
    (shape.licence, 'a script without one', {'tools/a': '#!/bin/sh\ntrue\n'}, True),
    (shape.licence, 'the wrong one in bpf', {'bpf/a.h': SPDX}, True),
    (shape.licence, 'one', {NODE: SPDX}, False),
    (shape.file_length, '801 lines', {NODE: '\n' * 801}, True),
    (shape.file_length, '800 lines', {NODE: '\n' * 800}, False),
    (shape.function_length, '83 lines', {NODE: LONG}, True),
    (shape.function_length, 'in a header', {'dataplane/core/a.h': 'static inline ' + LONG}, True),
    (shape.function_length, 'an exempt one',
     {NODE: LONG.replace('{\n', '{\n\t/* tidy: long switch */\n')}, False),
    (shape.function_length, '3 lines', {NODE: 'int f(void)\n{\n}\n'}, False),
    (shape.columns, '101', {NODE: 'a' * 101 + '\n'}, True),
    (shape.columns, 'tabs count 8', {NODE: '\t' * 13 + '\n'}, True),
    (shape.columns, '100', {NODE: 'a' * 100 + '\n'}, False),
    (shape.white_space, 'at the end of a line', {NODE: 'int a; \n'}, True),
    (shape.white_space, 'no newline at the end', {NODE: 'int a;'}, True),
    (shape.white_space, 'blanks as indentation', {NODE: '        int a;\n'}, True),
    (shape.white_space, 'clean', {NODE: '\tint a;\n'}, False),
    (shape.clang_format, 'unformatted', {NODE: 'int  a ;\n'}, True),
    (shape.clang_format, 'formatted', {NODE: 'int a;\n'}, False),
    (shape.executable, 'a script without x', {'tools/a': '#!/bin/sh\n'}, True),
    (words.banned, 'ck_ht', {NODE: 'ck_ht_put_spmc(h);\n'}, True),
    (words.banned, 'ck_fifo_mpmc', {NODE: 'ck_fifo_mpmc_enqueue(f);\n'}, True),
    (words.banned, 'batch pop', {NODE: 'ck_stack_batch_pop_mpmc(s);\n'}, True),
    (words.banned, 'ck_array', {NODE: 'ck_array_put(a);\n'}, True),
    (words.banned, 'sprintf', {'tests/a.c': 'sprintf(a, b);\n'}, True),
    (words.banned, 'strcat', {'tools/a.c': 'strcat(a, b);\n'}, True),
    (words.banned, 'volatile', {NODE: 'volatile int a;\n'}, True),
    (words.banned, 'a typedef of a struct', {NODE: 'typedef struct a b;\n'}, True),
    (words.banned, 'a clock in core', {NODE: 'clock_gettime(0, &t);\n'}, True),
    (words.banned, 'realloc in net', {'dataplane/net/a.c': 'p = realloc(p, 1);\n'}, True),
    (words.banned, 'words in comments and strings',
     {NODE: '/* no sprintf() */\nconst char *a = "strcpy(a, b)";\n'}, False),
    (words.banned, 'load-time constants of bpf', {'bpf/a.bpf.c': 'const volatile int a;\n'}, False),
    (words.banned, 'assembly', {NODE: '__asm__ volatile("pause");\n'}, False),
    (words.banned, 'with a reason',
     {NODE: 'volatile int a; /* tidy: allow, because a signal handler sets it */\n'}, False),
    (words.names, 'utils', {'tools/string_utils.c': ''}, True),
    (words.names, 'a noun', {'tools/command/options.c': ''}, False),
    (pages.links, 'to nothing', {'README.md': '[a](docs/none.md)\n'}, True),
    (pages.links, 'to a heading that is not there', {'README.md': '# A\n[a](#b)\n'}, True),
    (pages.links, 'to a heading', {'README.md': '# A b\n[a](#a-b)\n'}, False),
    (pages.links, 'in a code block', {'README.md': '```\n[a](none.md)\n```\n'}, False),
    (pages.reachable, 'a page no link leads to', {'README.md': '', 'docs/a.md': ''}, True),
    (pages.reachable, 'a page behind another one',
     {'README.md': '[a](docs/a.md)\n', 'docs/a.md': '[b](b.md)\n', 'docs/b.md': ''}, False),
    (pages.examples, 'one that does not compile',
     {'include/abaft/a.h': '', 'README.md': '```c\n#include <abaft/a.h>\nint a = b;\n```\n'}, True),
    (pages.examples, 'one that does',
     {'include/abaft/a.h': '', 'README.md': '```c\n#include <abaft/a.h>\nint a;\n```\n'}, False),
    (lists.counters, 'one is never counted',
     {lists.TELEMETRY: TELEMETRY, NODE: 'void f(void)\n{\n\tc->gets++;\n\t/* puts */\n}\n'}, True),
    (lists.counters, 'all are counted',
     {lists.TELEMETRY: TELEMETRY, NODE: 'c->gets++;\nCOUNT(c, puts);\n'}, False),
    (lists.counters, 'counted by an enum of theirs',
     {lists.TELEMETRY: TELEMETRY, NODE: 'return NODE_gets;\nreturn NODE_puts;\n'}, False),
    (lists.limits, 'one bounds nothing',
     {lists.LIMITS: LIMITS + '#define ABAFT_TWO 2\n', **DAEMON}, True),
    (lists.limits, 'one is reserved',
     {lists.LIMITS: LIMITS + '/* Reserved for books. */\n#define ABAFT_TWO 2\n', **DAEMON}, False),
    (lists.packages, 'one is missing', {'meson.build': "dependency('inih')\n", **PACKAGES}, True),
    (lists.packages, 'one is unknown', {'meson.build': "dependency('x')\n", **PACKAGES}, True),
    (lists.packages, 'one is there twice', {'tools/packages.txt': 'git\ngit\n'}, True),
    (lists.packages, 'all are there', {'meson.build': "dependency('ck')\n", **PACKAGES}, False),
]


def findings_of(rule, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, 'w', encoding='utf-8') as file:
                file.write(text)
        return rule(Tree(root))


def main():
    print(f'1..{len(CASES) + 1}')
    failed = 0
    for number, (rule, what, files, fires) in enumerate(CASES, 1):
        findings = findings_of(rule, files)
        good = not isinstance(findings, str) and bool(findings) == fires
        failed += not good
        print(f'{"ok" if good else "not ok"} {number} - {rule.__name__}: {what}')
        if not good:
            print(f'# expected {"findings" if fires else "none"}, got {findings}')
    proven = {rule for rule, _, _, fires in CASES if fires}
    missing = [rule.__name__ for rule in RULES if rule not in proven]
    failed += bool(missing)
    print(f'{"not ok" if missing else "ok"} {len(CASES) + 1} - every rule has a sample it refuses')
    print(f'# without one: {missing}' if missing else '# all have')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
