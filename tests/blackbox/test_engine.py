"""What the server alone decides, over HTTP with an old client: scenarios of groups 2 to 7, 10, 11 and 14, by number."""

import signal
import time
from typing import Any

import httpx
import pytest

from tests.blackbox.client import V2Client, d, f
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox

OLD = 1_600_000_000.0


@pytest.fixture
def agent(world: World) -> V2Client:
    """An agent that leads."""
    client = world.client()
    assert client.S(timeout=60).status_code == 200
    return client


def now_ms(seconds: float = 0.0) -> int:
    """The capture time of an agent, `seconds` from now."""
    return int((time.time() + seconds) * 1000)


def node(agent: V2Client, path: str) -> dict[str, Any]:
    """What the view says of one path."""
    answer = agent.reader.Q(path, recursive="false")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(agent: V2Client) -> set[str]:
    """Every path but the root."""
    return agent.reader.paths() - {"/"}


def audit(agent: V2Client, *rows: dict[str, Any]) -> None:
    """A whole audit cycle."""
    assert agent.AS().status_code == 200
    assert agent.P("au", list(rows)).status_code == 200
    assert agent.AE().status_code == 200


def test_s024_a_snapshot_row_from_before_a_delete_stays_out(agent: V2Client) -> None:
    agent.P("sn", [f("/other", OLD)])
    listed = now_ms(-5)
    agent.delete("/x")
    agent.P("sn", [f("/x", OLD)], end=True, index=listed)
    assert names(agent) == {"/other"}


def test_s025_an_event_is_not_undone_by_the_snapshot(agent: V2Client) -> None:
    agent.P("rt", [f("/x", 100.0)])
    agent.P("sn", [f("/x", 90.0)], end=True)
    assert node(agent, "/x")["modified_time"] == 100.0


def test_s026_ending_a_snapshot_twice_or_without_rows_is_fine(agent: V2Client) -> None:
    for _ in range(2):
        assert agent.P("sn", [], end=True).status_code == 200
    assert names(agent) == set()


def test_s027_a_half_snapshot_of_a_dead_leader_deletes_nothing(world: World) -> None:
    first, second = world.client("a:p"), world.client("b:p")
    first.S(timeout=60)
    first.P("sn", [d("/d", OLD), f("/d/half", OLD)])
    first.X()
    second.S(timeout=60)
    assert second.role == "leader"
    second.P("sn", [d("/d", OLD), f("/d/whole", OLD)], end=True)
    assert world.reader.paths() == {"/", "/d", "/d/half", "/d/whole"}


def test_s028_s029_a_type_changes_only_with_a_newer_row(agent: V2Client) -> None:
    listed = now_ms(-10)
    agent.P("sn", [d("/a", OLD), f("/a/x", OLD)], end=True, index=listed)
    agent.P("sn", [f("/a", OLD)], index=listed - 10_000)
    assert names(agent) == {"/a", "/a/x"}
    agent.P("sn", [f("/a", OLD, 7)])
    assert names(agent) == {"/a"}
    assert agent.reader.ST().json()["total_size"] == 7


def test_s030_a_future_mtime_is_suspect_and_moves_no_clock(agent: V2Client) -> None:
    future = time.time() + 10 * 365 * 86_400
    agent.P("sn", [f("/x", future)], end=True)
    assert node(agent, "/x")["integrity_suspect"] is True
    assert abs(agent.reader.ST().json()["logical_now"] - time.time()) < 60


def test_s032_s033_removed_and_made_again_then_audited(agent: V2Client) -> None:
    agent.snapshot([f("/keep", OLD)])
    agent.delete("/x", index=now_ms(-0.3))
    agent.P("rt", [f("/x", OLD)], index=now_ms(-0.2))
    assert "/x" in names(agent)
    audit(agent, d("/", OLD), f("/keep", OLD), f("/x", OLD))
    assert names(agent) == {"/keep", "/x"}


