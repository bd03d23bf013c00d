"""Decoding a batch: one bad row costs one reject; only what is no envelope is refused whole (R32, R33)."""

import json

import pytest

from fustor_schema import wire


def body(events: object, **envelope: object) -> bytes:
    return json.dumps({"events": events, "source_type": "message", "is_end": False, **envelope}).encode()


def event(*rows: object, **fields: object) -> dict[str, object]:
    return {"event_type": "update", "rows": list(rows), "message_source": "realtime", "event_schema": "fs", **fields}


def test_a_good_batch_is_typed() -> None:
    batch = wire.decode_envelope(body([event({"path": "/a", "size": 1, "modified_time": 2.5, "unknown": [1]})], seq=7, stream="s"))
    assert batch.refused == []
    assert (batch.envelope.seq, batch.envelope.stream) == (7, "s")
    row = batch.envelope.events[0].rows[0]
    assert (row.path, row.size, row.modified_time, row.is_directory, row.is_atomic_write) == ("/a", 1, 2.5, False, True)


def test_rows_of_wrong_types_are_refused_one_by_one() -> None:
    good, wrong = {"path": "/ok"}, {"path": 5}
    batch = wire.decode_envelope(body([event(good, wrong), event({"path": "/x", "size": "big"}, good)]))
    assert [(r.event, r.row, r.field) for r in batch.refused] == [(0, 1, "path"), (1, 0, "size")]
    assert batch.envelope.events[1].rows[1].path == "/ok"


def test_lone_surrogates_survive_decoding() -> None:
    raw = b'{"events":[{"event_type":"update","rows":[{"path":"/\\udcff"}]}]}'
    assert wire.decode_envelope(raw).envelope.events[0].rows[0].path == "/\udcff"


def test_move_and_gap_events() -> None:
    batch = wire.decode_envelope(body([event({"path": "/b"}, event_type="move", **{"from": "/a", "to": "/b"})]))
    assert (batch.envelope.events[0].from_, batch.envelope.events[0].to) == ("/a", "/b")
    batch = wire.decode_envelope(body([event(event_type="gap", scope="/d", reason="overflow")]))
    assert (batch.envelope.events[0].scope, batch.envelope.events[0].reason) == ("/d", "overflow")


@pytest.mark.parametrize(
    ("raw", "status", "place"),
    [
        (b"", 400, ""),
        (b"{", 400, ""),
        (b"\xff\xfe", 400, ""),
        (b"[" * 100_000, 400, ""),
        (b"[]", 422, ""),
        (b'"text"', 422, ""),
        (b'{"events": {}}', 422, "events"),
        (b'{"events": [], "is_end": "yes"}', 422, "is_end"),
        (b'{"events": [3]}', 422, "events[0]"),
        (b'{"events": [{"rows": []}]}', 422, "events[0]"),
        (b'{"events": [{"event_type": "update", "rows": {}}]}', 422, "events[0].rows"),
        (b'{"events": [{"event_type": "update", "rows": [{}, 7]}]}', 422, "events[0].rows[1]"),
        (b'{"events": [{"event_type": 5, "rows": []}]}', 422, "events[0].event_type"),
    ],
)
def test_what_is_no_envelope_is_refused_whole(raw: bytes, status: int, place: str) -> None:
    with pytest.raises(wire.Malformed) as caught:
        wire.decode_envelope(raw)
    assert (caught.value.status, caught.value.place) == (status, place)
