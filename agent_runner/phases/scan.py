"""What every scan phase shares: the job's context, orders for the listing processes, and streaming what they find to the server."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from agent_runner.batches import BatchSize, Stream
from agent_runner.config import FieldMapping, SenderConfig, SourceConfig
from agent_runner.drivers import Lease, Packed, PushAnswer, Sender
from agent_runner.error_recovery import Recovery
from agent_runner.phases.counts import Counts
from agent_runner.problems import SourceLost, TooLarge
from agent_runner.pushing import push_until_committed
from agent_runner.sources.fs import frames, identity, settings
from agent_runner.sources.fs.scanner import Listers, Scanner
from fustor_schema.sources import SourceType

FIRST_ROWS, LEAST_ROWS, MOST_ROWS = 4_000, 200, 10_000
BATCH_SECONDS = 1.0


class JobContext(msgspec.Struct, frozen=True):
    """What a job process must know of the AgentPipe it works for. The server's lease says the rest."""

    pipe_id: str
    task_id: str
    session_id: str
    protocol: int
    source: SourceConfig
    sender: SenderConfig
    state_directory: str
    root_id: str
    fields_mapping: list[FieldMapping] = []
    epoch: int = 0
    clock_ahead_ms: int = 0


class StorageRoot:
    """The directory that a job looks at, and whether it is the storage that the session was opened for (R20)."""

    def __init__(self, context: JobContext) -> None:
        self.settings = settings.parse(context.source.settings)
        self.path = os.fsencode(os.path.realpath(context.source.uri))
        self._uri, self._expected = context.source.uri, context.root_id

    def check(self) -> str:
        """The identity of the mount now. Raises SourceLost when it is another one, SourceProblem when it cannot be read."""
        found = identity.read(self.path, marker=self.settings.root_marker)
        if self._expected and found != self._expected:
            raise SourceLost(f"{self._uri} is another storage than the session was opened for: {found}, not {self._expected}")
        return found


