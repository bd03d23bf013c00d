"""Which batch may come in now: bounded bytes in flight, one batch at a time per session, sessions in turn (R31).

Used by the API's event handlers only, inside the event loop of one web process. A session that floods fills its own share and waits
behind itself; the others find the lane free after at most one batch of each.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from apps.runtime.problems import Busy, Unavailable

RETRY_SECONDS = 1.0


@dataclass
class _Sender:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    bytes: int = 0
    batches: int = 0


class Admission:
    """Counts what is in flight. `most_bytes`: of all sessions together; one session may use half of that."""

    def __init__(self, most_bytes: int, most_batches_per_sender: int = 64) -> None:
        self.most_bytes = most_bytes
        self.most_batches_per_sender = most_batches_per_sender
        self._bytes = 0
        self._senders: dict[str, _Sender] = {}

    @property
    def bytes_in_flight(self) -> int:
        """Bytes of all bodies that wait or are being applied."""
        return self._bytes

    @asynccontextmanager
    async def turn(self, sender_id: str, size: int) -> AsyncIterator[None]:
        """Wait for this sender's turn. Raises Busy (429: this sender has too much in flight) and Unavailable (503: all together).

        A lone body is always let in, however big: its size was checked against the receiver's limit.
        """
        sender = self._admit(sender_id, size)
        try:
            async with sender.turn:
                yield
        finally:
            self._leave(sender_id, sender, size)

    def _admit(self, sender_id: str, size: int) -> _Sender:
        if self._bytes and self._bytes + size > self.most_bytes:
            raise Unavailable(
                "The server has all the batches it can hold. Nothing was applied; send the same batch again.",
                code="overloaded",
                retry_after=RETRY_SECONDS,
            )
        sender = self._senders.get(sender_id) or _Sender()
        too_much = sender.bytes and sender.bytes + size > self.most_bytes // 2
        if too_much or sender.batches >= self.most_batches_per_sender:
            raise Busy(
                "This session has too many batches under way. Nothing was applied; send the same batch again.",
                code="session_floods",
                retry_after=RETRY_SECONDS,
            )
        self._senders[sender_id] = sender
        sender.bytes += size
        sender.batches += 1
        self._bytes += size
        return sender

    def _leave(self, sender_id: str, sender: _Sender, size: int) -> None:
        self._bytes -= size
        sender.bytes -= size
        sender.batches -= 1
        if not sender.batches:
            self._senders.pop(sender_id, None)
