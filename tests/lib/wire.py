# SPDX-License-Identifier: Apache-2.0
"""wire.py - the wire protocol by hand, as include/abaft/wire.h has it: for packets that no client
library would send, and for asking a node about itself."""
import os
import select
import socket
import struct
import time

ADDRESS = os.environ.get('ABAFT_ADDRESS', '127.0.0.1')  # where nodes are, if nothing is said
ADDRESS6 = os.environ.get('ABAFT_ADDRESS6', '::1')
MAGIC = b'ABFT'
REQUEST, ANSWER = 1, 2
OPEN, REFUSED = 1, 2
GET, PUT, DELETE, PUT_PART, GET_PART, COMMIT, ABORT, STATUS, INFO, APPEND = range(1, 11)
(OK, NOT_FOUND, SKIPPED, BUSY, IN_PROGRESS, TOO_LARGE, UNKNOWN_TXN, EXPIRED, CLOCK_SKEW, MALFORMED,
 UNSUPPORTED, ABORTED, COMMITTED, STALE_ATTEMPT, INCOMPLETE, NO_SPACE, LOG_FAILED, WRONG_NODE,
 DENIED, STOPPING, READ_FAILED, CORRUPT) = range(22)
OWN, REPEAT = 1, 2
PACKET_BYTES_MAX = 1440
VALUE_BYTES_MAX = 1 << 20
PART_BYTES = 256
ASK_S = 10
HEADER = struct.Struct('<4sBBHHHHHQ16sHHIQII16s')
OP = struct.Struct('<BBHIII')
RESULT = struct.Struct('<BBHIIIQI4x')


def owner(txn, workers):
    return (int.from_bytes(txn[12:16], 'big') * workers) >> 32


def new_id(age_ms=0, worker=None, workers=1):
    """A UUIDv7; of the age given, and owned by the worker given."""
    while True:
        txn = bytearray(os.urandom(16))
        txn[0:6] = (int(time.time() * 1000) - age_ms).to_bytes(6, 'big')
        txn[6] = 0x70 | txn[6] & 0x0f
        txn[8] = 0x80 | txn[8] & 0x3f
        if worker is None or owner(txn, workers) == worker:
            return bytes(txn)


def op(code, key=b'', data=b'', total=None, offset=0, want=None, flags=0):
    if total is None:
        total = len(data) if code == PUT else 0
    return OP.pack(code, flags, len(key), total, offset,
                   len(data) if want is None else want) + key + data


def get(key, want=PACKET_BYTES_MAX):
    return op(GET, key, want=want)


def put(key, value):
    return op(PUT, key, value)


def request(txn, ops, step=0, attempt=0, seq=0, flags=OPEN, instance=0, deadline_ms=0, version=1,
            kind=REQUEST, magic=MAGIC, length=None, count=None, number=None, tenant=0,
            auth=bytes(16)):
    body = b''.join(ops)
    if number is None:
        number = int.from_bytes(os.urandom(8), 'little')
    return HEADER.pack(magic, version, kind, flags,
                       HEADER.size + len(body) if length is None else length,
                       len(ops) if count is None else count, 0, 0, number, txn, step, attempt,
                       seq, instance, deadline_ms, tenant, auth) + body


class Result:
    def __init__(self, data, at):
        (self.code, self.flags, self.status, self.total, self.offset, bytes_, self.time,
         self.origin) = RESULT.unpack_from(data, at)
        at += RESULT.size
        self.data = data[at:at + bytes_]
        self.end = at + bytes_


class Answer:
    """Raises ValueError when the bytes are no well-formed answer."""

    def __init__(self, data):
        if len(data) < HEADER.size:
            raise ValueError('short answer')
        (magic, version, kind, self.flags, length, count, self.status, self.workers, self.number,
         self.txn, self.step, self.attempt, self.seq, self.instance, _, _, _) = \
            HEADER.unpack_from(data)
        if (magic, version, kind, length) != (MAGIC, 1, ANSWER, len(data)):
            raise ValueError('not an answer')
        self.results = []
        at = HEADER.size
        for _ in range(count):
            self.results.append(Result(data, at))
            at = self.results[-1].end
        if at != len(data):
            raise ValueError('bytes behind the last result')

    @property
    def codes(self):
        """The statuses of all results, or of the refusal."""
        return [self.status] if self.flags & REFUSED else [r.status for r in self.results]


class Peer:
    """A UDP socket towards one node."""
    info_bytes = 1024  # of its text, in one packet

    def __init__(self, address=ADDRESS, port=7400, workers=1):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.address, self.port, self.workers = address, port, workers

    def close(self):
        self.socket.close()

    def send(self, packet, port=None):
        if port is None:
            txn = packet[24:40]
            port = self.port + (owner(txn, self.workers) if len(txn) == 16 else 0)
        self.socket.sendto(packet, (self.address, port))

    def receive(self, timeout_s=1.0):
        if not select.select([self.socket], [], [], timeout_s)[0]:
            return None
        return Answer(self.socket.recvfrom(2048)[0])

    def call(self, packet, timeout_s=1.0, port=None):
        """Sends; returns the answer with the same request number, or None."""
        number = struct.unpack_from('<Q', packet, 16)[0]
        end = time.monotonic() + timeout_s
        self.send(packet, port)
        while True:
            answer = self.receive(max(0, end - time.monotonic()))
            if answer is None or answer.number == number:
                return answer

    def ask(self, txn, *ops, **fields):
        """A request that may be lost and is sent again, as a client would; a disk may be slow."""
        packet = request(txn, ops, **fields)
        codes, end = None, time.monotonic() + ASK_S
        while time.monotonic() < end:
            answer = self.call(packet, 0.5)
            codes = answer and answer.codes
            if answer is not None and codes not in ([IN_PROGRESS], [BUSY]):
                return answer
            time.sleep(0.01)
        raise TimeoutError(f'the node does not answer, but {codes}')

    def info(self, worker=0):
        """The worker's facts and counters, numbers as int."""
        txn = new_id(worker=worker, workers=self.workers)
        text = b''
        while True:
            ask = op(INFO, offset=len(text), want=self.info_bytes)
            result = self.ask(txn, ask, flags=0).results[0]
            text += result.data
            if not result.data or len(text) >= result.total:
                break
        pairs = (line.split(None, 1) for line in text.decode().splitlines())
        return {name: int(value) if value.isdigit() else value for name, value in pairs}

    def write(self, values, txn=None):
        """Puts and commits; returns the commit's status."""
        txn = txn or new_id()
        ops = [put(k, v) for k, v in values.items()] + [op(COMMIT)]
        return self.ask(txn, *ops).codes[-1]

    def read(self, *keys):
        """One transaction's view: a value, or None, for each key."""
        results = self.ask(new_id(), *[get(k, 200) for k in keys], op(COMMIT)).results
        return [r.data if r.status == OK else None for r in results[:-1]]
