"""A listing process: reads tasks on stdin, lists directories with scandir and lstat, writes encoded events to stdout.

Started by scanner.py as `python -m agent_runner.sources.fs.lister`. It holds no state of worth: when a directory hangs, the scanner
kills it and starts another. It ends when stdin closes, so it never outlives its job process.
"""

import contextlib
import errno
import fcntl
import gc
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO
from zlib import adler32, crc32

import msgspec

from agent_runner import clock, mapping
from agent_runner.sources.fs import frames, rows
from agent_runner.sources.fs.filters import Filters
from agent_runner.sources.fs.skipcache import CommittedCache
from fustor_schema.listing import hash_of_sum
from fustor_schema.sources import PROTOCOL_V3
from fustor_schema.wire import Event, FsRow

EVENT_ROWS = 1_000
FRAME_ROWS = 2_000
FRAME_SECONDS = 0.25
MakeRow = Callable[[str, os.stat_result], Any]
_TYPE_BITS = 0o170000
_DIRECTORY = stat.S_IFDIR
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1 << 20


def reason_of(error: OSError) -> str:
    """The name of an error number, as it stands in `dir_close.reason`."""
    return errno.errorcode.get(error.errno or 0, "EIO")


class Lister:
    """Lists what it is told and hands over frames. `write` takes one finished frame."""

    def __init__(self, orders: frames.Orders, write: Callable[[frames.Listed], None]) -> None:
        self._orders = orders
        self._write = write
        self._filters = Filters(orders.include, orders.exclude)
        self._cache = CommittedCache(orders.skip_cache) if orders.skip_cache else None
        self._encode = mapping.event_encoder(orders.fields_mapping, orders.protocol)
        plain = not orders.fields_mapping and orders.protocol >= PROTOCOL_V3
        self._make_row: MakeRow = rows.scan_row if plain else rows.row
        self._frame = frames.Listed()
        self._frame_started = time.monotonic()
        self._entries = 0
        self._started = time.monotonic()

    def run(self, task: frames.Task) -> None:
        """Lists the task's directories depth-first and, unless it is shallow, what lies below, until the budget is spent."""
        stack = task.directories[::-1]
        left: list[bytes] = []
        budget = self._entries + task.entries
        while stack and self._entries < budget:
            subdirectories = self._visit(stack.pop())
            (left if task.shallow else stack).extend(reversed(subdirectories))
            self._be_polite()
            if self._frame.rows >= FRAME_ROWS or time.monotonic() - self._frame_started > FRAME_SECONDS:
                self._flush()
        self._frame.left = left + stack
        self._flush(done=True)

    def _flush(self, *, done: bool = False) -> None:
        self._frame.done = done
        self._write(self._frame)
        self._frame, self._frame_started = frames.Listed(), time.monotonic()

    def _be_polite(self) -> None:
        if self._orders.rate > 0:
            ahead = self._entries / self._orders.rate - (time.monotonic() - self._started)
            if ahead > 0:
                time.sleep(ahead)

    def _visit(self, directory: bytes) -> list[bytes]:
        """Lists one directory, or finds it silent. Returns its subdirectories' paths."""
        self._frame.current = directory
        scan_start = clock.monotonic_ms()
        local = rows.local(self._orders.root, directory)
        try:
            before = os.lstat(local)
        except OSError as error:
            return self._failed(directory, scan_start, error)
        if not stat.S_ISDIR(before.st_mode) or self._is_other_mount(before):
            return []
        known = self._cache.get(directory) if self._cache else None
        if known is not None and known.mtime_ns == before.st_mtime_ns and not self._is_deep_turn(directory):
            return self._silent(known, before, scan_start)
        if known is not None and known.mtime_ns not in (before.st_mtime_ns, -1):
            self._frame.changed.append(directory)
        return self._list(directory, local, before, scan_start)

    def _is_other_mount(self, status: os.stat_result) -> bool:
        return status.st_dev != self._orders.device and not self._orders.cross_file_systems

    def _is_deep_turn(self, directory: bytes) -> bool:
        return crc32(directory) % self._orders.deep_cycles == self._orders.deep_turn

    def _silent(self, known: frames.Closed, status: os.stat_result, scan_start: int) -> list[bytes]:
        self._emit([rows.row(rows.key_of(known.path), status, skipped=True)], scan_start)
        self._frame.directories += 1
        self._frame.closed.append(known)
        return [rows.join(known.path, name) for name in known.subdirectories.split(b"/") if name]

    def _list(self, directory: bytes, local: bytes, before: os.stat_result, scan_start: int) -> list[bytes]:
        listing = _Listing(directory, self._filters, self._make_row)
        try:
            for part in listing.rows(local):
                self._entries += len(part)
                self._be_polite()
                if listing.complete:
                    part.append(_dir_close(directory, scan_start, listing))
                self._emit(part, scan_start)
                if self._frame.rows >= FRAME_ROWS:
                    self._flush()
                    self._frame.current = directory
        except OSError as error:
            self._failed(directory, scan_start, error)
        else:
            self._closed(directory, before, listing)
        return [rows.join(directory, name) for name in listing.subdirectories]

    def _closed(self, directory: bytes, before: os.stat_result, listing: "_Listing") -> None:
        self._frame.directories += 1
        self._frame.files += listing.count - len(listing.subdirectories)
        if listing.failed_name:
            self._frame.errors[listing.failed_name] = self._frame.errors.get(listing.failed_name, 0) + 1
            return
        mtime_ns = -1 if self._is_racy(before.st_mtime) else before.st_mtime_ns
        self._frame.closed.append(frames.Closed(directory, mtime_ns, b"/".join(listing.subdirectories)))

    def _is_racy(self, mtime: float) -> bool:
        """Changed so lately, by this host's clock or by the server's, that a second change may bear the same mtime."""
        age = time.time() - mtime
        return min(abs(age), abs(age - self._orders.clock_ahead)) < self._orders.racy_seconds

    def _failed(self, directory: bytes, scan_start: int, error: OSError) -> list[bytes]:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and directory != rows.ROOT:
            # gone since its parent was listed: the parent's next listing proves the absence, nobody else may (R12)
            return []
        reason = reason_of(error)
        path, path_b64 = rows.path_fields(rows.key_of(directory))
        self._emit(
            [FsRow(path=path, path_b64=path_b64, kind="dir_close", ok=False, reason=reason, scan_start=scan_start)], scan_start
        )
        self._frame.directories += 1
        self._frame.errors[reason] = self._frame.errors.get(reason, 0) + 1
        return []

    def _emit(self, part: list[Any], scan_start: int) -> None:
        event = Event(
            event_type="update",
            rows=part,
            message_source=self._orders.message_source,
            event_schema="fs",
            table="files",
            index=clock.wall_ms(),
            observed_at=scan_start,
        )
        self._frame.events.append(self._encode(event))
        self._frame.rows += len(part)


