"""The message phase: realtime events from the source to the server, in order, through the spool. Runs in the agent's own loop."""

import asyncio
import time
from collections.abc import Callable

from agent_runner import log
from agent_runner.batches import BatchSize, Stream
from agent_runner.bus import Subscriber
from agent_runner.drivers import Sender
from agent_runner.error_recovery import Recovery
from agent_runner.problems import Refused, SequenceGap, TooLarge
from agent_runner.pushing import push_until_committed
from agent_runner.sources.fs import realtime
from agent_runner.spool import Spool, SpoolFull
from fustor_schema.sources import EventType, SourceType
from fustor_schema.wire import Event

_log = log.get("message")
TAKE_EVENTS = 5_000
FIRST_EVENTS, LEAST_EVENTS, MOST_EVENTS = 500, 20, 5_000
BATCH_ROWS = 10_000


class Collector:
    """Moves events from the bus to the spool as fast as they come, whatever the server does. Lives as long as its AgentPipe."""

    def __init__(self, subscriber: Subscriber, spool: Spool, on_gap: Callable[[Event], None]) -> None:
        self._subscriber, self._spool, self._on_gap = subscriber, spool, on_gap
        self._missed = ""
        self.arrived = asyncio.Event()
        self.lost = 0

    async def run(self) -> None:
        """Never returns. Raises nothing: what cannot be kept becomes a gap."""
        while True:
            taken = await self._subscriber.take(TAKE_EVENTS)
            if taken.lost:
                self._lose(taken.lost, "bus_lost")
            self.keep(taken.events)

    def keep(self, events: list[Event]) -> None:
        """Spools events, a gap first when some were lost before them."""
        try:
            if self._missed:
                self._spool.put([self._gap(self._missed)])
                self._missed = ""
            self._spool.put(events)
        except SpoolFull as problem:
            self._lose(len(events), "spool_full")
            _log.error("events lost", reason=str(problem), count=len(events))
        except OSError as error:
            self._lose(len(events), "spool_failed")
            _log.error("events lost", reason=str(error), count=len(events))
        for event in events:
            if event.event_type == EventType.GAP:
                self._on_gap(event)
        self.arrived.set()

    def _lose(self, count: int, reason: str) -> None:
        self.lost += count
        self._missed = reason

    def _gap(self, reason: str) -> Event:
        gap = realtime.gap("/", reason)
        self._on_gap(gap)
        return gap


class MessagePhase:
    """Sends what the spool holds, for one session."""

    def __init__(
        self, sender: Sender, stream: Stream, spool: Spool, collector: Collector, encode: Callable[[Event], bytes]
    ) -> None:
        self._sender, self._stream, self._spool, self._collector, self._encode = sender, stream, spool, collector, encode
        self._size = BatchSize(FIRST_EVENTS, LEAST_EVENTS, MOST_EVENTS)
        self._recovery = Recovery(first=0.5, longest=10.0)
        self.pushed = 0
        self.waiting_for = ""
        self.progress_at = time.monotonic()

    async def run(self) -> None:
        """Never returns. Raises the SenderProblem that ends the session."""
        while True:
            events = _up_to_rows(self._spool.peek(self._size.rows))
            if not events:
                self.progress_at = time.monotonic()
                self._collector.arrived.clear()
                await self._collector.arrived.wait()
                continue
            await self._send(events)

    async def _send(self, events: list[Event]) -> None:
        body = self._stream.batch([self._encode(event) for event in events], source_type=SourceType.MESSAGE.value)
        packed = self._sender.pack(body)
        started = time.monotonic()
        try:
            await push_until_committed(self._sender, self._stream.session_id, packed, self._recovery, self._note_waiting)
        except TooLarge:
            self._halve(events)
            return
        except SequenceGap as problem:
            # the server lost count of this session's stream: it names the number that it takes next
            _log.warning("sequence corrected", expected=problem.expected)
            self._stream.continue_at(problem.expected)
            return
        except Refused as problem:
            self._give_up(events, problem)
            return
        self._stream.acknowledged()
        self._spool.drop(len(events))
        self._size.answered(len(events), time.monotonic() - started)
        self.pushed += len(events)
        self.waiting_for, self.progress_at = "", time.monotonic()

    def _note_waiting(self, reason: str) -> None:
        self.waiting_for, self.progress_at = reason, time.monotonic()

    def _halve(self, events: list[Event]) -> None:
        if len(events) > 1:
            self._size.rows = len(events) // 2
            return
        self._give_up(events, Refused("one event alone is larger than the receiver takes"))

    def _give_up(self, events: list[Event], problem: Refused) -> None:
        """The server will never take this batch: what it held is unverified from now on, and the stream goes on (R37)."""
        _log.error("batch refused for good", reason=str(problem), events=len(events))
        self._spool.drop(len(events))
        if not all(event.event_type == EventType.GAP for event in events):
            self._collector.keep([realtime.gap("/", "batch_refused")])


def _up_to_rows(events: list[Event]) -> list[Event]:
    """So many of the events that their rows make one batch; at least one event."""
    rows = 0
    for count, event in enumerate(events):
        rows += max(1, len(event.rows))
        if rows > BATCH_ROWS and count:
            return events[:count]
    return events
