# SPDX-License-Identifier: Apache-2.0
"""tap.py - prints TAP: one line a check, the plan at the end, diagnostics behind '#'."""
import sys
import traceback


class Tap:
    """One test program's checks. A case that raises fails and the next one runs."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, *notes):
        self.count += 1
        self.failed += not good
        print(f'{"ok" if good else "not ok"} {self.count} - {name}', flush=True)
        if not good:
            self.note(*notes)
        return bool(good)

    def equal(self, have, want, name):
        return self.ok(have == want, name, f'have {have!r}', f'want {want!r}')

    def note(self, *notes):
        for note in notes:
            for line in str(note).splitlines():
                print(f'# {line[:400]}', flush=True)

    def case(self, function, *arguments):
        """Runs a case; its first doc line is the name under which an exception is reported."""
        try:
            function(self, *arguments)
        except Exception:  # a broken case must not hide the others
            name = (function.__doc__ or function.__name__).splitlines()[0]
            self.ok(False, f'{name}: ended by an exception', traceback.format_exc())

    def done(self):
        print(f'1..{self.count}', flush=True)
        sys.exit(1 if self.failed else 0)


def skip_all(reason):
    print(f'1..0 # SKIP {reason}', flush=True)
    sys.exit(0)