class _Listing:
    """One directory while it is listed: rows come out in parts, the proof of completeness adds up beside them (R11). `complete`
    is set when the last part comes out."""

    def __init__(self, directory: bytes, filters: Filters, make_row: MakeRow) -> None:
        self._directory, self._filters, self._make_row = directory, filters, make_row
        self._prefix = rows.key_of(rows.join(directory, b""))
        self._filtered = not filters.trivial
        self._digests = 0
        self.count = 0
        self.subdirectories: list[bytes] = []
        self.failed_name = ""
        self.complete = False

    @property
    def names_hash(self) -> str:
        """The proof of which names were listed."""
        return hash_of_sum(self._digests)

    def rows(self, local: bytes) -> Iterator[list[Any]]:
        """The rows in parts of EVENT_ROWS, the last one possibly empty. Raises OSError when the listing breaks off."""
        part: list[Any] = []
        vanished = False
        prefix, make_row, filtered = self._prefix, self._make_row, self._filtered
        with _opened(local) as descriptor, os.scandir(descriptor) as entries:
            # the innermost loop of every scan: what it calls, it calls for each entry of the tree
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    vanished = True
                    continue
                except OSError as error:
                    self.failed_name = reason_of(error)
                    continue
                text = entry.name
                plain = text.isascii()
                name = text.encode() if plain else os.fsencode(text)
                is_directory = (status.st_mode & _TYPE_BITS) == _DIRECTORY
                if filtered and not self._keeps(name, is_directory=is_directory):
                    continue
                if is_directory:
                    self.subdirectories.append(name)
                self.count += 1
                self._digests += adler32(name) << 32 | crc32(name)  # listing.name_digest, in place
                part.append(make_row(prefix + text if plain else self._key(name), status))
                if len(part) >= EVENT_ROWS:
                    yield part
                    part = []
        if vanished and self._still_listed(local):
            self.failed_name = "ENOENT"
        self.complete = True
        yield part

    def _keeps(self, name: bytes, *, is_directory: bool) -> bool:
        return self._filters.keeps(rows.join(self._directory, name), name, is_directory=is_directory)

    def _key(self, name: bytes) -> str:
        return rows.key_of(rows.join(self._directory, name))

    def _still_listed(self, local: bytes) -> bool:
        """Lists once more after a name without an inode: true when some name still has none (R12)."""
        with os.scandir(local) as entries:
            for entry in entries:
                try:
                    entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    return not _is_gone(entry)
                except OSError as error:
                    self.failed_name = reason_of(error)
        return False


