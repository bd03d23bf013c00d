"""A forest over real HTTP: the same path in the copies of its members, one of which goes away."""

from collections.abc import Callable

import pytest

from tests.blackbox.client import d, f
from tests.blackbox.world import World
from tests.queries.conftest import OLD
from tests.queries.test_http import get

pytestmark = pytest.mark.blackbox


def test_s174_a_forest_compares_copies_and_an_unreachable_one_is_unknown(make_world: Callable[..., World]) -> None:
    world = make_world(driver="fs-forest", pipes=2)
    one, two = (pipe.slug for pipe in world.pipes)
    first = world.client("a:p", pipe=1)
    second = world.client("b:p", pipe=2)
    first.S()
    second.S()
    first.snapshot([d("/x", OLD), f("/x/both", OLD), f("/x/first", OLD)])
    second.snapshot([d("/x", OLD), f("/x/both", OLD, 9)])
    stats = world.reader.ST(path="/x").json()
    assert {member["pipe_id"]: member["status"] for member in stats["members"]} == {one: "ok", two: "ok"}
    assert stats["best"]["pipe_id"] == one
    tree = world.reader.Q("/x").json()
    assert {pipe: member["status"] for pipe, member in tree["members"].items()} == {one: "ok", two: "ok"}
    entries = {entry["name"]: entry for entry in get(world, "/compare", path="/x").json()["entries"]}
    assert entries["first"]["states"] == {one: "present", two: "missing"}
    assert entries["both"]["differs"] == ["size"]
    second.X()
    second.session_id = ""
    entries = {entry["name"]: entry for entry in get(world, "/compare", path="/x").json()["entries"]}
    assert entries["first"]["states"] == {one: "present", two: "unknown"}
    for call in ("/metadata", "/explain"):
        members = get(world, call, path="/x/first").json()["members"]
        assert {member["pipe_id"]: member["status"] for member in members} == {one: "present", two: "unknown"}, call
    assert get(world, "/metadata", path="/x/first", member=one).json()["path"] == "/x/first"
    for by in ("owner", "age"):
        answer = get(world, "/usage", path="/x", by=by)
        assert answer.headers["X-Fustor-Freshness"].startswith("offline"), "as bad as the worst member"
        assert {member["pipe_id"]: member["status"] for member in answer.json()["members"]} == {one: "present", two: "present"}
    assert sum(age["files"] for age in answer.json()["ages"]) == 3
    assert [node["path"] for node in get(world, "/search", pattern="first", member=one).json()] == ["/x/first"]
