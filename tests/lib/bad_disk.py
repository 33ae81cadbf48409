# SPDX-License-Identifier: Apache-2.0
"""bad_disk.py - a real file system on a disk that misbehaves when the test says so.

    with BadDisk(mib=512) as disk:          ext4 in disk.mount
        with disk.failing('write'):         every write (or 'read') of the disk ends with EIO
            ...
        with disk.stuck():                  nothing the disk was asked comes back
            ...

nbdkit keeps the bytes in memory and injects the faults, nbdfuse shows it as a file, a loop device
makes that a block device. All is undone at exit, also after a failure.
"""
import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time

PROGRAMS = ('nbdkit', 'nbdfuse', 'losetup', 'mkfs.ext4', 'mount', 'fusermount3')


def missing():
    """Why there can be no such disk here, in words, or None."""
    if os.geteuid() != 0:
        return 'needs root (loop devices, mount)'
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f'needs {program}'
    if not os.path.exists('/dev/fuse'):
        return 'needs FUSE (/dev/fuse)'
    if not os.path.exists('/dev/loop-control'):
        return 'needs loop devices'
    return None


def _run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(command)}: {done.stdout.strip()}')
    return done.stdout.strip()


class BadDisk:
    def __init__(self, mib=512, options='errors=continue'):
        self.dir = tempfile.mkdtemp(prefix='abaft-disk-', dir='/var/tmp')
        self.mount = f'{self.dir}/mnt'
        self.loop = None
        self.nbdfuse = None
        self.mounted = False
        atexit.register(self.close)
        os.mkdir(self.mount)
        os.mkdir(f'{self.dir}/fuse')
        self._start_nbd(mib)
        self.loop = _run('losetup', '--find', '--show', '--direct-io=on', f'{self.dir}/fuse/disk')
        _run('mkfs.ext4', '-q', '-F', self.loop)
        _run('mount', '-o', options, self.loop, self.mount)
        self.mounted = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start_nbd(self, mib):
        faults = [f'error-p{what}-file={self.dir}/fail-{what}' for what in ('read', 'write')]
        with open(f'{self.dir}/said', 'wb') as said:
            self.nbdfuse = subprocess.Popen(
                ['nbdfuse', f'{self.dir}/fuse/disk', '[', 'nbdkit', '-f', '--exit-with-parent',
                 '--filter=pause', '--filter=error', 'memory', f'{mib}M',
                 f'pause-control={self.dir}/control', 'error=EIO', 'error-pread-rate=1',
                 'error-pwrite-rate=1', *faults, ']'], stdout=said, stderr=said)
        end = time.monotonic() + 10
        while not os.path.exists(f'{self.dir}/fuse/disk'):
            if time.monotonic() > end or self.nbdfuse.poll() is not None:
                raise RuntimeError('nbdfuse: ' + self.said())
            time.sleep(0.02)

    def said(self):
        with open(f'{self.dir}/said', errors='replace') as file:
            return file.read()

    @contextlib.contextmanager
    def failing(self, what):
        """While inside, the disk's reads or writes fail with EIO."""
        path = f'{self.dir}/fail-{what}'
        open(path, 'w').close()
        try:
            yield
        finally:
            os.unlink(path)

    def _control(self, letter):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(f'{self.dir}/control')
            control.send(letter)
            control.recv(1)

    @contextlib.contextmanager
    def stuck(self):
        """While inside, nothing that the disk is asked comes back."""
        self._control(b'p')
        try:
            yield
        finally:
            self._control(b'r')

    def remount(self, options):
        _run('mount', '-o', f'remount,{options}', self.mount)

    def close(self):
        """Undoes what was made, in reverse; safe to call again."""
        atexit.unregister(self.close)
        if self.mounted:
            self.mounted = False
            subprocess.run(['umount', '-l', self.mount], check=False, timeout=60)
        if self.loop:
            subprocess.run(['losetup', '-d', self.loop], check=False, timeout=60)
            self.loop = None
        if self.nbdfuse:
            subprocess.run(['fusermount3', '-u', '-z', f'{self.dir}/fuse'], check=False, timeout=60)
            try:
                self.nbdfuse.wait(10)
            except subprocess.TimeoutExpired:
                self.nbdfuse.kill()
                self.nbdfuse.wait()
            self.nbdfuse = None
        shutil.rmtree(self.dir, ignore_errors=True)
