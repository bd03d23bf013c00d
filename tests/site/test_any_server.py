"""The application asks of an ASGI server no more than the specification gives."""

from collections.abc import Awaitable, Generator
from typing import Any

import pytest

from fustor_site.program_path import ProgramHandler

SCOPE = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "headers": [(b"host", b"localhost")]}


class Received(Awaitable[dict[str, Any]]):
    """What a server written in another language gives: awaitable, but no coroutine."""

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        yield
        return self.message


@pytest.mark.django_db
async def test_a_server_whose_receive_is_no_coroutine_is_served() -> None:
    sent: list[dict[str, Any]] = []

    def receive() -> Received:
        return Received({"type": "http.request", "body": b"", "more_body": False})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await ProgramHandler()(dict(SCOPE), receive, send)
    assert sent[0]["status"] == 200
