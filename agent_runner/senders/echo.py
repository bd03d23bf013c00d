"""Sender driver `echo`: prints what would be sent, one JSON line per batch. The way to try a source without a server."""

import sys
from typing import Any, TextIO

import msgspec

from agent_runner.config import SenderConfig
from agent_runner.drivers import Grant, HeartbeatAnswer, Lease, Packed, PushAnswer, Renewal


class EchoSender:
    """Agrees to everything. `print_to` is where the lines go; stdout by default."""

    driver = "echo"

    def __init__(self, config: SenderConfig, print_to: TextIO | None = None) -> None:
        self.config = config
        self._print_to = print_to or sys.stdout

    async def open_session(self, request: dict[str, Any]) -> Grant:
        """A session of protocol 2 with the role of a follower: nobody gives it jobs."""
        self._line("session", request)
        return Grant(session_id="echo", session_timeout_seconds=60.0)

    async def heartbeat(self, session_id: str, report: dict[str, Any]) -> HeartbeatAnswer:
        """Nothing to say."""
        return HeartbeatAnswer()

    async def close_session(self, session_id: str) -> None:
        """Nothing to end."""

    def pack(self, body: bytes) -> Packed:
        """Nothing is compressed: people read it."""
        return Packed(body)

    async def push(self, session_id: str, batch: Packed) -> PushAnswer:
        """Prints the batch."""
        print(batch.content.decode(), file=self._print_to, flush=True)
        return PushAnswer(committed_seq=None)

    async def lease_job(self, job_id: str, session_id: str, worker: str) -> Lease | None:
        """There are no jobs."""
        return None

    async def report_progress(self, job_id: str, progress: dict[str, Any]) -> Renewal:
        """Prints the progress."""
        self._line("progress", progress)
        return Renewal()

    async def finish_job(self, job_id: str, outcome: dict[str, Any]) -> None:
        """Prints the outcome."""
        self._line("finished", outcome)

    async def sentinel_tasks(self) -> list[str]:
        """There are no suspects."""
        return []

    async def sentinel_feedback(self, updates: list[dict[str, Any]]) -> None:
        """Prints what was found."""
        self._line("sentinel", {"updates": updates})

    async def start_audit(self, request: dict[str, Any]) -> None:
        """Prints the start."""
        self._line("audit", request)

    async def close(self) -> None:
        """Nothing is open."""

    def _line(self, what: str, fields: dict[str, Any]) -> None:
        print(msgspec.json.encode({what: fields}).decode(), file=self._print_to, flush=True)
