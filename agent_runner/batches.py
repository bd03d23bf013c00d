"""Encodes batches: envelope and events put together as bytes, so that a million rows are encoded once, where they were read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from agent_runner import clock


class Stream:
    """The numbering of one stream of batches within a session (R1): `stream` is empty for realtime, the job's id for a scan."""

    def __init__(self, session_id: str, *, protocol: int, stream: str = "", committed: int = 0) -> None:
        self.session_id, self.protocol, self.stream = session_id, protocol, stream
        self.next_seq = committed + 1

    def batch(
        self,
        events: Sequence[bytes],
        *,
        source_type: str,
        is_end: bool = False,
        metadata: dict[str, Any] | None = None,
        epoch: int = 0,
        audit_id: str | None = None,
        ahead: int = 0,
    ) -> bytes:
        """The body of the next batch, or of the one so many `ahead` of it. The same batch sent again must be the same bytes: keep
        them until it is acknowledged."""
        head: dict[str, Any] = {"session_id": self.session_id, "source_type": source_type, "is_end": is_end}
        if metadata:
            head["metadata"] = metadata
        if self.protocol >= 3:
            head |= {"seq": self.next_seq + ahead, "stream": self.stream}
            if not ahead:
                # one made ahead waits for its turn: its age would pass for a slow network
                head["sent_at"] = clock.monotonic_ms()
            if epoch:
                head["epoch"] = epoch
            if audit_id:
                head["audit_id"] = audit_id
        return msgspec.json.encode(head)[:-1] + b',"events":[' + b",".join(filter(None, events)) + b"]}"

    def acknowledged(self) -> None:
        """The last batch is committed: the next one gets the next number."""
        self.next_seq += 1

    def continue_at(self, expected: int) -> None:
        """The server named the number it expects."""
        self.next_seq = expected


class BatchSize:
    """How many rows a batch should hold: grows while the server answers fast, shrinks when it does not. Pure."""

    def __init__(self, first: int, least: int, most: int, *, fast_seconds: float = 0.4, slow_seconds: float = 1.5) -> None:
        self.rows, self._least, self._most = first, least, most
        self._fast, self._slow = fast_seconds, slow_seconds

    def answered(self, rows: int, seconds: float) -> None:
        """Learns from one answer."""
        if seconds > self._slow:
            self.shrink()
        elif seconds < self._fast and rows >= self.rows * 0.8:
            self.rows = min(self._most, self.rows * 2)

    def shrink(self) -> None:
        """The server is slow, or refused the size."""
        self.rows = max(self._least, self.rows // 2)
