"""What slow clients may cost (R31, scenario 162): of an answer one piece at a time waits in memory, and who takes nothing, or
sends a request by the byte, is cut off. Daphne does neither: it buffers whatever the application yields. Used by `web`.
"""

import asyncio
import time
from typing import Any

import structlog
from daphne.http_protocol import WebRequest
from daphne.server import Server
from django.conf import settings
from twisted.web.http import HTTPChannel

log = structlog.get_logger(__name__)

# slower than this is no network, in bytes a second
LEAST_RATE = 4096


class PatientServer(Server):  # type: ignore[misc]  # Daphne has no types
    """Lets the application go on with a streamed answer when the client has taken what it was given."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Send one message of the application."""
        await super().handle_reply(protocol, message)
        if message["type"] == "http.response.body" and message.get("more_body"):
            await protocol.taken()


class PatientRequest(WebRequest):  # type: ignore[misc]
    """A request whose streamed answer goes at the pace of its reader."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_space = asyncio.Event()
        self._has_space.set()

    def handle_reply(self, message: dict[str, Any]) -> None:
        """One message of the application; the first of a streamed body makes this the one that waits for the transport."""
        if message["type"] == "http.response.body" and message.get("more_body") and self.producer is None and self.channel:
            self.registerProducer(self, streaming=True)
        super().handle_reply(message)

    async def taken(self) -> None:
        """Return when the transport has room for more. A reader that takes nothing for FUSTOR_SLOW_CLIENT_SECONDS is cut off."""
        try:
            await asyncio.wait_for(self._has_space.wait(), settings.FUSTOR_SLOW_CLIENT_SECONDS)
        except TimeoutError:
            log.info("a reader took nothing and was cut off", client=self.client_addr, path=self.path)
            if self.channel is not None:
                self.channel.transport.abortConnection()

    def finish(self) -> None:
        """The answer is complete."""
        if self.producer is self:
            self.unregisterProducer()
        super().finish()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        """Nobody reads any more."""
        self._has_space.set()
        super().connectionLost(reason)

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The transport is full."""
        self._has_space.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The transport has room."""
        self._has_space.set()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The connection closes."""
        self._has_space.set()


class PatientChannel(HTTPChannel):
    """A connection whose requests must arrive at a rate; Twisted only cuts off those that send nothing for a minute."""

    transport: Any
    _since: float | None = None
    _received = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A piece of a request."""
        if self._handlingRequest:
            self._since = None
        elif self._is_too_slow(len(data)):
            log.info("a request came too slowly and was cut off", client=str(self.transport.getPeer()), received=self._received)
            self.transport.abortConnection()
            return
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted has half of its types

    def _is_too_slow(self, size: int) -> bool:
        now = time.monotonic()
        if self._since is None:
            self._since, self._received = now, 0
        self._received += size
        return now - self._since > float(settings.FUSTOR_SLOW_CLIENT_SECONDS) + self._received / LEAST_RATE

    def allContentReceived(self) -> None:  # noqa: N802 - Twisted's name
        """The request is whole; the next one has a time of its own."""
        self._since = None
        super().allContentReceived()  # type: ignore[no-untyped-call]
