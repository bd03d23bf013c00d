"""Clients that take an answer, or send a request, by the byte: they cost one piece of memory, and not for long (scenario 162)."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import RunningServer, wait_until
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox

OLD = time.time() - 86_400
FILES = 30_000
MIB = 1024 * 1024
# how long the server waits for a slow client: more than a client that means well stands still on a busy machine
PATIENCE = 3.0


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A server of this module, which loses its patience with a slow client soon."""
    with RunningServer(FUSTOR_SLOW_CLIENT_SECONDS=str(PATIENCE)) as running:
        yield running


@pytest.fixture
def agent(world: World) -> V2Client:
    """A view whose whole tree takes about 10 MB."""
    client = world.client()
    client.S()
    rows = [d("/d", OLD), *(f(f"/d/{'n' * 100}{number:06}", OLD) for number in range(FILES))]
    for start in range(0, len(rows), 5_000):
        client.P("sn", rows[start : start + 5_000], "insert")
    client.P("sn", [], end=True)
    return client


def ask(world: World, call: str = "tree") -> socket.socket:
    """Ask for the whole tree over a connection with a small window."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", world.server.port))
    lines = [f"GET /api/v1/views/{world.view.slug}/{call} HTTP/1.1", "Host: localhost", f"X-API-Key: {world.query_key}", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def resident(server: RunningServer) -> int:
    """Bytes of memory of the web process."""
    assert server.web is not None
    status = Path(f"/proc/{server.web.pid}/status").read_text(encoding="utf-8")
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def is_cut_off(connection: socket.socket) -> bool:
    """Whether the connection ended before the answer did; takes what has come."""
    end = b"0\r\n\r\n"
    last = b""
    try:
        while piece := connection.recv(65536):
            last = (last + piece)[-len(end) :]
    except (ConnectionResetError, BrokenPipeError):
        return True
    except TimeoutError:
        return False
    return last != end


def is_reset(use: Callable[[Any], object], argument: Any) -> bool:
    """Whether using the connection once more finds it cut off."""
    try:
        use(argument)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def test_s162_a_reader_that_takes_nothing_costs_little_and_is_cut_off(world: World, agent: V2Client) -> None:
    whole = len(world.reader.Q().content)
    before = resident(world.server)
    with ExitStack() as open_connections:
        slow = [open_connections.enter_context(ask(world)) for _ in range(20)]
        for connection in slow:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert world.reader.ST().status_code == 200
        held: list[int] = []

        def are_cut_off() -> bool:
            held.append(resident(world.server) - before)
            return world.server.logs().count("a reader took nothing") >= 20

        wait_until(are_cut_off, 60, "the cut")
        assert max(held) < 20 * whole / 2
        assert all(is_cut_off(connection) for connection in slow)
    assert agent.HB().status_code == 200


def test_s162_a_reader_of_a_kilobyte_a_second_is_cut_off_and_a_steady_one_is_not(world: World, agent: V2Client) -> None:
    with ask(world) as slow, ask(world) as steady:
        received, began = 0, time.monotonic()
        while piece := steady.recv(262_144):
            received += len(piece)
            if piece.endswith(b"0\r\n\r\n"):
                break
            if time.monotonic() - began < PATIENCE + 1:
                time.sleep(0.02)
        assert received > 5 * MIB
        assert time.monotonic() - began > PATIENCE, "it took longer in all than it may take nothing"
        wait_until(lambda: is_reset(slow.recv, 100), 60, "the slow one to be cut off")


@pytest.mark.parametrize("start", [b"", b"POST /api/v1/pipe/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"])
def test_s162_a_request_sent_by_the_byte_is_cut_off(world: World, start: bytes) -> None:
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=60) as connection:
        connection.sendall(start)
        wait_until(lambda: is_reset(connection.sendall, b"G"), 60, "the sender to be cut off")
    assert "a request came too slowly" in world.server.logs()


def test_connections_that_are_kept_and_streams_that_say_little_stay(world: World, agent: V2Client) -> None:
    with ask(world, "changes?wait=6") as waiting:
        assert world.reader.ST().status_code == 200
        time.sleep(PATIENCE + 1)
        assert world.reader.ST().status_code == 200
        assert agent.HB().status_code == 200
        assert waiting.recv(4096).startswith(b"HTTP/1.1 200")
