# SPDX-License-Identifier: Apache-2.0
"""What may not be written: calls with known defects, idioms that hide bugs, names that say nothing.

A line that must break such a rule says why: `/* tidy: allow, because ... */` on the same line.
"""
import os
import re

from tree import code_only

CODE = ('include/', 'bpf/', 'dataplane/', 'control/', 'client/', 'tools/', 'tests/', 'bench/')
SHIPPED = ('include/', 'bpf/', 'dataplane/', 'control/', 'client/', 'tools/')
# Not bpf: its loader needs volatile globals, and its programs share memory with nobody by them.
THREADED = ('include/', 'dataplane/', 'control/', 'client/', 'tools/')

# (where, what, why and what instead)
BANNED = (
    (CODE, r'\bck_ht_\w+', 'ck_ht loses and doubles entries in Concurrency Kit 0.7.1'),
    (CODE, r'\bck_fifo_mpmc_\w+', 'ck_fifo_mpmc is not linearizable in Concurrency Kit 0.7.1'),
    (CODE, r'\bck_stack_batch_pop_mpmc\w*', 'its ABA defect is in Concurrency Kit 0.7.1'),
    (CODE, r'\bck_array_\w+', 'ck_array iterates wrongly in Concurrency Kit 0.7.1'),
    (CODE, r'\bCK_\w+_SWAP\b', 'swapping ck_queue lists is broken in Concurrency Kit 0.7.1'),
    (THREADED, r'(?<!asm )(?<!asm__ )\bvolatile\b',
     'volatile orders nothing between threads: use C11 atomics or ck_pr_*'),
    (CODE, r'\b(sprintf|vsprintf|strcpy|strcat|strncpy|strncat|gets)\s*\(',
     'unbounded or unterminated: use snprintf or memcpy with a checked length'),
    (SHIPPED, r'\b(atoi|atol|atoll|atof)\s*\(', 'cannot report an error: use strtoull and check'),
    (CODE, r'\b(strtok|localtime|gmtime|asctime|ctime|rand|srand)\s*\(',
     'hidden state: use the _r form, or a generator passed as an argument'),
    (CODE, r'\balloca\s*\(', 'unbounded stack'),
    (SHIPPED, r'^\s*typedef\s+(struct|union|enum)\b', 'structs keep their struct'),
    (('dataplane/core/',),
     r'\b(printf|fprintf|puts|fopen|open|read|write|time|clock_gettime|gettimeofday|getenv|random)'
     r'\s*\(', 'core is pure: no I/O, clock or randomness'),
    (('dataplane/core/', 'dataplane/net/', 'dataplane/log/'), r'\b(realloc|strdup|asprintf)\s*\(',
     'memory is allocated once, at start, in its final size'),
    (('dataplane/',), r'\b(getenv|system|popen)\s*\(', 'the data plane asks its configuration'),
)
NAMES = re.compile(r'(^|[_-])(utils?|helpers?|misc|common|stuff)([_.-]|$)')
ALLOW = re.compile(r'tidy: allow, because \w+')


def banned(tree):
    """No banned call, idiom or declaration in the code."""
    found = []
    for path in tree.sources():
        lines = tree.lines(path)
        for number, line in enumerate(code_only(tree.text(path)).splitlines(), 1):
            for where, what, why in BANNED:
                match = path.startswith(where) and re.search(what, line)
                if match and not ALLOW.search(lines[number - 1]):
                    found.append(f'{path}:{number}: {match.group(0).strip()}: {why}')
    return found


def names(tree):
    """Files are nouns: no utils, helpers, misc or common."""
    return [f'{path}:1: the name says nothing; name it for what it is'
            for path in tree.sources() + tree.scripts() if NAMES.search(os.path.basename(path))]
