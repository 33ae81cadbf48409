# SPDX-License-Identifier: Apache-2.0
"""What stands beside every figure: the command, the commit, the machine and how busy it is.

    machine.describe(build)      prints it
    machine.precedence(True)     --first: this process and its children before all others
"""
import json
import os
import platform
import re
import statistics
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))


def text(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip()


def commit():
    return text('git', '-c', 'safe.directory=*', '-C', ROOT, 'describe', '--always', '--dirty')


def processor():
    with open('/proc/cpuinfo') as file:
        name = re.search(r'model name\s*: (.*)', file.read())
    kind = text('systemd-detect-virt', '--vm') or 'none'
    return f'{os.cpu_count()} x {name.group(1) if name else platform.machine()}, hypervisor {kind}'


def disk(directory):
    source, kind = text('df', '--output=source,fstype', directory).split('\n')[1].split()
    return f'{kind} on {source}'


def build_type(build):
    """As meson knows it; figures of other builds than release mean nothing."""
    with open(os.path.join(build, 'meson-info', 'intro-buildoptions.json')) as file:
        options = {option['name']: option['value'] for option in json.load(file)}
    if options['buildtype'] != 'release' or options['b_sanitize'] != 'none':
        sys.exit(f'{build} is a {options["buildtype"]} build (sanitizers: {options["b_sanitize"]})'
                 '; measure a release build: meson setup build')
    return options['buildtype']


def cache_line(build):
    """Nanoseconds between cores 0 and 1 and back."""
    if os.cpu_count() < 2:
        return 'only one core'
    return text(os.path.join(build, 'bench', 'cacheline'), '0', '1') + ' ns'


def describe(build, directory=None):
    kind = build_type(build)
    print(f'command: {" ".join(sys.argv)}')
    print(f'commit: {commit()}, {kind} build')
    print(f'machine: {processor()}, Linux {platform.release()}'
          + (f', {disk(directory)}' if directory else ''))
    print(f'cache line from core 0 to 1 and back: {cache_line(build)}; load of the machine before: '
          f'{os.getloadavg()[0]:.1f}', flush=True)


def precedence(first):
    """Before whatever else runs on this machine, or as usual again: for one that cannot be had
    alone. The others hardly run while a round lasts. Nor do the kernel's threads that end a sync,
    so it is not for what waits for the disk."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    nice = -20 if first else 0
    try:
        with open('/proc/self/autogroup', 'w') as file:
            file.write(str(nice))
    except OSError:
        pass  # the kernel has none
    os.setpriority(os.PRIO_PROCESS, 0, nice)


def spread(values, digits=0):
    """The median, and the least and the most."""
    return (f'{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to '
            f'{max(values):.{digits}f})')