def test_s034_mv_a_b_mv_b_a(agent: V2Client) -> None:
    files = [f"f{number}" for number in range(5)]
    agent.snapshot([d("/A", OLD), *(f(f"/A/{name}", OLD) for name in files)])
    for origin, target in (("/A", "/B"), ("/B", "/A")):
        agent.delete(*(f"{origin}/{name}" for name in files), origin)
        agent.P("rt", [d(target, OLD), *(f(f"{target}/{name}", OLD) for name in files)], "insert")
    assert names(agent) == {"/A", *(f"/A/{name}" for name in files)}


def test_s037_s038_order_is_arrival_whatever_the_index_says(agent: V2Client) -> None:
    agent.snapshot([])
    for number in range(5):
        agent.P("rt", [f("/x", OLD + number, number)], index=now_ms(-600.0 * number))
    assert node(agent, "/x")["size"] == 4
    index = now_ms()
    for first in (0, 100):
        agent.P("rt", [f(f"/n{number}", OLD) for number in range(first, min(first + 100, 150))], index=index)
    assert len(names(agent)) == 151


def test_s045_an_unmounted_root_deletes_nothing(agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD)])
    audit(agent, d("/", time.time()))
    assert names(agent) == {"/d", "/d/a"}


def test_s048_a_follower_that_joins_leaves_the_audit_alone(world: World, agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD), f("/d/b", OLD)])
    agent.AS()
    agent.P("au", [d("/d", OLD + 1), f("/d/a", OLD)])
    follower = world.client("other:p")
    follower.S(timeout=60)
    follower.P("rt", [f("/d/rt", OLD)])
    agent.P("au", [f("/d/b", OLD)])
    agent.AE()
    assert names(agent) == {"/d", "/d/a", "/d/b", "/d/rt"}
    assert agent.reader.BS().json()["deletion_count"] == 0


def test_s064_an_audit_ends_after_the_last_row_of_the_batch_that_ends_it(agent: V2Client) -> None:
    files = [f(f"/d/{number:05d}", OLD) for number in range(9_000)]
    agent.snapshot([d("/d", OLD), *files])
    agent.AS()
    agent.P("au", [d("/d", OLD + 1), *files], end=True).raise_for_status()
    assert agent.reader.ST().json()["total_files"] == 9_000
    assert agent.reader.BS().json()["deletion_count"] == 0


def test_s089_blind_spots_outlive_sessions_and_the_server(world: World, agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD)])
    audit(agent, d("/d", OLD + 1), f("/d/new", OLD))
    found = agent.reader.BS().json()
    assert (found["additions_count"], found["deletions"]) == (1, ["/d/a"])
    world.client("other:p").S(timeout=60).raise_for_status()
    agent.X().raise_for_status()
    world.server.stop_web(signal.SIGKILL)
    world.server.start_web()
    again = agent.reader.BS().json()
    assert [node["path"] for node in again["additions"]] == [node["path"] for node in found["additions"]]
    assert again["deletions"] == found["deletions"]


def test_s091_what_a_followers_realtime_tells_is_no_blind_spot(world: World, agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD)])
    follower = world.client("other:p")
    follower.S(timeout=60)
    follower.P("rt", [f("/d/theirs", OLD)])
    follower.delete("/d/a")
    audit(agent, d("/d", OLD + 1), f("/d/theirs", OLD))
    blind = agent.reader.BS().json()
    assert (blind["additions_count"], blind["deletion_count"]) == (0, 0)
    assert names(agent) == {"/d", "/d/theirs"}


def test_s051_s052_what_was_made_around_the_listing_is_kept(agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD)])
    agent.P("rt", [f("/d/before", OLD)])
    agent.AS()
    agent.P("au", [d("/d", OLD + 1), f("/d/a", OLD)])
    agent.P("rt", [f("/d/after", OLD)])
    agent.AE()
    assert names(agent) == {"/d", "/d/a", "/d/before", "/d/after"}


def test_s053_a_row_from_before_the_delete_does_not_bring_it_back(agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD), f("/d/b", OLD)])
    agent.AS()
    listed = now_ms(-2)
    agent.delete("/d/b")
    agent.P("au", [d("/d", OLD + 1), f("/d/a", OLD), f("/d/b", OLD)], index=listed)
    agent.AE()
    assert names(agent) == {"/d", "/d/a"}


