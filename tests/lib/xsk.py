# SPDX-License-Identifier: Apache-2.0
"""xsk.py - what the kernel knows of another process's AF_XDP sockets: a copy of the socket is taken
out of the process, and its counters and rings are read. Nothing is changed. And a socket of one's
own that only holds a queue. Needs root."""
import ctypes
import mmap
import os
import socket
import struct

AF_XDP, SOL_XDP, XDP_MMAP_OFFSETS, XDP_STATISTICS = 44, 283, 1, 7
XDP_RX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 2, 4, 5, 6
XDP_COPY = 2
RING = 64
DPDK_FILL = 4096  # entries of the fill ring that its driver makes
PIDFD_OPEN, PIDFD_GETFD = 434, 438
STATISTICS = ('rx_dropped', 'rx_invalid', 'tx_invalid', 'rx_ring_full', 'fill_ring_empty',
              'tx_ring_empty')
# Where mmap() finds each ring, in the order of struct xdp_mmap_offsets.
RINGS = (('rx', 0), ('tx', 0x80000000), ('fill', 0x100000000), ('completion', 0x180000000))
_libc = ctypes.CDLL(None, use_errno=True)


def _read(sock):
    facts = dict(zip(STATISTICS, struct.unpack('6Q', sock.getsockopt(SOL_XDP, XDP_STATISTICS, 48))))
    offsets = struct.unpack('16Q', sock.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))
    for number, (ring, at) in enumerate(RINGS):
        with mmap.mmap(sock.fileno(), mmap.PAGESIZE, mmap.MAP_SHARED,
                       mmap.PROT_READ | mmap.PROT_WRITE, offset=at) as memory:
            facts[ring] = [struct.unpack_from('I', memory, offset)[0]
                           for offset in offsets[4 * number:4 * number + 2]]
    return facts


class Socket:
    """One AF_XDP socket. `rx`, `fill`: entries that stand in these rings; `lost`: buffers that the
    kernel took from the fill ring and neither gave back nor holds; the rest as in STATISTICS."""

    def __init__(self, facts):
        self.__dict__.update((name, facts[name]) for name in STATISTICS)
        (rx_made, rx_taken), (fill_made, fill_taken) = facts['rx'], facts['fill']
        self.rx = (rx_made - rx_taken) % 2**32
        self.fill = (fill_made - fill_taken) % 2**32
        # It keeps the last one it took while the rx ring is full.
        self.lost = (fill_taken - rx_made) % 2**32


def _fill_addresses(sock):
    made, taken, entries = (struct.unpack('16Q', sock.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))
                            [8 + i] for i in range(3))
    with mmap.mmap(sock.fileno(), entries + 8 * DPDK_FILL, mmap.MAP_SHARED,
                   mmap.PROT_READ | mmap.PROT_WRITE, offset=dict(RINGS)['fill']) as memory:
        first, last = (struct.unpack_from('I', memory, at)[0] for at in (taken, made))
        return [struct.unpack_from('Q', memory, entries + 8 * (i % DPDK_FILL))[0]
                for i in range(first, last)]


def fill_addresses(pid):
    """Of each socket of a process on DPDK: the buffers that stand in its fill ring."""
    return _of_sockets(pid, _fill_addresses)


def sockets(pid):
    """All of a process's, in the order of their descriptors."""
    return _of_sockets(pid, lambda sock: Socket(_read(sock)))


def _of_sockets(pid, what):
    process = _libc.syscall(PIDFD_OPEN, pid, 0)
    if process < 0:
        raise OSError(ctypes.get_errno(), 'pidfd_open')
    found = []
    try:
        for name in sorted(os.listdir(f'/proc/{pid}/fd'), key=int):
            fd = _libc.syscall(PIDFD_GETFD, process, int(name), 0)
            if fd < 0:
                continue
            if not os.readlink(f'/proc/self/fd/{fd}').startswith('socket:'):
                os.close(fd)
                continue
            with socket.socket(AF_XDP, socket.SOCK_RAW, 0, fileno=fd) as sock:
                if sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == AF_XDP:
                    found.append(what(sock))
    finally:
        os.close(process)
    return found


class Holder:
    """Has a queue of an interface, as a run that was killed still does for a while."""

    def __init__(self, interface, queue=0):
        self.memory = mmap.mmap(-1, RING * mmap.PAGESIZE)
        self.sock = socket.socket(AF_XDP, socket.SOCK_RAW)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.sock.setsockopt(SOL_XDP, XDP_UMEM_REG,
                             struct.pack('QQIIII', start, len(self.memory), mmap.PAGESIZE, 0, 0, 0))
        for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING):
            self.sock.setsockopt(SOL_XDP, ring, RING)
        # Python's own bind() does not know the family.
        address = struct.pack('HHIII', AF_XDP, XDP_COPY, socket.if_nametoindex(interface), queue, 0)
        if _libc.bind(self.sock.fileno(), address, len(address)) != 0:
            raise OSError(ctypes.get_errno(), 'bind')

    def close(self):
        self.sock.close()
