"""The parallel scan of a tree: hands directories to listing processes and streams what comes back. Used by the scan phases.

Memory is bounded by the directories that are known and not yet listed, never by the tree. A directory's rows leave before those of
its subdirectories. A directory that hangs costs its listing process, not the scan: the process is killed, its task is tried
again one directory at a time, and what hangs alone is reported as `dir_close{ok: false, reason: timeout}` (R12).
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent_runner import clock, killing, log, mapping
from agent_runner.sources.fs import frames, rows
from fustor_schema.wire import Event, FsRow

QUEUED_FRAMES = 3
BUFFER_BYTES = 1 << 20
STOP_SECONDS = 1.0
TASK_DIRECTORIES = 64
TASK_ENTRIES = 20_000
# while there is too little to do for everybody, what is found is given back soon
SHARED_ENTRIES = 1_000
_log = log.get("scanner")
_decoder = msgspec.msgpack.Decoder(frames.Listed)


class ListerFailed(Exception):
    """A listing process hung or died; the text is the reason code."""


@dataclass
class Frontier:
    """Directories still to list, newest first (depth-first keeps it small), and those that must be tried alone."""

    waiting: list[bytes]
    alone: list[bytes] = field(default_factory=list)
    held: dict[int, frames.Task] = field(default_factory=dict)

    def next_task(self, lister: int, listers: int, *, shallow: bool) -> frames.Task | None:
        """The next task of one lister, None when there is nothing to hand out now."""
        if self.alone:
            task = frames.Task([self.alone.pop()], shallow=True)
        elif self.waiting:
            share = max(1, min(TASK_DIRECTORIES, len(self.waiting) // (2 * listers)))
            scarce = len(self.waiting) < 2 * listers
            entries = SHARED_ENTRIES if scarce else TASK_ENTRIES
            task = frames.Task([self.waiting.pop() for _ in range(min(share, len(self.waiting)))], shallow, entries)
        else:
            return None
        self.held[lister] = task
        return task

    def finished(self, lister: int, left: list[bytes]) -> None:
        """Takes back what a finished task left over."""
        del self.held[lister]
        self.waiting.extend(left)

    def failed(self, lister: int) -> bytes | None:
        """Puts a failed task back, directory by directory. Returns the directory when it had been tried alone already."""
        task = self.held.pop(lister)
        if task.shallow and len(task.directories) == 1:
            return task.directories[0]
        self.alone.extend(task.directories)
        return None

    @property
    def exhausted(self) -> bool:
        """True when nothing waits and nobody works."""
        return not (self.waiting or self.alone or self.held)


class _ListerProcess:
    def __init__(self, process: asyncio.subprocess.Process, nice: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.nice = nice
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout

    @classmethod
    async def start(cls, orders: frames.Orders) -> "_ListerProcess":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent_runner.sources.fs.lister",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=BUFFER_BYTES,
        )
        started = cls(process, orders.nice)
        started.send(orders)
        return started

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    def send(self, message: msgspec.Struct) -> None:
        self._stdin.write(frames.pack(message))

    async def read(self, timeout: float) -> frames.Listed:
        try:
            async with asyncio.timeout(timeout):
                head = await self._stdout.readexactly(frames.LENGTH.size)
                return _decoder.decode(await self._stdout.readexactly(frames.LENGTH.unpack(head)[0]))
        except TimeoutError as error:
            raise ListerFailed("timeout") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ListerFailed("crashed") from error

    async def stop(self) -> None:
        if not await killing.kill(self._process, STOP_SECONDS):
            _log.error("a listing process does not end: it hangs in the storage", pid=self._process.pid)


class Listers:
    """Listing processes that wait for the next scan, so that a scan of one directory need not start any. Of one event loop."""

    def __init__(self) -> None:
        self._waiting: list[_ListerProcess] = []

    async def take(self, orders: frames.Orders) -> _ListerProcess:
        """One that has these orders; niceness cannot be taken back, so it must have that already."""
        for process in self._waiting:
            if process.nice == orders.nice and process.is_alive:
                self._waiting.remove(process)
                process.send(orders)
                return process
        return await _ListerProcess.start(orders)

    def give_back(self, process: _ListerProcess) -> None:
        """It has nothing left to do."""
        self._waiting.append(process)

    async def close(self) -> None:
        """Ends them all."""
        await asyncio.gather(*(process.stop() for process in self._waiting))
        self._waiting.clear()


class Scanner:
    """One scan. `shallow`: the start directories only. Iterate `listed()`; closing the iterator ends every process, but those
    that go back to `listers`."""

    def __init__(
        self,
        orders: frames.Orders,
        start: list[bytes],
        *,
        processes: int,
        timeout: float,
        shallow: bool = False,
        listers: Listers | None = None,
    ) -> None:
        self._listers = listers
        self._orders, self._processes, self._timeout, self._shallow = orders, processes, timeout, shallow
        self.frontier = Frontier(start)
        self._frames: asyncio.Queue[frames.Listed | BaseException | None] = asyncio.Queue(QUEUED_FRAMES)
        self._changed = asyncio.Condition()
        self._encode = mapping.event_encoder(orders.fields_mapping, orders.protocol)

    async def listed(self) -> AsyncIterator[frames.Listed]:
        """Yields what is found, until the tree is done. Raises what broke the scan as a whole."""
        workers = [asyncio.create_task(self._work(number)) for number in range(self._processes)]
        ending = asyncio.create_task(self._end(workers))
        try:
            while (frame := await self._frames.get()) is not None:
                if isinstance(frame, BaseException):
                    raise frame
                yield frame
        finally:
            for task in (ending, *workers):
                task.cancel()
            await asyncio.gather(ending, *workers, return_exceptions=True)

    async def _end(self, workers: list[asyncio.Task[None]]) -> None:
        results = await asyncio.gather(*workers, return_exceptions=True)
        failure = next((result for result in results if isinstance(result, BaseException)), None)
        await self._frames.put(failure)

    async def _work(self, number: int) -> None:
        process = await self._lister()
        unused = False
        try:
            while (task := await self._next_task(number)) is not None:
                process.send(task)
                try:
                    await self._follow(process, number)
                except ListerFailed as failure:
                    await process.stop()
                    await self._report_failed(number, str(failure))
                    process = await self._lister()
            unused = True
        finally:
            if unused and self._listers is not None:
                self._listers.give_back(process)
            else:
                await process.stop()

    async def _lister(self) -> _ListerProcess:
        return await (_ListerProcess.start(self._orders) if self._listers is None else self._listers.take(self._orders))

    async def _next_task(self, number: int) -> frames.Task | None:
        async with self._changed:
            while not self.frontier.exhausted:
                if task := self.frontier.next_task(number, self._processes, shallow=self._shallow):
                    return task
                await self._changed.wait()
            self._changed.notify_all()
        return None

    async def _follow(self, process: _ListerProcess, number: int) -> None:
        done = False
        while not done:
            frame = await process.read(self._timeout)
            done = frame.done
            await self._frames.put(frame)
            if done:
                async with self._changed:
                    # the rows are on their way before their subdirectories can be handed out: parents before children
                    self.frontier.finished(number, [] if self._shallow else frame.left)
                    self._changed.notify_all()

    async def _report_failed(self, number: int, reason: str) -> None:
        async with self._changed:
            hopeless = self.frontier.failed(number)
            self._changed.notify_all()
        if hopeless is not None:
            await self._frames.put(self._unscanned(hopeless, reason))

    def _unscanned(self, directory: bytes, reason: str) -> frames.Listed:
        now = clock.monotonic_ms()
        path, path_b64 = rows.path_fields(rows.key_of(directory))
        close = FsRow(path=path, path_b64=path_b64, kind="dir_close", ok=False, reason=reason, scan_start=now)
        event = Event(
            event_type="update",
            rows=[close],
            message_source=self._orders.message_source,
            event_schema="fs",
            table="files",
            index=clock.wall_ms(),
            observed_at=now,
        )
        return frames.Listed([self._encode(event)], rows=1, directories=1, errors={reason: 1}, current=directory, done=True)


def root_event(root: bytes, message_source: str, fields_mapping: Sequence[dict[str, Any]], protocol: int) -> bytes:
    """The event of the root's own row, which no listing has. Raises OSError when the root cannot be read."""
    now = clock.monotonic_ms()
    row = rows.row("/", os.lstat(os.path.realpath(root)))
    event = Event(
        event_type="update",
        rows=[row],
        message_source=message_source,
        event_schema="fs",
        table="files",
        index=clock.wall_ms(),
        observed_at=now,
    )
    return mapping.event_encoder(fields_mapping, protocol)(event)