def test_s056_starts_and_ends_in_any_number(agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD)])
    codes = [call().status_code for call in (agent.AE, agent.AS, agent.AS, agent.AE, agent.AE)]
    assert set(codes) <= {200, 409}
    assert names(agent) == {"/d", "/d/a"}


def test_s057_s086_an_older_version_is_shown_and_is_a_blind_spot(agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD, 10)])
    audit(agent, d("/d", OLD), f("/d/a", OLD - 50, 5))
    found = node(agent, "/d/a")
    assert (found["modified_time"], found["size"], found["agent_missing"]) == (OLD - 50, 5, True)


def test_s061_a_blind_delete_below_silent_directories_is_found(agent: V2Client) -> None:
    agent.snapshot([d("/a", OLD), d("/a/b", OLD), f("/a/keep", OLD), f("/a/b/gone", OLD), f("/a/b/stays", OLD)])
    silent = {"audit_skipped": True}
    audit(agent, d("/", OLD, **silent), d("/a", OLD, **silent), d("/a/b", OLD + 1), f("/a/b/stays", OLD))
    assert names(agent) == {"/a", "/a/b", "/a/keep", "/a/b/stays"}


def test_s062_the_tail_of_an_old_leader_is_refused(world: World) -> None:
    old, new = world.client("a:p"), world.client("b:p")
    old.S(timeout=60)
    new.S(timeout=60)
    old.snapshot([d("/d", OLD), f("/d/a", OLD), f("/d/b", OLD)])
    old.AS()
    old.P("au", [d("/d", OLD + 1), f("/d/a", OLD)])
    old.X()
    assert new.HB().json()["role"] == "leader"
    assert old.P("au", [f("/d/b", OLD)]).status_code == 419
    new.AE()
    assert world.reader.paths() == {"/", "/d", "/d/a", "/d/b"}


def test_s070_s074_deletes_of_scans_leave_tombstones_and_spare_what_an_event_just_confirmed(agent: V2Client) -> None:
    agent.snapshot([f("/scanned", OLD)])
    agent.P("rt", [f("/live", OLD)])
    listed = now_ms(-3)
    agent.delete("/scanned", "/live", source="od")
    assert names(agent) == {"/live"}
    agent.P("sn", [f("/scanned", OLD)], index=listed)
    assert names(agent) == {"/live"}


def test_s071_a_directory_made_again_keeps_older_children_out(agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/old", OLD)])
    listed = now_ms(-3)
    agent.delete("/d")
    agent.P("rt", [f("/d/new", OLD)])
    agent.P("sn", [f("/d/old", OLD)], index=listed)
    assert names(agent) == {"/d", "/d/new"}


def test_s075_s076_partial_until_closed(agent: V2Client) -> None:
    agent.snapshot([])
    agent.P("rt", [f("/x", OLD, is_atomic_write=False)])
    assert [suspect["path"] for suspect in agent.reader.SU().json()] == ["/x"]
    agent.P("rt", [f("/x", OLD)])
    assert agent.reader.SU().json() == []
    assert node(agent, "/x")["integrity_suspect"] is False


def test_s079_a_look_that_confirms_a_cold_file_clears_it(agent: V2Client) -> None:
    agent.snapshot([])
    agent.P("rt", [f("/x", OLD, 3, is_atomic_write=False)])
    tasks = agent.http.get("/consistency/sentinel/tasks").json()
    assert (tasks["type"], tasks["paths"]) == ("suspect_check", ["/x"])
    update = {"path": "/x", "mtime": OLD, "size": 3, "status": "exists"}
    answer = agent.http.post("/consistency/sentinel/feedback", json={"type": "suspect_update", "updates": [update]})
    assert (answer.status_code, answer.json()["status"]) == (200, "processed")
    assert agent.reader.SU().json() == []


def test_s084_s085_s087_blind_spots_open_with_an_audit_and_close_with_an_event(agent: V2Client) -> None:
    agent.snapshot([d("/d", OLD), f("/d/a", OLD), f("/d/gone", OLD)])
    audit(agent, d("/d", OLD + 1), f("/d/a", OLD), f("/d/new", OLD))
    spots = agent.reader.BS().json()
    assert [found["path"] for found in spots["additions"]] == ["/d/new"]
    assert spots["deletions"] == ["/d/gone"]
    agent.P("rt", [f("/d/new", OLD + 1)])
    assert agent.reader.BS().json()["additions_count"] == 0
    assert node(agent, "/d/new")["agent_missing"] is False


def test_s113_bad_paths_cost_their_rows_only(agent: V2Client) -> None:
    agent.snapshot([])
    bad = ["", "rel", None, "/nul\0", "/" + "n" * 300, "/p" * 2_500, "/a/../b"]
    answer = agent.P("rt", [{**f("/x", OLD), "path": path} for path in bad] + [f("/good", OLD)])
    assert answer.status_code == 200
    assert [(reject["row"], reject["field"]) for reject in answer.json()["rejected"]] == [(row, "path") for row in range(7)]
    assert names(agent) == {"/good"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", -1),
        ("size", 2**63),
        ("size", "big"),
        ("size", 1.5),
        ("modified_time", 1e300),
        ("modified_time", "now"),
        ("is_directory", "no"),
        ("kind", "teapot"),
    ],
)
def test_r32_bad_values_cost_their_rows_only(agent: V2Client, field: str, value: object) -> None:
    agent.snapshot([])
    answer = agent.P("rt", [f("/bad", OLD) | {field: value}, f("/good", OLD)])
    assert answer.status_code == 200
    assert [(reject["row"], reject["field"]) for reject in answer.json()["rejected"]] == [(0, field)]
    assert names(agent) == {"/good"}


