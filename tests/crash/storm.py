# SPDX-License-Identifier: Apache-2.0
"""storm.py - storm.c from Python: what the crash tests have in common."""
import os
import select
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
ANSWER_S = 60
ADDRESS = os.environ.get('ABAFT_ADDRESS', '127.0.0.1')
FAULTS = ('lost', 'partial', 'mixed', 'undead', 'contradicts', 'twice', 'fractured', 'dirty',
          'errors')


def bad(checked):
    """What is wrong in the answer to `check` or `all`; nothing, if all is well."""
    return {name: checked[name] for name in FAULTS if checked[name]}


class Storm:
    def __init__(self, seed, *more):
        program = os.environ.get('ABAFT_STORM', f'{ROOT}/build/tests/crash/storm')
        self.process = subprocess.Popen([program, ADDRESS, '7400', str(seed), *more],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, word):
        os.write(self.process.stdin.fileno(), word.encode() + b'\n')

    def answer(self):
        """Its next line, as a dictionary of numbers."""
        if not select.select([self.process.stdout], [], [], ANSWER_S)[0]:
            raise TimeoutError('the storm does not answer')
        words = self.process.stdout.readline().split()
        return {words[i].decode(): int(words[i + 1]) for i in range(0, len(words), 2)}

    def ask(self, word):
        self.say(word)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