class ScanJob:
    """One run of a scan phase: streams frames to the server in batches of the phase's source type."""

    def __init__(
        self, context: JobContext, lease: Lease, sender: Sender, source_type: SourceType, listers: Listers | None = None
    ) -> None:
        self.context, self.lease, self.sender, self.source_type = context, lease, sender, source_type
        self._storage, self._listers = StorageRoot(context), listers
        self.settings, self.root = self._storage.settings, self._storage.path
        self.counts = Counts()
        self.session_id = lease.session_id or context.session_id
        self.epoch = lease.epoch or context.epoch
        self.root_id = self._storage.check()
        self._stream = Stream(self.session_id, protocol=context.protocol, stream=stream_name(lease))
        self._size = BatchSize(FIRST_ROWS, LEAST_ROWS, MOST_ROWS)
        self._recovery = Recovery(first=1.0, longest=15.0)

    def check_same_root(self) -> None:
        """Asks again at the end. Raises SourceLost: nothing that was found missing may count."""
        self._storage.check()

    def mapping(self) -> list[dict[str, Any]]:
        """The fields mapping as plain values."""
        plain: list[dict[str, Any]] = msgspec.to_builtins(self.context.fields_mapping)
        return plain

    def orders(self, *, skip_cache: str = "", deep_turn: int = 0) -> frames.Orders:
        """Orders for the listing processes of this job."""
        return frames.Orders(
            root=self.root,
            device=os.stat(self.root).st_dev,
            message_source=self.source_type.value,
            include=self.settings.include,
            exclude=self.settings.exclude,
            cross_file_systems=self.settings.cross_file_systems,
            nice=self.settings.scan_nice,
            rate=self.settings.scan_rate / self.settings.scan_processes,
            skip_cache=skip_cache,
            deep_turn=deep_turn,
            deep_cycles=self.settings.deep_cycles,
            racy_seconds=self.settings.racy_seconds,
            clock_ahead=self.context.clock_ahead_ms / 1000,
            fields_mapping=self.mapping(),
            protocol=self.context.protocol,
        )

    def scanner(self, orders: frames.Orders, start: list[bytes], *, shallow: bool = False) -> Scanner:
        """A scan of these directories with the source's limits."""
        return Scanner(
            orders,
            start,
            processes=1 if shallow else self.settings.scan_processes,
            timeout=self.settings.directory_timeout,
            shallow=shallow,
            listers=self._listers,
        )

    async def send_all(
        self, found: AsyncIterator[frames.Listed], committed: Callable[[list[frames.Closed]], None] | None = None
    ) -> None:
        """Sends every frame, several to a batch, none before the one ahead is committed; meanwhile the next one is made ready.
        `committed` is told which directories were closed in what the server has now. Raises SenderProblem."""
        sending: asyncio.Task[None] | None = None
        try:
            async with aclosing(self._batches(found)) as batches:
                async for frame in batches:
                    prepared = self._prepare(frame.events, ahead=0 if sending is None else 1)
                    if sending is not None:
                        await sending
                    sending = asyncio.create_task(self._send_frame(frame, prepared, committed))
            if sending is not None:
                await sending
        finally:
            if sending is not None and not sending.done():
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _batches(self, found: AsyncIterator[frames.Listed]) -> AsyncGenerator[frames.Listed]:
        """The frames, put together to batches of the size that the server likes now, or of what came in BATCH_SECONDS."""
        pending, since = frames.Listed(), time.monotonic()
        async for frame in found:
            self.counts.take(frame)
            pending.events.extend(frame.events)
            pending.closed.extend(frame.closed)
            pending.rows += frame.rows
            if pending.rows >= self._size.rows or time.monotonic() - since > BATCH_SECONDS:
                yield pending
                pending, since = frames.Listed(), time.monotonic()
        if pending.events:
            yield pending

    async def _send_frame(
        self, frame: frames.Listed, prepared: "_Prepared", committed: Callable[[list[frames.Closed]], None] | None
    ) -> None:
        await self.send(frame.events, frame.rows, prepared)
        if committed is not None:
            committed(frame.closed)

    async def send(self, events: Sequence[bytes], rows: int, prepared: "_Prepared | None" = None) -> None:
        """Sends one batch, in halves when the receiver finds it too large."""
        if prepared is None or prepared.seq != self._stream.next_seq:
            prepared = self._prepare(events)
        started = time.monotonic()
        try:
            await self._commit(prepared.batch)
        except TooLarge:
            if len(events) < 2:
                raise
            self._size.shrink()
            half = len(events) // 2
            await self.send(events[:half], rows // 2)
            await self.send(events[half:], rows - rows // 2)
            return
        self._size.answered(rows, time.monotonic() - started)

    def _prepare(self, events: Sequence[bytes], ahead: int = 0) -> "_Prepared":
        body = self._stream.batch(events, ahead=ahead, **self._labels())
        return _Prepared(self._stream.next_seq + ahead, self.sender.pack(body))

    async def end(self, metadata: dict[str, Any] | None = None) -> PushAnswer:
        """Sends the in-band end marker, behind the last row (R10)."""
        return await self._commit(self.sender.pack(self._stream.batch([], is_end=True, metadata=metadata, **self._labels())))

    async def complete(self) -> None:
        """Tells that an on-demand scan is done: its rows are committed."""
        metadata = {"scan_path": self.lease.path, "job_id": self.lease.job_id}
        body = self._stream.batch([], source_type=SourceType.JOB_COMPLETE.value, metadata=metadata, epoch=self.epoch)
        await self._commit(self.sender.pack(body))

    def _labels(self) -> dict[str, Any]:
        return {"source_type": self.source_type.value, "epoch": self.epoch, "audit_id": self.lease.audit_id}

    async def _commit(self, batch: Packed) -> PushAnswer:
        answer = await push_until_committed(self.sender, self.session_id, batch, self._recovery)
        self._stream.acknowledged()
        self.counts.batches += 1
        self.counts.applied += answer.applied
        self.counts.rejected += len(answer.rejected)
        return answer


@dataclass(frozen=True)
class _Prepared:
    """A batch that only waits for its turn. It is good for one number in the stream only."""

    seq: int
    batch: Packed


def stream_name(lease: Lease) -> str:
    """The batch stream of a job's attempt: a second attempt numbers afresh, whatever the first one got through."""
    return lease.job_id if lease.attempt <= 1 else f"{lease.job_id}.{lease.attempt}"


async def one_frame(events: list[bytes], rows: int) -> AsyncIterator[frames.Listed]:
    """A frame that no listing process made."""
    yield frames.Listed(events=events, rows=rows, done=True)
    await asyncio.sleep(0)
