"""Linux inotify, read raw: a thread that only reads, so that bursts fill memory and not the kernel's queue. Used by watcher.py.

watchdog is not used here: it drops IN_Q_OVERFLOW, and its reading thread works while the kernel's queue fills.
"""

import ctypes
import ctypes.util
import errno
import os
import queue
import select
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from agent_runner import clock

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
UNMOUNT = 0x2000
Q_OVERFLOW = 0x4000
IGNORED = 0x8000
ONLYDIR = 0x1000000
DONT_FOLLOW = 0x2000000
EXCL_UNLINK = 0x4000000
ISDIR = 0x40000000

WATCHED = (
    MODIFY
    | ATTRIB
    | CLOSE_WRITE
    | MOVED_FROM
    | MOVED_TO
    | CREATE
    | DELETE
    | DELETE_SELF
    | MOVE_SELF
    | ONLYDIR
    | DONT_FOLLOW
    | EXCL_UNLINK
)
READ_BYTES = 1 << 20
_HEAD = struct.Struct("iIII")
_LIMITS = "/proc/sys/fs/inotify/"


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One kernel event. `at` in monotonic ms: when it was read."""

    wd: int
    mask: int
    cookie: int
    name: bytes
    at: int


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def limit(name: str) -> int:
    """One of the kernel's inotify limits (`max_user_watches` …), 0 when it cannot be read."""
    try:
        with open(_LIMITS + name) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


class Inotify:
    """One inotify instance with its reading thread. Raises OSError (EMFILE: too many instances) when it cannot be made."""

    def __init__(self) -> None:
        self._libc = _libc()
        self._descriptor = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC)
        self._chunks: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="inotify-reader", daemon=True)
        self._thread.start()

    def add(self, path: bytes) -> int:
        """Watches a directory and returns its watch number. Raises OSError: ENOSPC = the watch limit is reached."""
        return _checked(self._libc.inotify_add_watch(self._descriptor, path, WATCHED), os.fsdecode(path))

    def remove(self, wd: int) -> None:
        """Stops watching. A watch that the kernel removed already is no error."""
        try:
            _checked(self._libc.inotify_rm_watch(self._descriptor, wd), f"watch {wd}")
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

    def chunk(self, timeout: float) -> list[RawEvent]:
        """The events of the next read, empty after `timeout` seconds without any."""
        try:
            chunk = self._chunks.get(timeout=timeout) if timeout > 0 else self._chunks.get_nowait()
        except queue.Empty:
            return []
        return [] if chunk is None else list(_parse(*chunk))

    def close(self, timeout: float = 2.0) -> bool:
        """Ends the reading thread and closes the instance. Returns False when the thread did not end in time (seconds)."""
        os.write(self._wake_write, b"x")
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        for descriptor in (self._descriptor, self._wake_read, self._wake_write):
            os.close(descriptor)
        return True

    def _read(self) -> None:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if self._wake_read in ready:
                self._chunks.put(None)
                return
            self._chunks.put((clock.monotonic_ms(), os.read(self._descriptor, READ_BYTES)))


def _parse(at: int, chunk: bytes) -> Iterator[RawEvent]:
    offset, end = 0, len(chunk)
    while offset < end:
        wd, mask, cookie, length = _HEAD.unpack_from(chunk, offset)
        offset += _HEAD.size
        yield RawEvent(wd, mask, cookie, chunk[offset : offset + length].rstrip(b"\0"), at)
        offset += length
