"""Scenarios about bounded answers over real HTTP: many suspects, many blind spots, slow readers, readers that leave."""

import socket
import time

import pytest

from apps.views.models import BlindSpot, Suspect, Tree
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import PATIENCE_SECONDS
from tests.blackbox.sockets import is_established
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox

OLD = time.time() - 86_400


@pytest.fixture
def fed(world: World) -> tuple[World, V2Client]:
    client = world.client()
    client.S(timeout=600)
    client.snapshot([d("/d", OLD), *[f(f"/d/f{number:05}", OLD) for number in range(3000)]])
    return world, client


def tree_of(world: World) -> Tree:
    return Tree.objects.get(view=world.view)


def test_s082_many_suspects_come_in_pages(fed: tuple[World, V2Client]) -> None:
    world, _ = fed
    tree = tree_of(world)
    until = time.time() + 3600
    Suspect.objects.bulk_create(
        [Suspect(tree=tree, path=f"/d/s{number:06}", since=OLD, until=until) for number in range(25_000)], batch_size=5_000
    )
    found: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": 10_000, **({"cursor": cursor} if cursor else {})}
        answer = world.reader.http.get("/suspect-list", params=parameters)
        assert len(answer.json()) <= 10_000
        found += [entry["path"] for entry in answer.json()]
        cursor = answer.headers.get("X-Fustor-Next-Cursor")
        if cursor is None:
            break
    assert found == [f"/d/s{number:06}" for number in range(25_000)]
    assert world.reader.ST().json()["suspect_file_count"] == 25_000
    tree.suspects.all().delete()


def test_s090_counts_are_of_all_blind_spots_lists_are_of_one_page(fed: tuple[World, V2Client]) -> None:
    world, _ = fed
    tree = tree_of(world)
    BlindSpot.objects.bulk_create(
        BlindSpot(tree=tree, path=f"/gone{number:04}", change="deleted", count=1000 if number == 0 else 1, detected_at=OLD)
        for number in range(300)
    )
    first = world.reader.http.get("/blind-spots", params={"limit": 200}).json()
    assert (first["deletion_count"], len(first["deletions"])) == (1299, 200)
    rest = world.reader.http.get("/blind-spots", params={"limit": 200, "cursor": first["next_cursor"]}).json()
    assert (rest["deletion_count"], len(rest["deletions"]), rest["next_cursor"]) == (1299, 100, None)
    assert not set(first["deletions"]) & set(rest["deletions"])


def asked(world: World, call: str) -> socket.socket:
    """A bare connection over which the view was asked."""
    connection = socket.create_connection(("127.0.0.1", world.server.port), timeout=PATIENCE_SECONDS)
    lines = [f"GET /api/v1/views/{world.view.slug}/{call} HTTP/1.1", "Host: localhost", f"X-API-Key: {world.query_key}", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def test_s162_readers_that_take_nothing_hold_up_nobody(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    slow = [asked(world, "tree") for _ in range(10)]
    try:
        for connection in slow:
            connection.recv(100)
        for _ in range(5):
            assert world.reader.ST().status_code == 200
            assert client.HB().status_code == 200
        assert all(is_established(connection) for connection in slow), "nobody waited for their end"
    finally:
        for connection in slow:
            connection.close()
    assert len(world.reader.paths("/d")) == 3001


def test_s157_readers_that_leave_early_leave_nothing_behind(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    for _ in range(20):
        # longer than the reader below waits for an answer
        for call in ("tree", "changes?wait=60"):
            with asked(world, call):
                pass
    assert client.P("rt", [f("/d/after", OLD)]).status_code == 200
    assert "/d/after" in world.reader.paths("/d")
