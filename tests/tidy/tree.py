# SPDX-License-Identifier: Apache-2.0
"""The project's own files, read once, and what the rules ask about them.

A rule is a function that takes a Tree and returns a list of findings, each a line for people:
"path:line: what is wrong; what to do". No finding means the rule holds. A rule that cannot judge
yet returns its reason, a string, and counts as skipped.
"""
import os
import re
import subprocess

SOURCE_ENDINGS = ('.c', '.h')
SCRIPT_ENDINGS = ('.py', '.sh', '.bt')


class Tree:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.paths = sorted(path for path in self._list() if os.path.isfile(self.full(path)))
        self._texts = {}

    def _list(self):
        """What git knows or would add; without git (a tarball, a sample) every file there is."""
        if os.path.exists(self.full('.git')):
            command = ['git', '-c', 'safe.directory=*', '-C', self.root, 'ls-files', '-z',
                       '--cached', '--others', '--exclude-standard']
            git = subprocess.run(command, stdout=subprocess.PIPE, check=False)
            if git.returncode == 0:
                return [path for path in git.stdout.decode().split('\0') if path]
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders
                          if not name.startswith('build') and name not in ('.git', '__pycache__')]
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in names]
        return found

    def full(self, path):
        return os.path.join(self.root, path)

    def has(self, path):
        return os.path.exists(self.full(path))

    def text(self, path):
        if path not in self._texts:
            with open(self.full(path), encoding='utf-8', errors='replace') as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def lines(self, path):
        return self.text(path).splitlines()

    def sources(self):
        return [path for path in self.paths if path.endswith(SOURCE_ENDINGS)]

    def scripts(self):
        return [path for path in self.paths if path.endswith(SCRIPT_ENDINGS)
                or ('.' not in os.path.basename(path) and self.text(path).startswith('#!'))]

    def pages(self):
        return [path for path in self.paths if path.endswith('.md')]

    def builds(self):
        return [path for path in self.paths if os.path.basename(path) == 'meson.build']


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """C without comments and without what stands in string literals; lines keep their numbers."""
    def blank(match):
        token = match.group(0)
        lines = '\n' * token.count('\n')
        return '""' if token.startswith('"') else lines or ' '
    return _TOKEN.sub(blank, text)
