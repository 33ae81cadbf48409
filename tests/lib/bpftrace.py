# SPDX-License-Identifier: Apache-2.0
"""bpftrace.py - whether bpftrace works here, and whether what it runs watches already: it says so
before it does."""
import json
import shutil
import subprocess


def missing():
    """Why it does not work here, or None."""
    if not shutil.which('bpftrace'):
        return 'needs bpftrace'
    done = subprocess.run(['bpftrace', '-e', 'BEGIN { exit(); }'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    return f'bpftrace does not work here: {done.stdout.strip()[:300]}' if done.returncode else None


def uprobes():
    """The process of each program that hangs on a probe in user space, once for each."""
    done = subprocess.run(['bpftool', '-j', 'perf'], stdout=subprocess.PIPE, text=True, timeout=30,
                          check=True)
    return [entry['pid'] for entry in json.loads(done.stdout) if entry.get('fd_type') == 'uprobe']
