# SPDX-License-Identifier: Apache-2.0
"""client.py - the C client library from Python, for tests: include/abaft/abaft.h by ctypes.

The library is found by $ABAFT_LIB, else in build/client.
"""
import ctypes as c
import os

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
OK, NOT_FOUND, BUSY, TOO_LARGE, UNKNOWN_TXN = 0, 1, 3, 5, 6
NO_SPACE, TIMEOUT, INVALID = 15, 64, 65
UNKNOWN, OPEN, COMMITTED, ABORTED = range(4)
CONTEXT_BYTES = 96
ADDRESS = os.environ.get('ABAFT_ADDRESS', '127.0.0.1')


class Id(c.Structure):
    _fields_ = [('bytes', c.c_uint8 * 16)]


class Version(c.Structure):
    _fields_ = [('time', c.c_uint64), ('origin', c.c_uint32)]


class Config(c.Structure):
    _fields_ = [('address', c.c_char_p), ('port', c.c_uint16), ('timeout_ms', c.c_uint32),
                ('resend_us', c.c_uint32), ('window', c.c_uint32), ('packet_bytes', c.c_uint32),
                ('txns_max', c.c_uint32), ('bind_address', c.c_char_p)]


class Begin(c.Structure):
    _fields_ = [('id', c.POINTER(Id)), ('context', c.c_char_p), ('step', c.c_uint16),
                ('attempt', c.c_uint16), ('deadline_ms', c.c_uint32)]


def _load():
    lib = c.CDLL(os.environ.get('ABAFT_LIB', f'{ROOT}/build/client/libabaft.so'))
    pointer, size = c.c_void_p, c.c_size_t
    lib.abaft_open.argtypes = [c.POINTER(pointer), c.POINTER(Config)]
    lib.abaft_close.argtypes = [pointer]
    lib.abaft_begin.argtypes = [pointer, c.POINTER(Begin), c.POINTER(pointer)]
    lib.abaft_end.argtypes = [pointer]
    lib.abaft_txn_id.argtypes = [pointer]
    lib.abaft_txn_id.restype = c.POINTER(Id)
    lib.abaft_export.argtypes = [pointer, c.c_char_p]
    lib.abaft_get.argtypes = [pointer, c.c_char_p, size, c.c_char_p, size, c.POINTER(size)]
    lib.abaft_put.argtypes = [pointer, c.c_char_p, size, c.c_char_p, size]
    lib.abaft_delete.argtypes = [pointer, c.c_char_p, size]
    lib.abaft_commit.argtypes = [pointer]
    lib.abaft_abort.argtypes = [pointer]
    lib.abaft_status.argtypes = [pointer, c.POINTER(Id), c.POINTER(c.c_int), c.POINTER(Version)]
    lib.abaft_error_name.restype = c.c_char_p
    return lib


lib = _load()


def name(err):
    return lib.abaft_error_name(err).decode()


class Txn:
    """Calls return enum abaft_error; get() returns (error, value)."""

    def __init__(self, client, id=None, context=None, step=0, attempt=0, deadline_ms=0):
        begin = Begin(None, context, step, attempt, deadline_ms)
        if id is not None:
            self._id = Id.from_buffer_copy(id)
            begin.id = c.pointer(self._id)
        self.handle = c.c_void_p()
        err = lib.abaft_begin(client.handle, c.byref(begin), c.byref(self.handle))
        if err:
            raise OSError(f'abaft_begin: {name(err)}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.handle:
            lib.abaft_end(self.handle)
        self.handle = None

    @property
    def id(self):
        return bytes(lib.abaft_txn_id(self.handle).contents.bytes)

    def export(self):
        text = c.create_string_buffer(CONTEXT_BYTES)
        err = lib.abaft_export(self.handle, text)
        if err:
            raise OSError(f'abaft_export: {name(err)}')
        return text.value

    def put(self, key, value):
        return lib.abaft_put(self.handle, key, len(key), value, len(value))

    def get(self, key, room=1 << 20):
        buffer, size = c.create_string_buffer(room), c.c_size_t()
        err = lib.abaft_get(self.handle, key, len(key), buffer, room, c.byref(size))
        return err, buffer.raw[:size.value] if err == OK else None

    def delete(self, key):
        return lib.abaft_delete(self.handle, key, len(key))

    def commit(self):
        return lib.abaft_commit(self.handle)

    def abort(self):
        return lib.abaft_abort(self.handle)


class Client:
    def __init__(self, address=ADDRESS, port=7400, **config):
        self.config = Config(address=address.encode(), port=port, **config)
        self.handle = c.c_void_p()
        err = lib.abaft_open(c.byref(self.handle), c.byref(self.config))
        if err:
            raise OSError(f'abaft_open: {name(err)}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        lib.abaft_close(self.handle)

    def txn(self, **begin):
        return Txn(self, **begin)

    def write(self, values):
        """One transaction; returns the first error or OK."""
        with self.txn() as txn:
            for key, value in values.items():
                err = txn.put(key, value)
                if err:
                    return err
            return txn.commit()

    def read(self, key):
        with self.txn() as txn:
            result = txn.get(key)
            err = txn.commit()
            return result if result[0] else (err, result[1])

    def status(self, id):
        """(error, outcome)"""
        outcome, version = c.c_int(), Version()
        err = lib.abaft_status(self.handle, c.byref(Id.from_buffer_copy(id)), c.byref(outcome),
                               c.byref(version))
        return err, outcome.value
