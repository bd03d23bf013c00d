"""Events that wait for the server: in memory while they are few, then in files, up to a bound (R31). First in, first out.

The files outlive the agent's process, not the host's boot: `observed_at` is on the monotonic clock of one boot.
"""

import shutil
from collections import deque
from pathlib import Path

import msgspec

from fustor_schema.wire import Event

MEMORY_EVENTS = 20_000
SEGMENT_EVENTS = 5_000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SpoolFull(Exception):
    """The bound is reached: these events are lost and must be told as a gap."""


class Spool:
    """A queue of events with a disk behind it. `most_bytes` bounds the files."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = _of_this_boot(directory / "spool")
        self._most_bytes = most_bytes
        self._head: deque[Event] = deque()
        self._tail: deque[Event] = deque()
        self._segments = deque(sorted(self._directory.glob("*.events")))
        self._bytes = sum(segment.stat().st_size for segment in self._segments)
        self._on_disk = 0
        self._number = int(self._segments[-1].stem) + 1 if self._segments else 1

    def __len__(self) -> int:
        """Events in memory, plus a lower estimate of those in files left by an earlier process."""
        return len(self._head) + len(self._tail) + max(self._on_disk, len(self._segments))

    @property
    def bytes_on_disk(self) -> int:
        """Size of the files."""
        return self._bytes

    def put(self, events: list[Event]) -> None:
        """Adds events behind all others. Raises SpoolFull when they do not fit (none is added), OSError when the disk fails."""
        if not self._segments and not self._tail and len(self._head) + len(events) <= MEMORY_EVENTS:
            self._head.extend(events)
            return
        if self._bytes >= self._most_bytes:
            raise SpoolFull(f"{self._bytes} bytes wait in {self._directory}")
        self._tail.extend(events)
        if len(self._tail) >= SEGMENT_EVENTS:
            self._write_tail()

    def peek(self, most: int) -> list[Event]:
        """The oldest events, still in the queue."""
        if not self._head:
            self._refill()
        return [self._head[index] for index in range(min(most, len(self._head)))]

    def drop(self, count: int) -> None:
        """Takes out the oldest events: they are committed."""
        for _ in range(count):
            self._head.popleft()

    def save(self) -> None:
        """Writes everything to files, before the process ends. Raises OSError."""
        if self._head:
            first = int(self._segments[0].stem) - 1 if self._segments else self._number
            self._write(self._head, first)
            self._segments = deque(sorted(self._directory.glob("*.events")))
            self._number = max(self._number, first + 1)
            self._head.clear()
        self._write_tail()

    def _refill(self) -> None:
        if not self._segments:
            self._head, self._tail = self._tail, self._head
            return
        segment = self._segments.popleft()
        content = segment.read_bytes()
        self._head.extend(msgspec.msgpack.decode(content, type=list[Event]))
        self._on_disk = max(0, self._on_disk - len(self._head))
        self._bytes -= len(content)
        segment.unlink()

    def _write_tail(self) -> None:
        if self._tail:
            self._segments.append(self._write(self._tail, self._number))
            self._number += 1
            self._on_disk += len(self._tail)
            self._tail.clear()

    def _write(self, events: deque[Event], number: int) -> Path:
        path = self._directory / f"{number:012d}.events"
        content = msgspec.msgpack.encode(list(events))
        path.write_bytes(content)
        self._bytes += len(content)
        return path


def _of_this_boot(directory: Path) -> Path:
    """The spool directory of this boot; what an earlier boot left cannot be ordered any more and goes."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "unknown"
    current = directory / boot
    if directory.exists():
        for other in directory.iterdir():
            if other != current:
                shutil.rmtree(other)
    current.mkdir(parents=True, exist_ok=True)
    return current
