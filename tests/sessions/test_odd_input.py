"""Input that no honest client sends: refused or taken, never a 500, and never at another session's cost (R32, R33)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.sessions import storable
from tests.blackbox.client import V2Client, d
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until
from tests.blackbox.world import World

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=5))
def test_whatever_is_storable_is_proper_json(value: dict[str, Any]) -> None:
    encoded = json.dumps(storable.record(value), allow_nan=False)
    assert "\\u0000" not in encoded
    assert storable.record(json.loads(encoded)) == json.loads(encoded)


def test_lone_surrogates_do_not_survive() -> None:
    assert storable.record({"a\ud800": ["b\udfff\0"]}) == {"a?": ["b?"]}


def test_big_and_deep_records_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"a": deep}
    for value in (deep, {"a": "x" * storable.MOST_BYTES}):
        with pytest.raises(ValueError, match=r"more than|deeper"):
            storable.record(value)


@pytest.fixture
def agent(world: World) -> V2Client:
    client = world.client("a:p")
    client.S(timeout=600)
    client.snapshot([d("/", 1)])
    return client


def raw(client: V2Client, path: str, body: str) -> int:
    answer = client.http.post(path, content=body.encode(), headers={"Content-Type": "application/json"})
    return answer.status_code


@pytest.mark.blackbox
@pytest.mark.parametrize(
    "body",
    [
        '{"task_id": ""}',
        '{"task_id": 5}',
        '{"task_id": "x", "session_timeout_seconds": "soon"}',
        '{"task_id": "x", "session_timeout_seconds": -1}',
        '{"task_id": "x", "session_timeout_seconds": 1e400}',
        '{"task_id": "x", "client_info": []}',
        '{"task_id": "x", "protocol": "three"}',
        '{"task_id": "' + "x" * 300 + '"}',
        '{"task_id": "\\ud800"}',
        "[]",
        "5",
        "{",
        "",
    ],
)
def test_odd_wishes_for_a_session_are_refused(world: World, body: str) -> None:
    assert raw(world.client("a:p"), "/session", body) in (400, 422)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    "body",
    [
        '{"task_id": "x\\u0000:p", "client_info": {"a\\u0000": "\\u0000", "b": "\\ud800", "c": NaN}}',
        '{"task_id": "' + "é" * 255 + '", "session_timeout_seconds": 100000000000000000000}',
    ],
)
def test_odd_but_harmless_wishes_are_granted(world: World, body: str) -> None:
    assert raw(world.client("a:p"), "/session", body) == 200


@pytest.mark.blackbox
def test_an_odd_report_spoils_nobody_elses(world: World, agent: V2Client) -> None:
    other = world.client("b:p")
    other.S(timeout=600)
    status = '{"can_realtime": true, "agent_status": {"a": "\\u0000\\ud800", "b": Infinity, "state": "66"}}'
    assert raw(agent, f"/session/{agent.session_id}/heartbeat", status) == 200
    assert other.HB().status_code == 200

    def both_known() -> bool:
        rows = agent.reader.http.get("/sessions").json()["active_sessions"]
        return [row["can_realtime"] for row in rows] == [True, True]

    wait_until(both_known, PATIENCE_SECONDS, "both reports to be written")


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("envelope", "status"),
    [
        ('"seq": 0', 422),
        ('"seq": -1', 422),
        ('"seq": 1e3', 422),
        ('"seq": 9223372036854775807', 422),
        ('"stream": "' + "x" * 65 + '", "seq": 1', 422),
        ('"audit_id": "' + "x" * 101 + '"', 422),
        ('"session_id": 5', 422),
        ('"batch_id": "' + "x" * 5000 + '"', 200),
        ('"batch_id": "\\u0000"', 200),
        ('"metadata": {"a": "\\u0000"}', 200),
        ('"sent_at": 1e300', 200),
    ],
)
def test_odd_envelopes(agent: V2Client, envelope: str, status: int) -> None:
    event = (
        '{"event_type": "insert", "event_schema": "fs", "table": "files", "message_source": "realtime", "rows": [{"path": "/x"}]}'
    )
    body = f'{{"source_type": "message", {envelope}, "events": [{event}]}}'
    assert raw(agent, f"/{agent.session_id}/events", body) == status


@pytest.mark.blackbox
@pytest.mark.parametrize("index", ["1e300", "-5", "0", "Infinity", "-Infinity", "NaN", "9223372036854775808", "1.5"])
def test_odd_capture_times_are_no_reason_to_lose_an_event(agent: V2Client, index: str) -> None:
    event = (
        '{"event_type": "insert", "event_schema": "fs", "table": "files", "message_source": "realtime", '
        f'"index": {index}, "rows": [{{"path": "/x", "size": 1, "modified_time": 1.0}}]}}'
    )
    assert raw(agent, f"/{agent.session_id}/events", f'{{"source_type": "message", "events": [{event}]}}') == 200
    assert "/x" in agent.reader.paths()
