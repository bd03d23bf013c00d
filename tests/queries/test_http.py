"""Scenarios about reading, over real HTTP against a real server fed by V2 clients."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from apps.pipes.keys import create_key
from apps.pipes.models import KeyKind
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until
from tests.blackbox.world import World
from tests.queries.conftest import OLD

pytestmark = pytest.mark.blackbox


def get(world: World, call: str, **parameters: Any) -> httpx.Response:
    return world.reader.http.get(call, params=parameters)


@pytest.mark.parametrize("call", ["/tree", "/stats", "/search?pattern=a", "/metadata", "/blind-spots", "/suspect-list", "/settled"])
def test_s021_before_the_first_snapshot_is_complete_every_question_answers_503(world: World, call: str) -> None:
    client = world.client()
    client.S()
    client.P("sn", [f("/a", OLD)], "insert")
    answer = world.reader.http.get(call)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["phase"] == "snapshot"
    client.P("sn", [], end=True)
    assert world.reader.http.get(call).status_code == 200


def test_s022_the_tree_equals_the_rows(fed: tuple[World, V2Client]) -> None:
    world, _ = fed
    assert world.reader.paths() == {"/", "/d", "/d/a.txt", "/d/b.dat", "/d/sub", "/d/sub/c.txt"}
    stats = world.reader.ST().json()
    assert (stats["total_files"], stats["total_directories"], stats["total_size"], stats["item_count"]) == (3, 2, 60, 5)
    inner = world.reader.ST(path="/d/sub").json()
    assert (inner["total_files"], inner["total_size"], inner["path"]) == (1, 30, "/d/sub")


def test_nodes_have_the_fields_of_protocol_v2(fed: tuple[World, V2Client]) -> None:
    world, _ = fed
    node = get(world, "/metadata", path="/d/a.txt").json()
    expected = {
        "name": "a.txt", "content_type": "file", "path": "/d/a.txt", "size": 10, "modified_time": OLD, "created_time": OLD,
        "integrity_suspect": False, "agent_missing": False, "last_agent_id": "agent", "source_uri": "/data",
    }  # fmt: skip
    assert {field: node[field] for field in expected} == expected
    top = world.reader.Q("/d").json()
    assert (top["content_type"], top["audit_skipped"], top["job_id"], top["job_pending"]) == ("directory", False, None, False)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"recursive": "false"}, {"/d", "/d/a.txt", "/d/b.dat", "/d/sub"}),
        ({"max_depth": 0}, {"/d"}),
        ({"max_depth": 1}, {"/d", "/d/a.txt", "/d/b.dat", "/d/sub"}),
        ({"only_path": "true"}, {"/d", "/d/a.txt", "/d/b.dat", "/d/sub", "/d/sub/c.txt"}),
        ({"limit": 100}, {"/d", "/d/a.txt", "/d/b.dat", "/d/sub", "/d/sub/c.txt"}),
    ],
)
def test_tree_parameters(fed: tuple[World, V2Client], parameters: dict[str, Any], expected: set[str]) -> None:
    assert fed[0].reader.paths("/d", **parameters) == expected


def test_both_slash_forms_answer_alike(fed: tuple[World, V2Client]) -> None:
    world, _ = fed
    for call in ("/tree", "/stats", "/metadata", "/blind-spots", "/suspect-list", "/settled", "/explain", "/changes"):
        assert get(world, call).status_code == get(world, f"{call}/").status_code == 200
    key = {"X-API-Key": world.query_key}
    for address in (f"{world.server.url}/api/v1/views", f"{world.server.url}/api/v1/views/"):
        answer = httpx.get(address, headers=key, timeout=PATIENCE_SECONDS)
        assert [view["view_id"] for view in answer.json()["views"]] == [world.view.slug]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("/tree?max_depth=-1", "max_depth"),
        ("/tree?path=rel", "path"),
        ("/tree?path=/../etc", "path"),
        ("/tree?path_b64=!", "path_b64"),
        ("/tree?limit=0", "limit"),
        ("/tree?limit=1&cursor=zzz", "cursor"),
        ("/search", "pattern"),
        ("/search?pattern=a&kind=door", "kind"),
        ("/changes?since=-1", "since"),
        ("/settled?quiet_seconds=x", "quiet_seconds"),
    ],
)
def test_bad_parameters_are_named(fed: tuple[World, V2Client], call: str, field: str) -> None:
    answer = fed[0].reader.http.get(call)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


HOSTILE = [
    "%00", "a%00b", "%ff%fe", "%ed%a0%80", "'", "%22;--", "/../..", "/%2e%2e/x", "9" * 25, "-1", "nan", "inf", "1e400", "true",
    "[[[", "*" * 20, "%F4%8F%BF%BF", "x" * 5000, "",
]  # fmt: skip


@pytest.mark.parametrize(
    "call", ["tree", "stats", "search", "metadata", "blind-spots", "suspect-list", "settled", "explain", "changes", "usage"]
)
def test_hostile_parameters_never_break_the_server(fed: tuple[World, V2Client], call: str) -> None:
    http = fed[0].reader.http
    names = [
        "path",
        "path_b64",
        "member",
        "limit",
        "cursor",
        "pattern",
        "max_depth",
        "since",
        "min_size",
        "quiet_seconds",
        "by",
        "modified_after",
    ]
    for name in names:
        for value in HOSTILE:
            needed = "&pattern=a" if call == "search" and name != "pattern" else ""
            answer = http.get(f"/{call}?{name}={value}{needed}")
            assert answer.status_code in (200, 404, 422), (name, value, answer.status_code, answer.text)
    for slug in ("%00", "..%2f", "x" * 300):
        assert http.get(f"{fed[0].server.url}/api/v1/views/{slug}/{call}?pattern=a").status_code == 404


def test_an_absent_path_is_404_with_detail(fed: tuple[World, V2Client]) -> None:
    for call in ("/tree", "/metadata", "/stats", "/settled"):
        answer = get(fed[0], call, path="/nope")
        assert answer.status_code == 404
        assert "/nope" in answer.json()["detail"]


def test_search_is_a_list(fed: tuple[World, V2Client]) -> None:
    world, _ = fed
    assert sorted(node["path"] for node in get(world, "/search", pattern="*.txt").json()) == ["/d/a.txt", "/d/sub/c.txt"]
    assert [node["path"] for node in get(world, "/search", pattern="sub").json()] == ["/d/sub"]
    first = get(world, "/search", pattern="*.txt", limit=1)
    rest = get(world, "/search", pattern="*.txt", limit=1, cursor=first.headers["X-Fustor-Next-Cursor"])
    assert {first.json()[0]["path"], rest.json()[0]["path"]} == {"/d/a.txt", "/d/sub/c.txt"}
    assert "X-Fustor-Next-Cursor" not in rest.headers


def test_s014_freshness_is_said_and_the_view_stays_readable(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    assert world.reader.Q().headers["X-Fustor-Freshness"] == "live"
    assert world.reader.ST().json()["freshness"]["state"] == "live"
    client.X()
    client.session_id = ""
    answer = world.reader.Q()
    assert answer.status_code == 200
    assert answer.headers["X-Fustor-Freshness"].startswith("offline")
    freshness = world.reader.ST().json()["freshness"]
    assert (freshness["state"], freshness["degraded"]) == ("offline", True)
    assert freshness["since"] == pytest.approx(time.time(), abs=30)


ODD_NAMES = [
    "new\nline",
    "tab\t",
    "esc\x1b[31m",
    "\u202ertl",
    "🦀",
    "%2F",
    "a?b",
    "a#b",
    "a*b",
    "[a]",
    "a&b=c",
    "a+b",
    "é",
    "é",
    " ",
]


def test_s115_odd_names_round_trip(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    assert client.P("rt", [f(f"/odd/{name}", OLD) for name in ODD_NAMES]).json()["applied"] == len(ODD_NAMES)
    assert world.reader.paths("/odd") == {"/odd", *(f"/odd/{name}" for name in ODD_NAMES)}
    for name in ODD_NAMES:
        assert get(world, "/metadata", path=f"/odd/{name}").json()["name"] == name
        hits = [node["name"] for node in get(world, "/search", pattern=name, mode="literal", path="/odd").json()]
        assert name in hits
        assert all(name in hit for hit in hits)


def test_s107_bytes_that_are_no_text_come_back(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    rows = [f("/raw/\udcff\udcfe", OLD), f("/raw/\udcff", OLD)]
    body = json.dumps({"events": [{"event_type": "insert", "rows": rows, "event_schema": "fs", "table": "files",
        "message_source": "realtime", "index": int(time.time() * 1000)}], "source_type": "message"})  # fmt: skip
    client.http.post(f"/ingest/{client.session_id}/events", content=body, headers={"Content-Type": "application/json"})
    children = world.reader.Q("/raw").json()["children"]
    assert {child["path_b64"] for child in children} == {"L3Jhdy///g==", "L3Jhdy//"}
    assert get(world, "/metadata", path_b64="L3Jhdy//").json()["path"] == "/raw/\\xff"
    assert world.reader.http.get("/metadata?path=/raw/%ff%fe").json()["path_b64"] == "L3Jhdy///g=="


def test_s109_s110_forms_and_cases_are_different_names(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    names = ["/u/\u00e9", "/u/e\u0301", "/u/README", "/u/readme"]
    client.P("rt", [f(name, OLD) for name in names])
    assert world.reader.paths("/u") == {"/u", *names}
    client.P("rt", [{"path": "/u/readme"}], "delete")
    assert world.reader.paths("/u") == {"/u", *names[:3]}


def test_s114_depth_2000(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    deep = "/" + "/".join("d" for _ in range(2000))
    assert client.P("rt", [f(f"{deep}/f", OLD)]).json()["applied"] == 1
    assert world.reader.Q("/d", max_depth=50).status_code == 200
    assert world.reader.Q(deep).json()["children"][0]["name"] == "f"
    assert len(pages(world, "/d", limit=700)) == 2004
    assert world.reader.Q("/d").content.count(b'"children":[') > 2000


def pages(world: World, path: str, **parameters: Any) -> list[str]:
    found, cursor = [], None
    while True:
        answer = world.reader.Q(path, **parameters, **({"cursor": cursor} if cursor else {})).json()
        found += [child["path"] for child in answer["children"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


def test_s118_s168_a_wide_directory_in_pages_while_it_changes(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    stable = [f"/wide/s{number:05}" for number in range(6000)]
    for start in range(0, len(stable), 1000):
        client.P("rt", [f(path, OLD) for path in stable[start : start + 1000]])
    stop = threading.Event()

    def churn() -> None:
        turn = 0
        while not stop.is_set():
            client.P("rt", [f(f"/wide/t{turn:05}", OLD), f(f"/wide/s{turn:05}x", OLD)])
            client.P("rt", [{"path": f"/wide/t{turn - 5:05}"}], "delete")
            turn += 1

    with ThreadPoolExecutor(1) as pool:
        churning = pool.submit(churn)
        found = pages(world, "/wide", recursive="false", limit=500)
        stop.set()
        churning.result()
    assert [path for path in found if path in set(stable)] == stable
    assert len(world.reader.paths("/wide")) > 6000


def test_s168_a_cursor_expires_with_a_reset_instead_of_skipping(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    cursor = world.reader.Q("/d", limit=1).json()["next_cursor"]
    admin = create_key(KeyKind.MANAGEMENT, scopes=["admin"])[1]
    reset = world.reader.http.delete("/reset", headers={"X-API-Key": admin})
    assert reset.status_code == 204
    assert world.reader.Q("/d").status_code == 503
    client.snapshot([d("/d", OLD), f("/d/new", OLD)])
    answer = world.reader.Q("/d", limit=1, cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")


def test_s142_reset_needs_more_than_a_read_key(fed: tuple[World, V2Client]) -> None:
    world, _ = fed
    assert world.reader.http.delete("/reset").status_code == 403
    assert world.reader.Q().status_code == 200


def test_s137_a_receiver_key_and_a_foreign_query_key_read_nothing(
    fed: tuple[World, V2Client], make_world: Callable[..., World]
) -> None:
    world, _ = fed
    other = make_world()
    for call in ("/tree", "/stats", "/search?pattern=a", "/changes", "/settled", "/explain", "/usage"):
        for key in (world.key, other.query_key):
            assert world.reader.http.get(call, headers={"X-API-Key": key}).status_code == 403
        address = f"{world.server.url}/api/v1/views/{world.view.slug}{call}"
        assert httpx.get(address, timeout=PATIENCE_SECONDS).status_code == 401


def test_s170_an_old_directory_does_not_make_a_fresh_view_stale(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.P("rt", [d("/ancient", time.time() - 10 * 365 * 86_400)])
    stats = world.reader.ST().json()
    assert stats["staleness_seconds"] < 60
    assert stats["oldest_item_path"] == "/ancient"
    assert stats["latency_ms"] < 60_000
    assert stats["logical_now"] == pytest.approx(time.time(), abs=60)


def test_s075_s081_suspects_are_listed_with_a_wall_clock_time(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.P("rt", [f("/d/hot", time.time(), is_atomic_write=False)])
    entry = next(entry for entry in world.reader.SU().json() if entry["path"] == "/d/hot")
    assert time.time() < entry["suspect_until"] < time.time() + 3600
    assert get(world, "/metadata", path="/d/hot").json()["integrity_suspect"] is True
    assert world.reader.ST().json()["suspect_file_count"] >= 1
    verdict = get(world, "/settled", path="/d", quiet_seconds=0).json()
    assert (verdict["state"], verdict["evidence"]["suspect_count"]) == ("changing", 1)
    client.P("rt", [f("/d/hot", OLD, is_atomic_write=True)])
    assert world.reader.SU().json() == []


def test_put_suspect_list_answers_what_it_knows(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.P("rt", [f("/d/hot", time.time(), is_atomic_write=False)])
    updates = [{"path": "/d/hot", "mtime": time.time()}, {"path": "/d/nowhere", "mtime": 1.0}]
    answer = world.reader.http.put("/suspect-list", json={"updates": updates})
    assert (answer.status_code, answer.json()) == (200, {"view_id": world.view.slug, "updated_count": 1, "status": "ok"})
    refused = world.reader.http.put("/suspect-list", json={"updates": [{"path": "rel"}]})
    assert (refused.status_code, refused.json()["field"]) == (422, "updates[0].path")


def test_s084_s085_s086_blind_spots(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.AS()
    client.P("au", [d("/d", OLD + 5), f("/d/a.txt", OLD + 1, 11), f("/d/blind", OLD), d("/d/sub", OLD, audit_skipped=True)])
    client.AE()
    spots = world.reader.BS().json()
    assert (spots["additions_count"], [node["path"] for node in spots["additions"]]) == (1, ["/d/blind"])
    assert [node["path"] for node in spots["modified"]] == ["/d/a.txt"]
    assert spots["additions"][0]["agent_missing"] is True
    assert {record["path"]: record["kind"] for record in spots["records"]} == {
        "/d/blind": "added",
        "/d/a.txt": "modified",
        "/d/b.dat": "deleted",
    }
    assert (spots["deletion_count"], spots["deletions"]) == (1, ["/d/b.dat"])
    assert world.reader.ST().json()["has_blind_spot"] is True
    client.P("rt", [f("/d/blind", OLD + 9)])
    assert world.reader.BS().json()["additions_count"] == 0


def test_settled_after_a_quiet_time(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.P("rt", [f("/d/upload", OLD)])
    assert get(world, "/settled", path="/d", quiet_seconds=30).json()["state"] == "changing"

    def is_settled() -> bool:
        return bool(get(world, "/settled", path="/d", quiet_seconds=1).json()["state"] == "settled")

    wait_until(is_settled, PATIENCE_SECONDS, "a settled directory")
    client.X()
    client.session_id = ""
    verdict = get(world, "/settled", path="/d", quiet_seconds=1).json()
    assert (verdict["state"], verdict["reasons"][0]["code"]) == ("unknown", "offline")


def test_explain_names_rule_session_and_time(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.P("rt", [f("/d/a.txt", OLD + 50, 99)])
    answer = get(world, "/explain", path="/d/a.txt").json()
    assert (answer["state"], answer["decided"]["source"], answer["decided"]["by"]["task_id"]) == (
        "present",
        "realtime",
        "agent:pipe",
    )
    assert answer["decided"]["rule"] == "R2"
    assert answer["decided"]["decided_at"] == pytest.approx(time.time(), abs=30)
    client.delete("/d/a.txt")
    client.P("sn", [f("/d/a.txt", OLD)], index=int((time.time() - 3600) * 1000))
    answer = get(world, "/explain", path="/d/a.txt").json()
    assert answer["state"] == "deleted"
    assert answer["tombstone"]["path"] == "/d/a.txt"
    assert answer["refused"][0]["rule"] == "R6"
    assert client.session_id not in json.dumps(answer)


def test_locate_looks_in_every_view_of_the_key_and_in_no_other(
    fed: tuple[World, V2Client], make_world: Callable[..., World]
) -> None:
    world, _ = fed
    second, hidden = make_world(), make_world()
    for other in (second, hidden):
        client = other.client()
        client.S()
        client.snapshot([f("/there/a.txt", OLD)])
        client.X()
        client.session_id = ""
    key = create_key(KeyKind.QUERY, views=[world.view, second.view])[1]

    def locate(**parameters: str) -> Any:
        url = f"{world.server.url}/api/v1/views/locate"
        return httpx.get(url, params=parameters, headers={"X-API-Key": key}, timeout=PATIENCE_SECONDS).json()

    answer = locate(name="a.txt")
    places = {(hit["view_id"], hit["node"]["path"]): hit["state"] for hit in answer["hits"]}
    assert set(places) == {(world.view.slug, "/d/a.txt"), (second.view.slug, "/there/a.txt")}
    assert (places[second.view.slug, "/there/a.txt"], answer["complete"]) == ("unknown", True)
    exact = locate(path="/there/a.txt")
    assert [hit["view_id"] for hit in exact["hits"]] == [second.view.slug]


def test_usage_by_age_counts_every_file(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.P("rt", [f("/d/old", time.time() - 100 * 86_400, 5), f("/d/older", time.time() - 2000 * 86_400, 7)])
    ages = {age["age"]: (age["files"], age["bytes"]) for age in get(world, "/usage", path="/d", by="age").json()["ages"]}
    assert (ages["under 1y"], ages["over 3y"]) == ((1, 5), (1, 7))
    assert sum(files for files, _ in ages.values()) == 5
    owners = get(world, "/usage", path="/d", by="owner").json()
    assert owners["total_files"] == sum(owner["files"] for owner in owners["owners"]) + owners["unowned"]["files"] == 5


def test_s090_blind_spots_are_closed_by_who_may_run(fed: tuple[World, V2Client]) -> None:
    world, client = fed
    client.AS()
    client.P("au", [d("/d", time.time() - 10), f("/d/a.txt", OLD, 10), f("/d/b.dat", OLD, 20), d("/d/sub", OLD), f("/d/new", OLD)])
    client.AE()
    assert get(world, "/blind-spots").json()["additions_count"] == 1
    body = {"paths": ["/d/new"]}
    assert world.reader.http.post("/blind-spots/close", json=body).status_code == 403, "a query key may only look"
    _, secret = create_key(KeyKind.MANAGEMENT, scopes=["run", "read"])
    headers = {"X-API-Key": secret}
    refused = world.reader.http.post("/blind-spots/close", json={"paths": ["/ok", "../no"]}, headers=headers)
    assert (refused.status_code, refused.json()["field"]) == (422, "paths[1]")
    closed = world.reader.http.post("/blind-spots/close", json=body, headers=headers)
    assert closed.json() == {"view_id": world.view.slug, "closed": 1}
    assert get(world, "/blind-spots").json()["additions_count"] == 0
    assert world.reader.http.post("/blind-spots/close", json={"paths": None}, headers=headers).json()["closed"] == 0
