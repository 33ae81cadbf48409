# SPDX-License-Identifier: Apache-2.0
"""How a file looks: licence line, lengths, columns, white space, clang-format's opinion."""
import os
import re
import subprocess

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
LONG_SWITCH = '/* tidy: long switch */'

APACHE = 'SPDX-License-Identifier: Apache-2.0'
DUAL = 'SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)'


def licence(tree):
    """Every source and script begins with its SPDX line, bpf's with the dual one."""
    found = []
    for path in tree.sources() + tree.scripts():
        lines = tree.lines(path) or ['']
        first = lines[1] if lines[0].startswith('#!') and len(lines) > 1 else lines[0]
        want = DUAL if path.startswith('bpf/') else APACHE
        if want not in first:
            found.append(f'{path}:1: the first line lacks "{want}"')
    return found


def file_length(tree):
    """No source or script is longer than 800 lines."""
    return [f'{path}:{count}: {count} lines, {FILE_LINES_MAX} at most; split it by nouns'
            for path in tree.sources() + tree.scripts()
            for count in [len(tree.lines(path))] if count > FILE_LINES_MAX]


def _functions(tree, paths):
    """(path, name, first line, last line) of every C function, by ctags."""
    if not paths:
        return []
    command = ['ctags', '--languages=C', '--langmap=C:.c.h', '--kinds-C=f', '--fields=ne',
               '--sort=no', '-f', '-', '-L', '-']
    run = subprocess.run(command, cwd=tree.root, input='\n'.join(paths), text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    rows = []
    for line in run.stdout.splitlines():
        fields = line.split('\t')
        where = dict(field.split(':', 1) for field in fields[3:] if ':' in field)
        if not line.startswith('!') and 'end' in where:
            rows.append((fields[1], fields[0], int(where['line']), int(where['end'])))
    return rows


def function_length(tree):
    """No C function is longer than 70 lines, unless it is a long switch and says so."""
    found = []
    for path, name, first, last in _functions(tree, tree.sources()):
        if last - first + 1 <= FUNCTION_LINES_MAX:
            continue
        if LONG_SWITCH not in '\n'.join(tree.lines(path)[first - 1:last]):
            found.append(f'{path}:{first}: {name}() has {last - first + 1} lines, '
                         f'{FUNCTION_LINES_MAX} at most')
    return found


def columns(tree):
    """No line is wider than 100 columns (a tab is 8)."""
    return [f'{path}:{number}: {width} columns, {COLUMNS_MAX} at most'
            for path in tree.sources() + tree.scripts()
            for number, line in enumerate(tree.lines(path), 1)
            for width in [len(line.expandtabs(8))] if width > COLUMNS_MAX]


def white_space(tree):
    """No trailing blanks, no CR, one newline at the end; C is indented by tabs."""
    found = []
    for path in tree.sources() + tree.scripts() + tree.builds() + tree.pages():
        text = tree.text(path)
        if text and not text.endswith('\n') or text.endswith('\n\n'):
            found.append(f'{path}:{text.count(chr(10))}: must end with exactly one newline')
        for number, line in enumerate(text.split('\n'), 1):
            if line != line.rstrip():
                found.append(f'{path}:{number}: blanks at the end of the line')
            if path.endswith(('.c', '.h')) and re.match(r' {8}', line):
                found.append(f'{path}:{number}: indented by blanks; use tabs')
    return found


def clang_format(tree):
    """clang-format 14 would change nothing."""
    paths = tree.sources()
    if not paths:
        return []
    style = 'file:' + tree.full('.clang-format') if tree.has('.clang-format') else 'LLVM'
    run = subprocess.run(['clang-format-14', '--dry-run', '-Werror', f'--style={style}'] + paths,
                         cwd=tree.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False)
    found = {match.group(1): match.group(0)
             for match in re.finditer(r'^([^:\n]+):(\d+):\d+: error: .*$', run.stdout, re.M)}
    if run.returncode and not found:
        return [run.stdout.strip() or 'clang-format-14 failed']
    return [f'{text.split(": error", 1)[0]}: not formatted; run clang-format-14 -i {path}'
            for path, text in found.items()]


def executable(tree):
    """A file with #! can be executed, and only such a file."""
    found = []
    for path in tree.paths:
        if path.endswith(('.c', '.h', '.md', '.py', '.sh', '.build')) or '.' not in path:
            marked = os.access(tree.full(path), os.X_OK)
            shebang = tree.text(path).startswith('#!')
            if marked != shebang:
                wrong = 'begins with #! but lacks the x bit' if shebang else 'x bit without #!'
                found.append(f'{path}:1: {wrong}')
    return found