@contextlib.contextmanager
def _opened(local: bytes) -> Iterator[int]:
    """A descriptor of a directory. Entries are then looked at by their name alone: the kernel walks the path once, not for each of
    them, and a directory that became a link in the meantime is not followed out of the root (R36)."""
    descriptor = os.open(local, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_gone(entry: "os.DirEntry[bytes]") -> bool:
    parent, _, name = entry.path.rpartition(b"/")
    return name not in os.listdir(parent or b"/")


def _dir_close(directory: bytes, scan_start: int, listing: _Listing) -> FsRow:
    path, path_b64 = rows.path_fields(rows.key_of(directory))
    return FsRow(
        path=path,
        path_b64=path_b64,
        kind="dir_close",
        ok=not listing.failed_name,
        reason=listing.failed_name or None,
        count=listing.count,
        names_hash=listing.names_hash,
        scan_start=scan_start,
    )


def read_frame(stream: BinaryIO) -> bytes | None:
    """The body of the next frame, or None at the end."""
    head = stream.read(frames.LENGTH.size)
    if len(head) < frames.LENGTH.size:
        return None
    return stream.read(frames.LENGTH.unpack(head)[0])


def main() -> None:
    """Reads orders and their tasks, of one scan after the other, until stdin closes."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    first = read_frame(incoming)
    if first is None:
        return
    orders = msgspec.msgpack.decode(first, type=frames.Orders)
    os.nice(orders.nice)
    # rows are made by the million and refer to nothing: collecting finds no cycle, it only looks for them
    gc.disable()
    if sys.platform == "linux":
        # a larger pipe lets this process list on while the other side compresses and sends
        with contextlib.suppress(OSError):
            fcntl.fcntl(outgoing, _F_SETPIPE_SZ, _PIPE_BYTES)

    def write(listed: frames.Listed) -> None:
        outgoing.write(frames.pack(listed))
        outgoing.flush()

    lister = Lister(orders, write)
    messages: msgspec.msgpack.Decoder[frames.Task | frames.Orders] = msgspec.msgpack.Decoder(frames.Task | frames.Orders)
    while (body := read_frame(incoming)) is not None:
        message = messages.decode(body)
        if isinstance(message, frames.Orders):
            lister = Lister(message, write)
        else:
            lister.run(message)


if __name__ == "__main__":
    main()
