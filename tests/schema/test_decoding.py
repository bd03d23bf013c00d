"""Decoding a batch: one bad row costs one reject; only what is no envelope is refused whole (R32, R33)."""

import json

import pytest

from fustor_schema import decoding, wire


def body(events: object, **envelope: object) -> bytes:
    return json.dumps({"events": events, "source_type": "message", "is_end": False, **envelope}).encode()


def event(*rows: object, **fields: object) -> dict[str, object]:
    return {"event_type": "update", "rows": list(rows), "message_source": "realtime", "event_schema": "fs", **fields}


def test_a_good_batch_is_typed() -> None:
    batch = decoding.decode_envelope(
        body([event({"path": "/a", "size": 1, "modified_time": 2.5, "unknown": [1]})], seq=7, stream="s")
    )
    assert batch.refused == []
    assert (batch.envelope.seq, batch.envelope.stream) == (7, "s")
    row = batch.envelope.events[0].rows[0]
    assert (row.path, row.size, row.modified_time, row.is_directory, row.is_atomic_write) == ("/a", 1, 2.5, False, True)


def test_rows_of_wrong_types_are_refused_one_by_one() -> None:
    good, wrong = {"path": "/ok"}, {"path": 5}
    batch = decoding.decode_envelope(body([event(good, wrong), event({"path": "/x", "size": "big"}, good)]))
    assert [(r.event, r.row, r.field) for r in batch.refused] == [(0, 1, "path"), (1, 0, "size")]
    assert batch.envelope.events[1].rows[1].path == "/ok"


def test_lone_surrogates_survive_decoding() -> None:
    raw = b'{"events":[{"event_type":"update","rows":[{"path":"/\\udcff"}]}]}'
    assert decoding.decode_envelope(raw).envelope.events[0].rows[0].path == "/\udcff"


def test_move_and_gap_events() -> None:
    batch = decoding.decode_envelope(body([event({"path": "/b"}, event_type="move", **{"from": "/a", "to": "/b"})]))
    assert (batch.envelope.events[0].from_, batch.envelope.events[0].to) == ("/a", "/b")
    batch = decoding.decode_envelope(body([event(event_type="gap", scope="/d", reason="overflow")]))
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
        decoding.decode_envelope(raw)
    assert (caught.value.status, caught.value.place) == (status, place)


def listing(*rows: object, **fields: object) -> dict[str, object]:
    close = {"path": "/d", "kind": "dir_close", "ok": True, "count": len(rows), "names_hash": "0"}
    return event(*rows, close, **{"message_source": "snapshot", **fields})


def scan(*events: object) -> wire.Batch:
    return decoding.decode_scan(body(list(events), source_type="snapshot"))


def test_a_whole_listing_stays_packed_until_somebody_asks() -> None:
    batch = scan(event({"path": "/d", "is_directory": True}), listing({"path": "/d/a", "size": 1}, {"path": "/d/b"}))
    assert list(batch.listings) == [1]
    found = batch.listings[1]
    assert (found.path, found.close.count, len(found.rows)) == ("/d", 2, 3)
    assert ([row.path for row in batch.envelope.events[0].rows], batch.envelope.events[1].rows) == (["/d"], [])
    decoding.unpack(batch, 1)
    assert [(row.path, row.kind) for row in batch.envelope.events[1].rows] == [("/d/a", None), ("/d/b", None), ("/d", "dir_close")]


def test_a_digest_tells_listings_apart() -> None:
    first, second = scan(listing({"path": "/d/a", "size": 1})), scan(listing({"path": "/d/a", "size": 2}))
    again = scan(event({"path": "/x"}), listing({"path": "/d/a", "size": 1}, observed_at=5))
    assert first.listings[0].digest == again.listings[1].digest != second.listings[0].digest
    assert 0 != first.listings[0].digest < 2**63


def test_of_realtime_nothing_is_packed() -> None:
    assert decoding.decode_scan(body([listing({"path": "/d/a"})], source_type="message")).listings == {}


def test_a_wrong_row_of_a_listing_is_refused_with_its_place() -> None:
    batch = scan(event({"path": "/x"}), listing({"path": "/d/a"}, {"path": 5}))
    decoding.unpack(batch, 1)
    assert [(r.event, r.row, r.field) for r in batch.refused] == [(1, 1, "path")]
    assert [row.path for row in batch.envelope.events[1].rows] == ["/d/a", None, "/d"]


def test_what_is_no_row_makes_the_batch_malformed() -> None:
    batch = scan(listing({"path": "/d/a"}, 7))
    with pytest.raises(wire.Malformed) as caught:
        decoding.unpack(batch, 0)
    assert (caught.value.status, caught.value.place) == (422, "events[0].rows[1]")


@pytest.mark.parametrize("raw", [b"{", b'{"source_type": "snapshot", "events": [3]}', b'{"source_type": "snapshot", "is_end": 1}'])
def test_a_scan_that_is_no_envelope_is_refused_like_any_batch(raw: bytes) -> None:
    with pytest.raises(wire.Malformed) as scanned:
        decoding.decode_scan(raw)
    with pytest.raises(wire.Malformed) as read:
        decoding.decode_envelope(raw)
    assert (scanned.value.status, scanned.value.place) == (read.value.status, read.value.place)
