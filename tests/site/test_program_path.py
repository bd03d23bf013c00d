"""The HTTP path of programs, as an ASGI server drives it: clients that hang up, both kinds of handlers, silent failures."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from fustor_site.program_path import ProgramHandler

SECRET = "the password is swordfish"


class Seen:
    """What the handlers below went through."""

    begun: asyncio.Event
    ended: list[str]
    thread: int


def sync_handler(request: HttpRequest) -> HttpResponse:
    Seen.thread = threading.get_ident()
    return JsonResponse({"body": request.body.decode(), "how": "sync"})


async def async_handler(request: HttpRequest) -> HttpResponse:
    Seen.thread = threading.get_ident()
    return JsonResponse({"body": request.body.decode(), "how": "async"})


async def slow_handler(request: HttpRequest) -> HttpResponse:
    Seen.begun.set()
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        Seen.ended.append("cancelled")
        raise
    return HttpResponse()


async def stream_handler(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"piece"
                Seen.begun.set()
                await asyncio.sleep(0.01)
        finally:
            Seen.ended.append("stream closed")

    return StreamingHttpResponse(pieces())


class Closing(HttpResponse):
    def close(self) -> None:
        Seen.ended.append("answer closed")
        super().close()


async def closing_handler(request: HttpRequest) -> HttpResponse:
    return Closing(b"x")


def failing_sync(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(SECRET)


async def failing_async(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(SECRET)


urlpatterns = [
    path("api/sync", sync_handler),
    path("api/async", async_handler),
    path("api/slow", slow_handler),
    path("api/stream", stream_handler),
    path("api/closing", closing_handler),
    path("api/failing-sync", failing_sync),
    path("api/failing-async", failing_async),
]
handler500 = "fustor_site.errors.server_error"
handler404 = "fustor_site.errors.not_found"


@pytest.fixture(autouse=True)
def fresh() -> Any:
    Seen.begun, Seen.ended = asyncio.Event(), []
    with override_settings(ROOT_URLCONF=__name__):
        yield


class Client:
    """One connection: `say` is what the server hears next, `heard` what the application sent."""

    def __init__(self, at: str, body: bytes = b"") -> None:
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST" if body else "GET",
            "path": at,
            "raw_path": at.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"host", b"127.0.0.1"), (b"content-length", str(len(body)).encode())],
            "client": ("127.0.0.1", 4711),
            "server": ("127.0.0.1", 80),
        }
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[dict[str, Any]] = []

    def say(self, **message: Any) -> None:
        self.inbox.put_nowait(message)

    def say_body(self, body: bytes = b"", more: bool = False) -> None:
        self.say(type="http.request", body=body, more_body=more)

    def hang_up(self) -> None:
        self.say(type="http.disconnect")

    async def _send(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    def serve(self, send: Callable[[dict[str, Any]], Awaitable[None]] | None = None) -> "asyncio.Task[None]":
        return asyncio.create_task(ProgramHandler()(self.scope, self.inbox.get, send or self._send))

    @property
    def status(self) -> int:
        return int(self.heard[0]["status"])

    @property
    def json(self) -> Any:
        return json.loads(b"".join(message.get("body", b"") for message in self.heard[1:]))


async def within(task: "asyncio.Task[None]", seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        await task


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_handlers_of_both_kinds_answer_with_the_body_in_pieces(how: str) -> None:
    client = Client(f"/api/{how}", b"one two")
    client.say_body(b"one ", more=True)
    client.say_body(b"two")
    await within(client.serve())
    assert (client.status, client.json) == (200, {"body": "one two", "how": how})
    assert (Seen.thread == threading.get_ident()) is (how == "async")


async def test_who_hangs_up_in_the_middle_of_the_body_is_not_served() -> None:
    client = Client("/api/async", b"one two")
    client.say_body(b"one ", more=True)
    client.hang_up()
    await within(client.serve())
    assert client.heard == []


async def test_who_hangs_up_before_the_answer_is_worked_for_no_longer() -> None:
    client = Client("/api/slow")
    client.say_body()
    served = client.serve()
    async with asyncio.timeout(30):
        await Seen.begun.wait()
    client.hang_up()
    await within(served)
    assert Seen.ended == ["cancelled"]
    assert client.heard == []


async def test_who_hangs_up_in_the_middle_of_a_stream_ends_it() -> None:
    client = Client("/api/stream")
    client.say_body()
    served = client.serve()
    async with asyncio.timeout(30):
        await Seen.begun.wait()
    client.hang_up()
    await within(served)
    assert client.status == 200
    assert Seen.ended == ["stream closed"]


async def test_an_answer_that_cannot_be_sent_is_closed() -> None:
    async def broken(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            raise OSError("connection reset")

    client = Client("/api/closing")
    client.say_body()
    with pytest.raises(OSError, match="connection reset"):
        await within(client.serve(broken))
    assert Seen.ended == ["answer closed"]


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_a_failure_is_told_as_json_and_tells_nothing(how: str, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(f"/api/failing-{how}")
    client.say_body()
    await within(client.serve())
    assert (client.status, client.json["code"]) == (500, "internal")
    assert client.json["request_id"]
    assert SECRET not in json.dumps(client.json)
    assert SECRET in caplog.text


async def test_an_unknown_path_is_told_as_json() -> None:
    client = Client("/api/nothing")
    client.say_body()
    await within(client.serve())
    assert (client.status, client.json["code"]) == (404, "not_found")


async def test_async_handlers_start_no_thread() -> None:
    before = threading.active_count()
    for _ in range(20):
        client = Client("/api/async", b"x")
        client.say_body(b"x")
        await within(client.serve())
        assert client.status == 200
    assert threading.active_count() <= before
