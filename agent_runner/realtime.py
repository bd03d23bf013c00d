"""The realtime half of one AgentPipe: what the source sees goes to the spool, always; from there to the server, while there is a
session. Used by pipe.py."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent_runner import mapping
from agent_runner.batches import Stream
from agent_runner.config import PipeConfig
from agent_runner.drivers import Grant, Sender, Source
from agent_runner.phases.message import Collector, MessagePhase
from agent_runner.problems import SessionObsolete
from agent_runner.spool import Spool
from fustor_schema.wire import Event

STUCK_SECONDS = 400.0


class Realtime:
    """Lives as long as its AgentPipe. `on_gap` is told of every gap."""

    def __init__(
        self, config: PipeConfig, source: Source, sender: Sender, directory: Path, on_gap: Callable[[Event], None]
    ) -> None:
        self._sender = sender
        self._fields_mapping = msgspec.to_builtins(config.fields_mapping)
        self._spool = Spool(directory, config.spool_bytes)
        self._collector = Collector(source.events.subscribe(), self._spool, on_gap)
        self._phase: MessagePhase | None = None

    async def collect(self) -> None:
        """Never returns: takes what the source sees, whatever the server does."""
        await self._collector.run()

    async def send(self, grant: Grant) -> None:
        """Sends for one session. Never returns; raises the SenderProblem that ends the session."""
        encode = mapping.event_encoder(self._fields_mapping, grant.protocol)
        stream = Stream(grant.session_id, protocol=grant.protocol, committed=grant.committed_seq)
        self._phase = MessagePhase(self._sender, stream, self._spool, self._collector, encode)
        try:
            await self._phase.run()
        finally:
            self._phase = None

    def check_progress(self) -> None:
        """Raises SessionObsolete when the phase is stuck: neither sending, nor told to wait, nor without work."""
        if self._phase is not None and time.monotonic() - self._phase.progress_at > STUCK_SECONDS:
            raise SessionObsolete("the message phase made no progress: started again")

    def keep(self) -> None:
        """Writes what was not sent to the disk, for the next start."""
        self._spool.save()

    def health(self) -> dict[str, Any]:
        """Realtime's part of the health report."""
        return {
            "events_pushed": self._phase.pushed if self._phase else 0,
            "waiting_for": self._phase.waiting_for if self._phase else "",
            "queue": len(self._spool),
            "spool_bytes": self._spool.bytes_on_disk,
            "events_lost": self._collector.lost,
        }
