# SPDX-License-Identifier: Apache-2.0
"""The documentation: links that lead somewhere, pages that can be found."""
import os
import re
import subprocess

LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)(?:\s+"[^"]*")?\)')
FENCE = re.compile(r'^(```|~~~).*?^\1\s*$', re.S | re.M)


def _prose(text):
    return FENCE.sub(lambda match: '\n' * match.group(0).count('\n'), text)


def _links(tree, path):
    """(line, path from the root, part behind #) of the relative links of a page."""
    for number, line in enumerate(_prose(tree.text(path)).splitlines(), 1):
        for target in LINK.findall(re.sub(r'`[^`]*`', '', line)):
            if re.match(r'[a-z]+:', target):
                continue
            name, _, anchor = target.partition('#')
            base = os.path.dirname(path)
            yield number, os.path.normpath(os.path.join(base, name)) if name else path, anchor


def _anchors(text):
    """The names GitHub gives to headings."""
    heads = re.findall(r'^#+\s+(.*?)\s*$', _prose(text), re.M)
    return {re.sub(r'[^\w\- ]', '', head.lower()).replace(' ', '-') for head in heads}


def links(tree):
    """Every relative link of every page leads to a file that is there, and to a heading in it."""
    found = []
    for path in tree.pages():
        for number, target, anchor in _links(tree, path):
            if target.startswith('..') or not tree.has(target):
                found.append(f'{path}:{number}: {target} is not there')
            elif anchor and target.endswith('.md') and anchor not in _anchors(tree.text(target)):
                found.append(f'{path}:{number}: {target} has no heading #{anchor}')
    return found


def reachable(tree):
    """README.md leads, over links, to every file of docs and to every other page."""
    seen, queue = set(), ['README.md']
    if not tree.has('README.md'):
        return ['README.md:1: missing']
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        if path.endswith('.md') and path in tree.paths:
            queue += [target for _, target, _ in _links(tree, path)]
    return [f'{path}:1: no link leads here from README.md'
            for path in tree.paths if path not in seen
            and (path.endswith('.md') or path.startswith('docs/'))
            and not path.startswith('tests/fuzz/')]


def examples(tree):
    """The C programs that pages show compile against the public headers."""
    found = []
    for path in tree.pages():
        for match in re.finditer(r'^```c\n(.*?)^```$', tree.text(path), re.S | re.M):
            if '#include <abaft/' not in match.group(1):
                continue
            run = subprocess.run(['gcc', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-x', 'c',
                                  '-fsyntax-only', '-I', tree.full('include'), '-'],
                                 input=match.group(1), text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, check=False)
            if run.returncode:
                line = tree.text(path)[:match.start()].count('\n') + 1
                found.append(f'{path}:{line}: the example does not compile: '
                             + run.stdout.strip().replace('\n', '\n# '))
    return found
