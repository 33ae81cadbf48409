# SPDX-License-Identifier: Apache-2.0
"""bpftrace.py - whether bpftrace works here, whether what it runs watches already (it says so
before it does), and how it is ended."""
import json
import os
import shutil
import signal
import subprocess
import time

END_S = 5
ENDS = 4


def missing():
    """Why it does not work here, or None."""
    if not shutil.which('bpftrace'):
        return 'needs bpftrace'
    done = subprocess.run(['bpftrace', '-e', 'BEGIN { exit(); }'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    return f'bpftrace does not work here: {done.stdout.strip()[:300]}' if done.returncode else None


def end(process, pid=None):
    """Ctrl-C to the process, or to the one of that number that it waits for. Once more after END_S:
    bpftrace 0.17 misses one that comes while it does not wait for events."""
    for _ in range(ENDS):
        try:
            if process.poll() is None:
                os.kill(pid or process.pid, signal.SIGINT)
        except ProcessLookupError:  # its shell goes, too
            pass
        stop = time.monotonic() + END_S
        while process.poll() is None and time.monotonic() < stop:
            time.sleep(0.05)
    if process.poll() is None:
        process.kill()
        process.wait()


def uprobes():
    """The process of each program that hangs on a probe in user space, once for each."""
    done = subprocess.run(['bpftool', '-j', 'perf'], stdout=subprocess.PIPE, text=True, timeout=30,
                          check=True)
    return [entry['pid'] for entry in json.loads(done.stdout) if entry.get('fd_type') == 'uprobe']
