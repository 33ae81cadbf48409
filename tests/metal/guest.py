# SPDX-License-Identifier: Apache-2.0
"""guest.py - a virtual machine whose network card, behind an IOMMU, a node drives.

    with Guest(folder, card) as guest:
        guest.shell.run('dmesg')

Everything is emulated (TCG), so it runs wherever qemu does, and slowly. The card's other end is a
TAP interface of this process's network namespace. The disk and the consoles are files in the
folder. qemu is ended by its process id, and by the kernel if this process dies first.
"""
import glob
import os
import shutil
import subprocess
import sys

from initramfs import Archive

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
from guest_shell import Shell  # noqa: E402
from node import ROOT, _die_with_parent, _undo, run  # noqa: E402

KERNELS = os.environ.get('ABAFT_GUEST_KERNEL', '/var/cache/abaft/guest-kernel')
MEMORY_MIB = 1280
HUGE_PAGES = 320
DISK_MIB = 1024
BOOT_S = 120
# no_timer_check: on a busy host the check itself fails, now and then.
KERNEL_WORDS = ('console=ttyS0 quiet panic=-1 no_timer_check intel_iommu=on '
                f'hugepages={HUGE_PAGES}')
BUSYBOX = '/bin/busybox'
APPLETS = ('sh', '[', 'cat', 'chmod', 'dmesg', 'grep', 'insmod', 'ln', 'ls', 'mkdir', 'mount', 'rm',
           'stty', 'touch')
MODULES = ('virtio_pci', 'virtio_blk', 'vfio_pci', 'vfio_iommu_type1')
DRIVERS = ('bus_pci', 'bus_vdev', 'mempool_ring', 'net_e1000', 'net_virtio')


def kernel():
    """Paths of a kernel and of its modules, or None."""
    for image in sorted(glob.glob(f'{KERNELS}/boot/vmlinuz-*'), reverse=True):
        modules = f'{KERNELS}/lib/modules/{os.path.basename(image)[len("vmlinuz-"):]}'
        if os.path.isdir(modules):
            return image, modules
    return None


def missing():
    """Why no guest can be run here, in words, or None."""
    for program, package in (('qemu-system-x86_64', 'qemu-system-x86'), (BUSYBOX, 'busybox-static'),
                             ('mke2fs', 'e2fsprogs')):
        if not shutil.which(program):
            return f'needs {program} (package {package})'
    if not kernel():
        return f'needs a kernel for the guest in {KERNELS}; tools/setup puts one there'
    if not os.path.exists('/dev/net/tun'):
        return 'needs /dev/net/tun'
    return None


class Card:
    """An emulated network card and the TAP interface at its other end."""

    def __init__(self, name, slot, model, subnet, queues=1):
        self.name, self.slot, self.model, self.queues = name, slot, model, queues
        self.tap = f'tap-{name}'
        self.address, self.address6 = f'10.9.{subnet}.1', f'fd09:{subnet}::1'
        self.ours, self.ours6 = f'10.9.{subnet}.2', f'fd09:{subnet}::2'
        self.pci = f'0000:00:{slot:02x}.0'
        self.mac = f'52:54:00:09:00:{subnet:02x}'

    def make_tap(self):
        run('ip', 'tuntap', 'add', 'dev', self.tap, 'mode', 'tap',
            *(['multi_queue'] if self.queues > 1 else []))
        run('ip', 'addr', 'add', f'{self.ours}/24', 'dev', self.tap)
        run('ip', 'addr', 'add', f'{self.ours6}/64', 'dev', self.tap, 'nodad')
        run('ip', 'link', 'set', self.tap, 'up')

    def arguments(self):
        queues = f',queues={self.queues}' if self.queues > 1 else ''
        return ['-netdev', f'tap,id={self.name},ifname={self.tap},script=no,downscript=no,'
                f'vhost=off{queues}',
                '-device', f'{self.model},netdev={self.name},mac={self.mac},bus=pcie.0,'
                f'addr={self.slot:#x}']

    def environment(self):
        """What tests/lib wants to know of a node in a guest."""
        return {'ABAFT_PCI': self.pci, 'ABAFT_QUEUES': str(self.queues),
                'ABAFT_ADDRESS': self.address, 'ABAFT_ADDRESS6': self.address6}


class Guest:
    def __init__(self, folder, card):
        self.folder, self.card = folder, card
        self.process = None
        self.shell = None
        _undo.append(self.close)
        card.make_tap()
        run('mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', f'{folder}/disk', f'{DISK_MIB}M')
        self._make_root()

    def __enter__(self):
        self.boot()
        return self

    def __exit__(self, *_):
        self.close()

    def _make_root(self):
        root = Archive()
        root.folder('/proc')
        root.folder('/sys')
        root.folder('/dev')
        root.copy(f'{HERE}/init', '/init', True)
        root.copy(BUSYBOX, '/bin/busybox', True)
        for name in APPLETS:
            root.link(f'/bin/{name}', 'busybox')
        root.modules(kernel()[1], MODULES)
        root.program(os.environ.get('ABAFTD', f'{ROOT}/build/control/abaftd'), '/bin/abaftd')
        for name in DRIVERS:
            root.driver(name)
        root.write(f'{self.folder}/root.cpio')

    def _command(self):
        return [
            'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none',
            '-no-reboot',
            '-accel', 'tcg,thread=multi', '-machine', 'q35,kernel-irqchip=split', '-cpu', 'max',
            '-smp', '2', '-m', f'{MEMORY_MIB}M', '-device', 'intel-iommu,intremap=on',
            '-kernel', kernel()[0], '-initrd', f'{self.folder}/root.cpio',
            '-append', KERNEL_WORDS,
            '-serial', f'file:{self.folder}/console',
            '-chardev', f'socket,id=shell,path={self.folder}/shell,server=on,wait=off',
            '-serial', 'chardev:shell',
            '-drive', f'file={self.folder}/disk,format=raw,if=none,id=disk,cache=writeback',
            '-device', 'virtio-blk-pci,drive=disk,bus=pcie.0,addr=0x3',
            *self.card.arguments()]

    def boot(self):
        """Starts it and waits for its shell."""
        with open(f'{self.folder}/qemu', 'ab') as said:
            self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=said,
                                            stderr=said, preexec_fn=_die_with_parent)
        self.shell = Shell(f'{self.folder}/shell', self.alive)
        self.shell.wait_ready(BOOT_S)

    def alive(self):
        return self.process.poll() is None

    def said(self):
        """What qemu and the guest's kernel said."""
        text = ''
        for path in (f'{self.folder}/qemu', f'{self.folder}/console'):
            if os.path.exists(path):
                with open(path, errors='replace') as file:
                    text += file.read()
        return text

    def halt(self):
        """As when its power fails."""
        if self.shell:
            self.shell.close()
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process is not None:
            self.halt()
        if self.close in _undo:
            _undo.remove(self.close)
