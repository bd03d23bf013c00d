"""Clients that behave badly on the wire: huge bodies, slow senders, oversize headers. Others must not notice."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from apps.pipes.keys import create_key
from tests.blackbox.client import V2Client
from tests.blackbox.processes import PATIENCE_SECONDS
from tests.blackbox.sockets import is_open
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox

MIB = 1024 * 1024


@pytest.fixture
def agent(world: World) -> V2Client:
    """An agent with a session, whose heartbeats must be answered all the while."""
    client = world.client()
    assert client.S(timeout=60).status_code == 200
    return client


def raw(world: World) -> socket.socket:
    """A bare connection to the server."""
    return socket.create_connection(("127.0.0.1", world.server.port), timeout=30)


def test_a_body_over_the_limit_is_refused_with_the_limit_named(world: World, agent: V2Client) -> None:
    url = f"{world.server.url}/api/v1/pipe/ingest/{agent.session_id}/events"

    def body() -> Iterator[bytes]:
        for _ in range(7):
            yield b" " * (10 * MIB)
            assert agent.HB().status_code == 200

    headers = {"X-API-Key": world.key, "Content-Length": str(70 * MIB)}
    answer = httpx.post(url, content=body(), headers=headers, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 413
    assert any(character.isdigit() for character in answer.json()["detail"]), "it names the limit"


def test_s108_a_large_body_under_the_limit_is_read_and_judged(world: World, agent: V2Client) -> None:
    url = f"{world.server.url}/api/v1/pipe/ingest/{agent.session_id}/events"
    answer = httpx.post(url, content=b"[" + b" " * (20 * MIB) + b"1]", headers={"X-API-Key": world.key}, timeout=PATIENCE_SECONDS)
    assert answer.status_code in {413, 422}
    assert agent.HB().status_code == 200


def test_fifty_senders_that_never_finish_their_request_hold_nobody_up(world: World, agent: V2Client) -> None:
    with ExitStack() as open_connections:
        slow = [open_connections.enter_context(raw(world)) for _ in range(50)]
        for connection in slow:
            connection.sendall(b"POST /api/v1/pipe/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")
        for _ in range(6):
            assert agent.HB().status_code == 200
        assert all(is_open(connection) for connection in slow), "nobody waited for their end"


@pytest.mark.parametrize("header", ["X-API-Key", "X-Request-Id", "Cookie"])
def test_s135_a_header_of_one_megabyte_is_refused_and_the_server_lives(world: World, agent: V2Client, header: str) -> None:
    with raw(world) as connection:
        try:
            connection.sendall(
                f"GET /api/v1/pipe/session HTTP/1.1\r\nHost: localhost\r\n{header}: ".encode() + b"a" * MIB + b"\r\n\r\n"
            )
            answer = connection.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""  # refused while it was still being sent
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert agent.HB().status_code == 200


@pytest.mark.parametrize(
    "request_line",
    [b"\x00\xff\xfe", b"GET", b"GET / HTTP/9.9", b"GET /%ff%fe%00 HTTP/1.1", b"GET /api/v1/views/\xf0\x9f/tree HTTP/1.1"],
)
def test_nonsense_on_the_wire_is_no_server_error(world: World, agent: V2Client, request_line: bytes) -> None:
    with raw(world) as connection:
        connection.sendall(request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = connection.recv(65536)
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:300]
    assert agent.HB().status_code == 200


def test_an_agent_that_hangs_up_in_the_middle_of_its_body_leaves_nothing_behind(world: World, agent: V2Client) -> None:
    path = f"/api/v1/pipe/ingest/{agent.session_id}/events"
    with raw(world) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {world.key}\r\nContent-Length: 100000\r\n\r\n"
        connection.sendall(head.encode() + b'{"events": [')
    assert agent.HB().status_code == 200
    assert agent.reader.Q().status_code == 503, "nothing of it was applied: there still is no snapshot"


def test_clients_that_hang_up_after_each_answer_exhaust_no_database_connections(world: World) -> None:
    """Once each such request took one connection of the pool with it: on PostgreSQL the thirteenth waited in vain."""
    key = create_key("management", scopes=["admin"])[1]
    for _ in range(30):
        headers = {"X-API-Key": key, "Connection": "close"}
        answer = httpx.get(f"{world.server.url}/api/v1/manage/keys", headers=headers, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200
