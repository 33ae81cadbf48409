#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check behind its set-up: builds the tree four ways, runs the suites, counts the cases.

A stage that builds must succeed, or all ends there. A stage that tests never ends the run: what
failed is printed at the end, with every skip's reason, before the one line that counts.

Suites, not names, decide what runs where: a new test takes part by its suite alone. The suite
`tsan` runs under ThreadSanitizer only. Fuzz targets are the programs named *_fuzz.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from tally import Tally, read

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDS = os.path.join(ROOT, 'build-check')
BUILD_TIMEOUT_S = 900
SUITE_TIMEOUT_S = 2700
OUTPUT_LINES = 60  # of a failing case
PROGRESS = re.compile(r'\[\d+/\d+\] ')  # ninja's

# Sanitizers: any finding ends the process with a failure, none is only printed.
SANITIZERS = {
    'ASAN_OPTIONS': 'abort_on_error=0:detect_leaks=1:strict_string_checks=1:exitcode=99',
    'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1:exitcode=99',
    'TSAN_OPTIONS': 'halt_on_error=1:second_deadlock_stack=1:exitcode=99',
}

# Instrumented code confuses gcc's flow-sensitive warnings: only the plain builds insist.
SANITIZED = ['--buildtype=debugoptimized', '-Dwerror=false']

# name, compiler, meson options, suites to run (None: all but those named), words for people
VARIANTS = (
    ('gcc', 'gcc', ['--buildtype=release'], None, 'gcc, release'),
    ('clang', 'clang-14', ['--buildtype=release', '-Dfuzz=true', '-Db_lundef=false',
                           '-Db_sanitize=address,undefined'], (), 'clang, fuzz targets'),
    ('asan', 'gcc', SANITIZED + ['-Db_sanitize=address,undefined'],
     ('unit', 'fuzz', 'sim'), 'gcc, ASan and UBSan'),
    ('tsan', 'gcc', SANITIZED + ['-Db_sanitize=thread'], ('tsan',), 'gcc, TSan'),
)
NOT_IN_ALL = ('tsan', 'bench')


class BuildFailed(Exception):
    pass


def run(command, timeout_s, **more):
    """Runs a command as a process group of its own; returns its code and its output. The whole
    group ends when time is up or the check is interrupted."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors='replace', start_new_session=True, **more)
    try:
        out, _ = process.communicate(timeout=timeout_s)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        return 124, stop(process) + f'\nstopped after {timeout_s} s'
    except BaseException:
        stop(process)
        raise


def stop(process):
    """meson gets the chance to end its tests, so that they undo what they set up."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            return process.communicate(timeout=30)[0] or ''
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    return ''


