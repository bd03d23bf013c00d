"""A forest over HTTP: its members' agents feed it, and questions without `member` are answered for all of them (R51)."""

import json
import time
from collections.abc import Callable

import pytest

from tests.blackbox.client import V2Client, d, f
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox

OLD = time.time() - 86_400


@pytest.fixture
def fed(make_world: Callable[..., World]) -> tuple[World, list[V2Client], list[str]]:
    """A forest of two pipes, each with /d; the pipes' ids."""
    world = make_world(driver="fs-forest", pipes=2, view={"max_nodes": 8})
    clients = [world.client(f"agent{number}:p", pipe=number) for number in (1, 2)]
    for number, client in enumerate(clients, 1):
        client.S()
        client.snapshot([d("/d", OLD), f(f"/d/hit-{number}", OLD)])
    return world, clients, sorted(world.view.trees.values_list("scope", flat=True))


def test_s017_questions_without_a_member_are_answered_for_all(fed: tuple[World, list[V2Client], list[str]]) -> None:
    world, clients, members = fed
    http = world.reader.http
    found = http.get("/search", params={"pattern": "hit"})
    assert {(node["member"], node["path"]) for node in found.json()} == set(zip(members, ["/d/hit-1", "/d/hit-2"], strict=True))
    assert found.headers["X-Fustor-Freshness"] == "live"
    first = http.get("/search", params={"pattern": "hit", "limit": 1})
    rest = http.get("/search", params={"pattern": "hit", "limit": 1, "cursor": first.headers["X-Fustor-Next-Cursor"]})
    assert first.json() + rest.json() == found.json()
    verdict = http.get("/settled", params={"path": "/d"}).json()
    assert [each["pipe_id"] for each in verdict["members"]] == members
    assert world.reader.BS().json()["deletion_count"] == 0
    assert world.reader.SU().json() == []
    start = http.get("/changes").json()["next_seq"]
    clients[1].P("rt", [f("/d/new", OLD)])
    told = http.get("/changes", params={"since": start, "wait": 20}).json()
    assert [(change["member"], change["path"]) for change in told["changes"]] == [(members[1], "/d/new")]
    assert http.get("/changes", params={"since": told["next_seq"]}).json()["changes"] == []


def test_server_sent_events_of_a_forest_resume(fed: tuple[World, list[V2Client], list[str]]) -> None:
    world, clients, members = fed
    start = world.reader.http.get("/changes").json()["next_seq"]
    clients[0].P("rt", [f("/d/new", OLD)])
    headers = {"Accept": "text/event-stream", "Last-Event-ID": start}
    with world.reader.http.stream("GET", "/changes", headers=headers) as stream:
        lines = iter(stream.iter_lines())
        event: dict[str, str] = {}
        while event.get("event") != "change":
            event = dict(line.split(": ", 1) for line in iter(lambda: next(lines), ""))
    change = json.loads(event["data"])
    assert (change["member"], change["path"]) == (members[0], "/d/new")
    assert event["id"] != start


def test_max_nodes_counts_every_member(fed: tuple[World, list[V2Client], list[str]]) -> None:
    _, clients, _ = fed
    answer = clients[0].P("rt", [f(f"/d/{number}", OLD) for number in range(6)])
    assert (answer.status_code, answer.json()["applied"]) == (507, 4)
    assert clients[1].P("rt", [f("/d/more", OLD)]).status_code == 507
    assert clients[0].delete("/d/0").status_code == 200
    assert clients[1].P("rt", [f("/d/more", OLD)]).status_code == 200
