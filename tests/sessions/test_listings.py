"""Whole listings of native agents over real HTTP: known by their digest, or read, per view of the pipe."""

import json
from typing import Any

import httpx
import pytest

from apps.pipes.models import PipeView
from apps.views.models import Directory, View
from fustor_schema.listing import names_hash
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox
OLD = 1_000.0


def listing(path: str, *rows: Any) -> list[Any]:
    """The rows of a directory's files, and its `dir_close`."""
    names = [row["path"].rpartition("/")[2] for row in rows if isinstance(row, dict)]
    proof = names_hash(name.encode() for name in names)
    return [*rows, {"path": path, "kind": "dir_close", "ok": True, "count": len(rows), "names_hash": proof, "scan_start": 900}]


@pytest.fixture
def agent(world: World) -> V2Client:
    return leader(world)


def leader(world: World) -> V2Client:
    """A native agent that leads and has listed `/d` in a complete snapshot."""
    client = world.client("n:p")
    client.S(timeout=600, protocol=3, sent_at=1_000.0)
    scan(client, [d("/", OLD), d("/d", OLD)])
    scan(client, listing("/d", f("/d/a", OLD, 1), f("/d/b", OLD, 2)))
    scan(client, [], end=True)
    return client


def scan(client: V2Client, rows: list[Any], *, end: bool = False) -> httpx.Response:
    """One batch of a snapshot, one event."""
    event = {"event_type": "update", "event_schema": "fs", "table": "files", "message_source": "snapshot", "observed_at": 1_000}
    body = {"source_type": "snapshot", "is_end": end, "epoch": 1, "events": [{**event, "rows": rows}] if rows else []}
    return client.http.post(f"/ingest/{client.session_id}/events", json=body)


def test_a_listing_that_says_the_same_again_is_applied(agent: V2Client, world: World) -> None:
    folder = Directory.objects.get(tree__view=world.view, path="/d")
    assert folder.listing_digest != 0
    answer = scan(agent, listing("/d", f("/d/a", OLD, 1), f("/d/b", OLD, 2)))
    assert answer.status_code == 200
    assert (answer.json()["applied"], answer.json()["ignored"], answer.json()["rejected"]) == (3, 0, [])
    folder.refresh_from_db()
    assert folder.confirmed_at > 0
    assert scan(agent, listing("/d", f("/d/a", OLD, 1), f("/d/b", OLD, 5))).status_code == 200
    assert agent.reader.ST().json()["total_size"] == 6


def test_each_view_of_a_pipe_knows_its_own(world: World) -> None:
    other = View.objects.create(slug=f"{world.view.slug}-other")
    PipeView.objects.create(pipe=world.pipe, view=other)
    agent = leader(world)
    folders = Directory.objects.filter(tree__view__in=(world.view, other), path="/d")
    known = folders.get(tree__view=world.view).listing_digest
    folders.filter(tree__view=other).update(listing_digest=0)
    assert scan(agent, listing("/d", f("/d/a", OLD, 1), f("/d/b", OLD, 2))).status_code == 200
    assert [folder.listing_digest for folder in folders] == [known, known]


@pytest.mark.parametrize("path", ["/nul\0/x", "relative/x", "/a/../x", "/surrogate\udcff/x", "//x", "/" + "deep/" * 2_000 + "x"])
def test_odd_paths_in_an_old_clients_snapshot_harm_nothing(world: World, path: str) -> None:
    client = world.client("o:p")
    client.S(timeout=600)
    rows = [d("/good", OLD), f("/good/a", OLD, 1), f(path, OLD, 1), f("/good/b", OLD, 1)]
    event = {"event_type": "update", "rows": rows, "event_schema": "fs", "table": "files", "message_source": "snapshot"}
    body = json.dumps({"source_type": "snapshot", "events": [event]})
    for _ in range(2):
        answer = client.http.post(f"/ingest/{client.session_id}/events", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
    client.P("sn", [], end=True)
    assert {"/good", "/good/a", "/good/b"} <= client.reader.paths()


def test_what_is_no_row_in_a_listing_refuses_the_batch_and_names_the_place(agent: V2Client) -> None:
    answer = scan(agent, listing("/d", f("/d/a", OLD, 9), 7))
    assert answer.status_code == 422
    assert answer.json()["field"] == "events[0].rows[1]"
    assert agent.reader.ST().json()["total_size"] == 3


def test_a_wrong_row_in_a_listing_is_refused_alone(agent: V2Client) -> None:
    answer = scan(agent, listing("/d", f("/d/a", OLD, 9), {"path": "/d/b", "size": "big"}))
    assert answer.status_code == 200
    assert [(reject["event"], reject["row"], reject["field"]) for reject in answer.json()["rejected"]] == [(0, 1, "size")]
    assert agent.reader.ST().json()["total_size"] == 11