class Check:
    def __init__(self, options):
        self.options = options
        self.tally = Tally()
        self.begin = time.monotonic()

    def say(self, text):
        print(f'[{time.monotonic() - self.begin:4.0f} s] {text}', flush=True)

    def build(self, name, compiler, arguments, words):
        self.say(f'build: {words}')
        folder = os.path.join(BUILDS, name)
        environment = dict(os.environ, CC=compiler)
        setup = ['meson', 'setup', folder] + arguments
        # meson does not take all options of a known folder anew: start over when they changed.
        note = os.path.join(folder, 'check-setup')
        if not (os.path.exists(note) and self.note_of(note) == setup):
            shutil.rmtree(folder, ignore_errors=True)
        commands = [] if os.path.exists(note) else [setup]
        for command in commands + [['ninja', '-C', folder]]:
            code, out = run(command, BUILD_TIMEOUT_S, env=environment)
            if code:
                said = [line for line in out.splitlines() if not PROGRESS.match(line)]
                print('\n'.join(said[-OUTPUT_LINES:]))
                raise BuildFailed(f'{words}: {" ".join(command[:2])} failed ({code})')
            if command is setup:
                with open(note, 'w', encoding='utf-8') as file:
                    json.dump(setup, file)
        return folder

    @staticmethod
    def note_of(path):
        with open(path, encoding='utf-8') as file:
            return json.load(file)

    def tests_of(self, folder, suites):
        """The names of the tests to run, each once."""
        run_ = subprocess.run(['meson', 'introspect', folder, '--tests'], cwd=ROOT, check=True,
                              stdout=subprocess.PIPE, text=True)
        names = []
        for test in json.loads(run_.stdout):
            of = {suite.split(':')[-1] for suite in test['suite']}
            wanted = not of & set(NOT_IN_ALL) if suites is None else of & set(suites)
            if wanted and test['name'] not in names:
                names.append(test['name'])
        return names

    def test(self, name, folder, suites, words):
        names = self.tests_of(folder, suites)
        if not names:
            self.say(f'tests: {words}: none in this suite')
            return
        log = os.path.join(folder, 'meson-logs', 'check.json')
        if os.path.exists(log):
            os.unlink(log)
        patience = '6' if name in ('asan', 'tsan') else '3'
        code, out = run(['meson', 'test', '-C', folder, '--no-rebuild', '--logbase', 'check',
                         '-t', patience, '--num-processes', str(os.cpu_count() + 1)] + names,
                        SUITE_TIMEOUT_S, env={'ABAFT_SOAK_S': '30', **os.environ, **SANITIZERS})
        if not os.path.exists(log):
            self.tally.fail(words, f'meson test ended with {code} and logged nothing', out)
            return
        tally = read(log)
        if code and not tally.failed:
            tally.fail(words, f'meson test ended with {code}', out)
        self.tally.add(tally)
        self.say(f'tests: {words}: {len(names)} tests, cases: {tally.line()}')

    def fuzz(self, folder):
        """A short run of every fuzz target, from its committed corpus; findings are failures."""
        run_ = subprocess.run(['meson', 'introspect', folder, '--targets'], cwd=ROOT, check=True,
                              stdout=subprocess.PIPE, text=True)
        targets = [target['filename'][0] for target in json.loads(run_.stdout)
                   if target['type'] == 'executable' and target['name'].endswith('_fuzz')]
        if not targets:
            self.say('fuzz: there are no targets')
        # A target is one thread: as many of them at a time as there are processors.
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for target, ended in zip(targets, pool.map(self.fuzz_target, targets)):
                self.count_fuzz(os.path.basename(target), *ended)

    def fuzz_target(self, target):
        """In a thread of its own: the exit code and the output."""
        name = os.path.basename(target)
        work = os.path.join(BUILDS, 'fuzz', name)
        corpus = os.path.join(ROOT, 'tests', 'fuzz', 'corpus', name.removesuffix('_fuzz'))
        os.makedirs(work, exist_ok=True)
        folders = [work] + ([corpus] if os.path.isdir(corpus) else [])
        seconds = self.options.fuzz_seconds
        return run([target, f'-max_total_time={seconds}', '-timeout=10', '-rss_limit_mb=2048',
                    '-print_final_stats=1', f'-artifact_prefix={work}-'] + folders,
                   seconds + 120, env=dict(os.environ, **SANITIZERS))

    def count_fuzz(self, name, code, out):
        runs = [line.split()[-1] for line in out.splitlines() if 'number_of_executed_units' in line]
        if code or not runs:
            self.tally.fail(name, f'libFuzzer ended with {code}', out)
        else:
            self.tally.passed += 1
        self.say(f'fuzz: {name}: {runs[0] if runs else "no"} inputs in '
                 f'{self.options.fuzz_seconds} s')

    def report(self):
        outputs = {}
        for test, what, output in self.tally.failures:
            print(f'FAILED {test}: {what}')
            if output:
                outputs[(test, output)] = None
        for test, output in outputs:
            print(f'\nthe output of {test}:')
            lines = output.splitlines()
            if len(lines) > OUTPUT_LINES:
                print(f'    ... {len(lines) - OUTPUT_LINES} lines before these')
            for line in lines[-OUTPUT_LINES:]:
                print('    ' + line)
        for test, case, reason in self.tally.skips:
            print(f'skipped {test}: {case}: {reason}')

    def all(self):
        variants = VARIANTS[:1] if self.options.quick else VARIANTS
        for name, compiler, arguments, suites, words in variants:
            folder = self.build(name, compiler, arguments, words)
            if name == 'clang':
                self.fuzz(folder)
            else:
                self.test(name, folder, suites, words)


def main():
    parser = argparse.ArgumentParser(
        prog='tools/check', description='Installs packages, builds, runs all tests. Needs root.')
    parser.add_argument('--quick', action='store_true',
                        help='one build (gcc, release) and its tests; no sanitizers, no fuzzing')
    parser.add_argument('--fuzz-seconds', type=int, default=7, metavar='N',
                        help='how long each fuzz target runs (default 7)')
    check = Check(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        check.all()
    except BuildFailed as error:
        check.tally.fail('build', str(error))
    check.report()
    check.say('done')
    print(check.tally.line(), flush=True)
    return 1 if check.tally.failed or not check.tally.passed else 0


if __name__ == '__main__':
    sys.exit(main())
