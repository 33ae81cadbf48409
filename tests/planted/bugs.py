# SPDX-License-Identifier: Apache-2.0
"""The planted bugs: what a bug file says, and how its texts are put into a source.

A file bugs/NAME.bug has lines "word: text", then one substitution or more:

    title: one line, what is wrong
    breaks: P1                          promises; or "telemetry", that what is counted is so
    realistic: one sentence, why somebody could write this
    seeds: core_sim 20, log_sim 200     the programs that catch it, in this order, within so many
    file: dataplane/core/readset.c
    old:
    the exact text, which stands once in the file
    new:
    what takes its place; it asks PLANTED(NAME) itself
    end:

Bugs of one source may not overlap: all of them are put into the same copy.
"""
import os
import re

WORDS = ('title', 'breaks', 'realistic', 'seeds', 'file')
HERE = os.path.dirname(os.path.abspath(__file__))


class Wrong(Exception):
    """What is wrong with a bug, as a sentence."""


class Bug:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-len('.bug')]
        self.path = path
        self.substitutions = []  # (file, old, new)
        self.said = {}
        self._parse()
        self._check()

    def _parse(self):
        with open(self.path, encoding='utf-8') as file:
            lines = file.read().split('\n')
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            if line == 'old:':
                old, at = self._block(lines, at, 'new:')
                new, at = self._block(lines, at, 'end:')
                self.substitutions.append((self.said.get('file'), old, new))
            elif line:
                word, _, text = line.partition(': ')
                if word not in WORDS or not text:
                    raise Wrong(f'{self.name}.bug: the line "{line}" says nothing known')
                self.said[word] = text

    def _block(self, lines, at, end):
        if end not in lines[at:]:
            raise Wrong(f'{self.name}.bug: a text has no end, "{end}"')
        last = lines.index(end, at)
        return '\n'.join(lines[at:last]) + '\n', last + 1

    def _check(self):
        for word in WORDS:
            if word not in self.said:
                raise Wrong(f'{self.name}.bug lacks a line "{word}: ..."')
        if not self.substitutions:
            raise Wrong(f'{self.name}.bug changes nothing')
        if not any(f'PLANTED({self.name})' in new for _, _, new in self.substitutions):
            raise Wrong(f'{self.name}.bug never asks PLANTED({self.name}): '
                        'it would be there always')
        if not re.fullmatch(r'P\d+(, P\d+)*|telemetry', self.said['breaks']):
            raise Wrong(f'{self.name}.bug breaks no promise: "{self.said["breaks"]}"')
        self.programs()

    def programs(self):
        """(program, seeds) in the order in which they are asked."""
        found = []
        for item in self.said['seeds'].split(', '):
            match = re.fullmatch(r'(\w+) (\d+)', item)
            if not match:
                raise Wrong(f'{self.name}.bug: "seeds: {self.said["seeds"]}" names no programs')
            found.append((match.group(1), int(match.group(2))))
        return found

    def files(self):
        return {file for file, _, _ in self.substitutions}


def read_all(folder=os.path.join(HERE, 'bugs')):
    names = sorted(name for name in os.listdir(folder) if name.endswith('.bug'))
    return [Bug(os.path.join(folder, name)) for name in names]


def plant(bugs, file, text):
    """The source with the bugs of that file in it."""
    places = []
    for bug in bugs:
        for path, old, new in bug.substitutions:
            if path != file:
                continue
            if text.count(old) != 1:
                raise Wrong(f'the planted bug {bug.name} no longer fits {file}: its old text is '
                            f'there {text.count(old)} times; look at '
                            f'tests/planted/bugs/{bug.name}.bug')
            places.append((text.index(old), len(old), new, bug.name))
    places.sort()
    out, at = [], 0
    before = None
    for start, length, new, name in places:
        if start < at:
            raise Wrong(f'the planted bugs {before} and {name} change the same lines of {file}')
        out += [text[at:start], f'#line {1 + text.count(chr(10), 0, start)}\n', new,
                f'#line {1 + text.count(chr(10), 0, start + length)}\n']
        at, before = start + length, name
    return ''.join(out) + text[at:]
