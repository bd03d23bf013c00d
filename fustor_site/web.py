"""The web process: `python -m fustor_site.web HOST PORT`. Daphne, with the options that its command line cannot set.

Started by the supervisor and by the tests. Behind a proxy (FUSTOR_BEHIND_PROXY) addresses come from X-Forwarded-*.
"""

import argparse
import io
import os
import sys
from typing import IO

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")

from daphne import http_protocol
from daphne.endpoints import build_endpoint_description_strings

from fustor_site.asgi import application
from fustor_site.slow_clients import PatientChannel, PatientRequest, PatientServer

# Twisted writes every body over 100 kB to a file first; a batch seldom has more than this
IN_MEMORY_BYTES = 4 * 1024 * 1024
# bodies reach the application in pieces of this size: what is in memory in one, for a piece costs a copy and a turn of the loop
BODY_PIECE_BYTES = IN_MEMORY_BYTES + 1
# what a websocket may bring at once, and what it may be told at once: a message over its limit is refused, whoever sends it
WEBSOCKET_FRAME_BYTES = 64 * 1024
WEBSOCKET_MESSAGE_BYTES = 4 * 1024 * 1024
# connections that wait to be accepted; Twisted's 50 overflow when a fleet comes back after a restart, and the kernel then lets each
# that found no place try again a second later
WAITING_CONNECTIONS = 1024


class Request(PatientRequest):
    """Daphne's request, with an ordinary body kept in memory, and of a body over the limit only as much as shows that it is."""

    content: IO[bytes]

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """The headers are read; `length` is None for a chunked body."""
        from django.conf import settings

        self._room = int(settings.FUSTOR_MAX_BODY_BYTES) + 1
        if length is not None and length <= IN_MEMORY_BYTES:
            self.content = io.BytesIO()
        else:
            super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A piece of the body. What is over the limit is read and dropped: a client that still sends would not see an answer."""
        kept = data[: self._room]
        self._room -= len(kept)
        super().handleContentChunk(kept)


def server(host: str, port: int) -> PatientServer:
    """The server, not yet running. Twisted drops a connection that sends nothing for 60 s in the middle of a request."""
    from django.conf import settings

    http_protocol.WebRequest = Request  # the name that Daphne's factory looks up for every connection
    http_protocol.HTTPFactory.protocol = PatientChannel
    behind_proxy = settings.SECURE_PROXY_SSL_HEADER is not None
    return PatientServer(
        application,
        endpoints=[f"{at}:backlog={WAITING_CONNECTIONS}" for at in build_endpoint_description_strings(host=host, port=port)],
        request_buffer_size=BODY_PIECE_BYTES,
        # a websocket may stay open for ever; pings find the dead ones
        websocket_timeout=-1,
        websocket_max_message_size=WEBSOCKET_MESSAGE_BYTES,
        websocket_max_frame_size=WEBSOCKET_FRAME_BYTES,
        # an application that ignores a closed connection is ended soon, so stopping the server is quick
        application_close_timeout=5,
        proxy_forwarded_address_header="X-Forwarded-For" if behind_proxy else None,
        proxy_forwarded_port_header="X-Forwarded-Port" if behind_proxy else None,
        proxy_forwarded_proto_header="X-Forwarded-Proto" if behind_proxy else None,
        server_name="",
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m fustor_site.web")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    # the event loop and a heartbeat's thread get the interpreter within 1 ms, not 5, while another thread applies a batch (R31)
    sys.setswitchinterval(0.001)
    server(options.host, options.port).run()


if __name__ == "__main__":
    main()
