# SPDX-License-Identifier: Apache-2.0
"""initramfs.py - the guest's root: a cpio archive with busybox, the kernel's modules that it needs,
programs of ours, and every library that these load.

    root = Archive()
    root.program('/path/of/abaftd', '/bin/abaftd')
    root.write('/tmp/root.cpio')

The form is newc, the only one that kernels read; it is not compressed, as unpacking would cost the
guest more than reading costs us.
"""
import os
import re
import stat
import subprocess

LIBRARIES = '/usr/lib/x86_64-linux-gnu'
DRIVERS = f'{LIBRARIES}/dpdk/pmds-23.0'  # where DPDK looks, for names that end in .so.23.0
HEAD = '070701' + '%08X' * 13


class Archive:
    def __init__(self):
        self.files = {}  # path -> (mode, bytes)

    def folder(self, path):
        """And all above it."""
        while path not in ('', '/') and path not in self.files:
            self.files[path] = (stat.S_IFDIR | 0o755, b'')
            path = os.path.dirname(path)

    def add(self, path, data, executable=False):
        self.folder(os.path.dirname(path))
        self.files[path] = (stat.S_IFREG | (0o755 if executable else 0o644), data)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self.files[path] = (stat.S_IFLNK | 0o777, target.encode())

    def copy(self, source, path, executable=False):
        with open(source, 'rb') as file:
            self.add(path, file.read(), executable)

    def program(self, source, path):
        """A program, and all libraries that it is linked with, where it finds them."""
        self.copy(source, path, True)
        self._libraries(source)

    def driver(self, name):
        """A driver of DPDK's: librte_NAME."""
        self._shared(f'{DRIVERS}/librte_{name}.so.23.0')

    def _libraries(self, source):
        done = subprocess.run(['ldd', source], stdout=subprocess.PIPE, text=True, check=True)
        for library in re.findall(r'(/\S+) \(0x', done.stdout):
            self._shared(library)

    def _shared(self, path):
        """A file with several names stays one: the loader would load two of them twice."""
        real = os.path.realpath(path)
        if real not in self.files:
            self.copy(real, real, True)
            self._libraries(real)
        if path not in self.files:
            self.link(path, real)

    def modules(self, folder, names):
        """Modules of the kernel and those they depend on, listed in /modules/order as they are to
        be loaded. What the kernel has built in is left out."""
        known = {}
        for here, _, files in os.walk(folder):
            for file in files:
                if file.endswith('.ko'):
                    known[file[:-3].replace('-', '_')] = os.path.join(here, file)
        order = []

        def want(name):
            name = name.replace('-', '_')
            if name in order or name not in known:
                return
            with open(known[name], 'rb') as file:
                data = file.read()
            for other in re.search(rb'\0depends=([^\0]*)\0', b'\0' + data)[1].decode().split(','):
                want(other)
            order.append(name)
            self.add(f'/modules/{name}.ko', data)

        for name in names:
            want(name)
        self.add('/modules/order', '\n'.join(order).encode() + b'\n')

    def write(self, path):
        with open(path, 'wb') as out:
            for number, (name, (mode, data)) in enumerate(sorted(self.files.items()), 1):
                self._entry(out, number, name.lstrip('/'), mode, data)
            self._entry(out, 0, 'TRAILER!!!', 0, b'')

    @staticmethod
    def _entry(out, number, name, mode, data):
        raw = name.encode() + b'\0'
        out.write((HEAD % (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)).encode())
        out.write(raw + bytes(-(110 + len(raw)) % 4) + data + bytes(-len(data) % 4))
