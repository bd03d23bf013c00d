"""The change feed over real HTTP: pages, long polls, and events that the server sends."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.blackbox.client import V2Client, f
from tests.blackbox.world import World
from tests.queries.conftest import OLD
from tests.queries.test_http import get

pytestmark = pytest.mark.blackbox


def test_s172_the_feed_goes_on_exactly_after_a_disconnect(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    start = get(world, "/changes").json()["next_seq"]
    client.P("rt", [f("/d/one", OLD)])
    client.P("rt", [f("/d/two", OLD)])
    client.delete("/d/one")
    everything = get(world, "/changes", since=start).json()
    named = [(change["kind"], change["path"]) for change in everything["changes"] if change["content_type"] == "file"]
    assert named == [("created", "/d/one"), ("created", "/d/two"), ("deleted", "/d/one")]
    for change in everything["changes"]:
        rest = get(world, "/changes", since=change["seq"]).json()["changes"]
        assert rest == [later for later in everything["changes"] if later["seq"] > change["seq"]]
    assert get(world, "/changes", since=0).json()["reset"] is True
    assert get(world, "/changes", since=everything["next_seq"] + 99).json()["reset"] is True


def test_a_long_poll_answers_when_something_changes_and_when_nothing_does(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    start = get(world, "/changes").json()["next_seq"]
    began = time.monotonic()
    assert get(world, "/changes", since=start, wait=0.3).json()["changes"] == []
    assert time.monotonic() - began > 0.25

    def heard_after(path: str) -> float:
        """Seconds from a change to the answer of a poll that waits for it."""
        since = get(world, "/changes").json()["next_seq"]
        with ThreadPoolExecutor(1) as pool:
            poll = pool.submit(get, world, "/changes", since=since, wait=20)
            time.sleep(0.1)
            client.P("rt", [f(path, OLD)])
            pushed = time.monotonic()
            changes = poll.result().json()["changes"]
            took = time.monotonic() - pushed
        assert path in [change["path"] for change in changes]
        return took

    # an answer that no change woke up comes with the next look, after 2 s each time
    assert min(heard_after(f"/d/late{number}") for number in range(4)) < 1.5


def test_server_sent_events_tell_changes_and_resume(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    start = get(world, "/changes").json()["next_seq"]
    client.P("rt", [f("/d/first", OLD)])
    with world.reader.http.stream(
        "GET", "/changes", params={"path": "/d"}, headers={"Accept": "text/event-stream", "Last-Event-ID": str(start)}
    ) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        events = _events(stream)
        assert next(events)[0] == "start"
        assert _path(next(event for event in events if event[0] == "change")) in ("/d", "/d/first")
        client.P("rt", [f("/elsewhere", OLD), f("/d/second", OLD)])
        assert any(_path(event) == "/d/second" for event in events)


def _events(stream: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in stream.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def _path(event: tuple[str, Any]) -> str:
    path: str = event[1].get("path", "")
    return path
