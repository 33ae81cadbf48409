# SPDX-License-Identifier: Apache-2.0
"""storm.py - storm.c from Python: what the crash tests have in common."""
import os
import select
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
ANSWER_S = 60  # without an answer and without progress
ADDRESS = os.environ.get('ABAFT_ADDRESS', '127.0.0.1')
FAULTS = ('lost', 'partial', 'mixed', 'undead', 'contradicts', 'twice', 'fractured', 'dirty',
          'errors')


def bad(checked):
    """What is wrong in the answer to `check` or `all`; nothing, if all is well."""
    return {name: checked[name] for name in FAULTS if checked[name]}


class Storm:
    """`slots`: how many keys there will be, three for each on average; `more`: "fresh"."""

    def __init__(self, seed, slots, *more):
        program = os.environ.get('ABAFT_STORM', f'{ROOT}/build/tests/crash/storm')
        self.process = subprocess.Popen([program, ADDRESS, '7400', str(seed), str(slots), *more],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.progress = 0

    def alive(self):
        return self.process.poll() is None

    def say(self, word):
        os.write(self.process.stdin.fileno(), word.encode() + b'\n')

    def _line(self):
        """Its next line. Who waits in vain ends it: what it would say later is no answer to what it
        would be asked then, and it may still be busy with nodes that were killed meanwhile."""
        if not select.select([self.process.stdout], [], [], ANSWER_S)[0]:
            self.process.kill()
            self.process.wait()
            raise TimeoutError(f'the storm got nowhere for {ANSWER_S} s and was ended; what it '
                               'missed stands in its standard error')
        # Not through a buffer, in which select() would not see a second line.
        line = b''
        while not line.endswith(b'\n'):
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise EOFError(f'the storm ended with {self.process.wait()}')
            line += byte
        return line.split()

    def answer(self):
        """Its next answer, as a dictionary of numbers. It may take as long as it likes, if only it
        gets on."""
        words = self._line()
        while words[0] == b'at':
            self.progress += 1
            words = self._line()
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