def test_s116_the_root_stays_a_directory(agent: V2Client) -> None:
    agent.snapshot([f("/x", OLD)])
    assert agent.delete("/").json()["rejected"][0]["field"] == "path"
    assert agent.P("rt", [f("/", OLD)]).json()["rejected"][0]["field"] == "path"
    assert names(agent) == {"/x"}


def test_s163_a_full_view_answers_507_and_keeps_what_it_has(make_world: Any) -> None:
    world: World = make_world(view={"max_nodes": 2})
    agent = world.client()
    agent.S(timeout=60)
    agent.snapshot([f("/a", OLD), f("/b", OLD)])
    answer = agent.P("rt", [f("/c", OLD), f("/a", OLD, 9)])
    assert answer.status_code == 507
    assert "max_nodes" in answer.text
    assert world.reader.paths() == {"/", "/a", "/b"}
    assert node(agent, "/a")["size"] == 9


def renamed(agent: V2Client, origin: str, target: str, at: float = 0.0) -> httpx.Response:
    """A native agent's `move` of a directory, seen `at` seconds from now by its clock, which is the server's here."""
    event = {
        "event_type": "move", "from": origin, "to": target, "rows": [d(target, OLD)], "message_source": "realtime",
        "event_schema": "fs", "table": "files", "observed_at": now_ms(at),
    }  # fmt: skip
    body = {"session_id": agent.session_id, "source_type": "message", "is_end": False, "events": [event], "sent_at": now_ms()}
    return agent.http.post(f"/ingest/{agent.session_id}/events", json=body)


def test_s040_a_directory_renamed_over_one_whose_emptying_nobody_told_leaves_no_stale_children(world: World) -> None:
    agent, other = world.client("host-1:p"), world.client("host-2:p")
    for client in (agent, other):
        assert client.S(timeout=60, protocol=3, sent_at=now_ms()).json()["protocol"] == 3
    stale = [f(f"/b/old{number}", OLD) for number in range(5)]
    agent.P("sn", [d("/a", OLD), f("/a/x", OLD, 3), d("/b", OLD), *stale], epoch=1)
    agent.P("sn", [], end=True, epoch=1)
    other.P("rt", [f("/b/new", OLD, 7)])
    answer = renamed(agent, "/a", "/b", at=-30)
    assert answer.status_code == 200, answer.text
    assert names(agent) == {"/b", "/b/x", "/b/new"}
    assert agent.reader.ST().json()["total_size"] == 10
