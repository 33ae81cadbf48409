# SPDX-License-Identifier: Apache-2.0
"""ping.py - asks for an echo by a raw socket, IPv4 or IPv6: a ping need not be installed."""
import select
import socket
import struct
import time

BODY = b'abaft says hello'


def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(address, timeout_s=2):
    """True when an echo answer with our bytes comes back."""
    six = ':' in address
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW,
                       socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP) as raw:
        head = struct.pack('!BBHHH', 128 if six else 8, 0, 0, 77, 1)
        if not six:  # the kernel does ICMPv6's
            head = head[:2] + struct.pack('!H', checksum(head + BODY)) + head[4:]
        raw.sendto(head + BODY, (address, 0))
        end = time.monotonic() + timeout_s
        while select.select([raw], [], [], max(0, end - time.monotonic()))[0]:
            data = raw.recv(2048)
            if not six:
                data = data[(data[0] & 15) * 4:]
            if data[0] == (129 if six else 0) and data[4:] == head[4:] + BODY:
                return True
    return False
