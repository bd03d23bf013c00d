"""Group 11 of the scenarios: batches and malformed input, over real HTTP."""

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import zstandard

from apps.sessions.models import Session
from tests.blackbox.client import Row, V2Client, d, f
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox


@pytest.fixture
def agent(world: World) -> V2Client:
    """A leader whose empty snapshot is complete."""
    client = world.client("a:p")
    client.S(timeout=600)
    client.snapshot([d("/", 1)])
    return client


def event(rows: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "event_type": "insert",
        "fields": [],
        "rows": rows,
        "event_schema": "fs",
        "table": "files",
        "message_source": "realtime",
        "index": int(time.time() * 1000),
        **more,
    }


def post(client: V2Client, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.http.post(
        f"/ingest/{client.session_id}/events", content=content, headers={"Content-Type": "application/json", **headers}
    )


def batch(seq: int, rows: list[Row], **more: Any) -> dict[str, Any]:
    return {"source_type": "message", "seq": seq, "events": [event(rows, **more)]}


def native(world: World) -> V2Client:
    client = world.client("n:p")
    client.S(protocol=3, sent_at=1_000.0)
    return client


def test_s119_a_repeated_batch_is_acknowledged_and_applied_once(agent: V2Client) -> None:
    now = int(time.time() * 1000)
    first = agent.P("rt", [f("/x", 1)], "insert", index=now, batch_id="one")
    agent.delete("/x")
    again = agent.P("rt", [f("/x", 1)], "insert", index=now, batch_id="one")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["duplicate"] is True
    assert agent.reader.paths() == {"/"}


def test_s120_a_gap_in_seq_is_refused_and_nothing_of_it_applied(agent: V2Client) -> None:
    assert post(agent, batch(1, [f("/1", 1)])).json()["committed_seq"] == 1
    gap = post(agent, batch(3, [f("/3", 1)]))
    assert gap.status_code == 409
    assert (gap.json()["code"], gap.json()["expected"]) == ("seq_gap", 2)
    assert agent.reader.paths() == {"/", "/1"}
    assert post(agent, batch(2, [f("/2", 1)])).json()["committed_seq"] == 2
    assert post(agent, batch(3, [f("/3", 1)])).json()["committed_seq"] == 3
    assert agent.reader.paths() == {"/", "/1", "/2", "/3"}


def test_s120_streams_of_a_session_count_for_themselves(agent: V2Client) -> None:
    assert post(agent, batch(1, [f("/1", 1)])).status_code == 200
    assert post(agent, {**batch(1, [f("/2", 1)]), "stream": "job"}).json()["committed_seq"] == 1
    assert post(agent, {**batch(3, [f("/3", 1)]), "stream": "job"}).json()["expected"] == 2


def test_s121_a_retry_after_a_lost_answer_does_not_go_back(agent: V2Client) -> None:
    body = batch(1, [f("/x", 5)])
    post(agent, body)
    post(agent, {**batch(2, [{"path": "/x"}]), "events": [event([{"path": "/x"}], event_type="delete")]})
    retry = post(agent, body)
    assert retry.status_code == 200
    assert retry.json() | {"duplicate": True, "committed_seq": 2} == retry.json()
    assert agent.reader.paths() == {"/"}


def test_s121_an_old_clients_retry_is_known_by_its_body(agent: V2Client) -> None:
    body = {"source_type": "message", "events": [event([f("/x", 5)])]}
    post(agent, body)
    agent.delete("/x")
    assert post(agent, body).json()["duplicate"] is True
    assert agent.reader.paths() == {"/"}


def test_s123_malformed_rows_disable_nothing(agent: V2Client) -> None:
    bad: list[Any] = [{"path": f"relative{number}"} for number in range(60)]
    refused = agent.P("rt", bad, "insert")
    assert refused.status_code == 200
    assert len(refused.json()["rejected"]) == 60
    assert agent.P("rt", [f("/good", 1)], "insert").status_code == 200
    assert "/good" in agent.reader.paths()
    assert Session.objects.get(id=agent.session_id).rejected == 60


def test_s124_empty_batches_are_taken(agent: V2Client) -> None:
    for events in ([], [event([])]):
        answer = post(agent, {"source_type": "message", "events": events})
        assert answer.status_code == 200
        assert answer.json()["rejected"] == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"events": [', {}, 400),
        (b"[" * 10_000 + b"]" * 10_000, {}, 400),
        (b'{"events":' + b"[" * 10_000 + b"]" * 10_000 + b"}", {}, 400),
        (gzip.compress(b'{"events": []}', mtime=0)[:-8], {"Content-Encoding": "gzip"}, 400),
        (zstandard.compress(b'{"events": []}' * 20)[:-8], {"Content-Encoding": "zstd"}, 400),
        (b'{"events": []}', {"Content-Encoding": "br"}, 415),
        (b'{"events": []}', {"Content-Type": "text/plain"}, 415),
        (b"[]", {}, 422),
        (b'{"events": {}}', {}, 422),
        (b'{"events": [5]}', {}, 422),
        (b'{"events": [{"event_type": "insert", "rows": [7]}]}', {}, 422),
        (b'{"events": [], "source_type": "nonsense"}', {}, 422),
        (b'{"events": [], "is_end": "maybe"}', {}, 422),
        (b"", {}, 400),
    ],
)
def test_s125_unreadable_bodies_are_refused_whole(agent: V2Client, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = post(agent, body, **headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]
    assert agent.HB().status_code == 200


def test_s122_the_first_faulty_place_of_an_envelope_is_named(agent: V2Client) -> None:
    answer = post(agent, {"source_type": "message", "events": [event([f("/x", 1)]), event([f("/y", 1), "no object"])]})
    assert answer.status_code == 422
    assert answer.json()["field"] == "events[1].rows[1]"
    assert agent.reader.paths() == {"/"}


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_batches_are_taken(agent: V2Client, encoding: str) -> None:
    body = json.dumps({"source_type": "message", "events": [event([f("/x", 1)])]}).encode()
    raw = gzip.compress(body, mtime=0) if encoding == "gzip" else zstandard.compress(body)
    assert post(agent, raw, **{"Content-Encoding": encoding}).status_code == 200
    assert "/x" in agent.reader.paths()


def test_s129_a_body_over_the_receivers_limit_is_413_with_the_limit(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.receiver.settings = {"max_body_bytes": 10_000}
    world.receiver.save()
    client = world.client("a:p")
    client.S()
    big = {"source_type": "message", "events": [event([f(f"/{number}", 1) for number in range(200)])]}
    for body, headers in ((json.dumps(big).encode(), {}), (gzip.compress(json.dumps(big).encode()), {"Content-Encoding": "gzip"})):
        answer = post(client, body, **headers)
        assert answer.status_code == 413
        assert answer.json()["limit_bytes"] == 10_000
    assert client.P("rt", [f("/small", 1)], "insert").status_code == 200


def test_s129_a_batch_of_many_rows_is_taken_whole(agent: V2Client) -> None:
    rows = [{"path": f"/d/{number}", "size": 1, "modified_time": 1.0, "is_directory": False} for number in range(20_000)]
    answer = agent.P("sn", rows, "insert", end=True)
    assert answer.status_code == 200
    assert (answer.json()["rows"], answer.json()["rejected"]) == (20_000, [])
    assert agent.reader.ST().json()["total_files"] == 20_000


def test_s130_pipelined_batches_keep_their_order(agent: V2Client) -> None:
    for number in range(200):
        assert agent.P("rt", [f("/x", 1, size=number)], "update").status_code == 200
    assert agent.reader.Q("/x").json()["size"] == 199


def test_s131_unknown_fields_are_ignored(agent: V2Client) -> None:
    row = {**f("/x", 1), **{f"field{number}": number for number in range(1000)}, "long": "y" * 1_000_000}
    assert agent.P("rt", [row], "insert").json()["applied"] == 1


def test_s132_the_last_of_duplicate_rows_wins(agent: V2Client) -> None:
    agent.P("rt", [f("/x", 1, size=1), f("/x", 2, size=2), f("/x", 1, size=3)], "insert")
    assert agent.reader.Q("/x").json()["size"] == 3


def test_a_batch_for_another_session_than_the_urls_is_refused(agent: V2Client) -> None:
    answer = post(agent, {"session_id": "6f9b3f0e-0000-4000-8000-000000000000", "events": []})
    assert (answer.status_code, answer.json()["field"]) == (422, "session_id")


def test_the_short_path_and_the_trailing_slash_lead_to_the_same_place(agent: V2Client) -> None:
    for path in (f"/{agent.session_id}/events", f"/{agent.session_id}/events/", f"/ingest/{agent.session_id}/events/"):
        assert agent.http.post(path, json={"events": []}).json()["status"] == "ok"


def test_a_config_report_is_kept_without_its_secrets(agent: V2Client, world: World) -> None:
    text = "senders:\n  main:\n    api_key: fk_topsecret\n    uri: http://x\n"
    answer = agent.P("rt", [], source_type="config_report", metadata={"filename": "a.yaml", "config_yaml": text})
    assert answer.json()["status"] == "ok"
    kept = world.pipe.config_reports.get().config_yaml
    assert "topsecret" not in kept
    assert "http://x" in kept


def test_a_paused_pipe_asks_for_patience(world: World, agent: V2Client) -> None:
    world.pipe.paused = True
    world.pipe.save()
    answer = agent.P("rt", [f("/x", 1)], "insert")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert agent.HB().status_code == 200


def test_r22_a_native_followers_scan_is_a_stale_writer(world: World) -> None:
    leader = world.client("a:p")
    leader.S()
    leader.snapshot([d("/", 1)])
    follower = native(world)
    refused = post(follower, {"source_type": "snapshot", "epoch": 1, "events": [event([f("/x", 1)], message_source="snapshot")]})
    assert (refused.status_code, refused.json()["code"]) == (409, "STALE_WRITER")
    assert leader.reader.paths() == {"/"}


def test_r22_scans_of_an_earlier_term_are_refused(world: World) -> None:
    leader = native(world)
    body = {"source_type": "snapshot", "epoch": 0, "events": [event([f("/x", 1)], message_source="snapshot", observed_at=1_000.0)]}
    refused = post(leader, {**body, "epoch": 7})
    assert (refused.status_code, refused.json()["code"], refused.json()["epoch"]) == (409, "STALE_WRITER", 1)
    assert post(leader, {**body, "epoch": 1, "is_end": True}).status_code == 200
