"""Decoding of `POST /pipe/{session_id}/events`.

`decode_envelope` first tries the typed models (millions of rows a second); when anything in the body has a wrong type it decodes
again leniently, so that one bad row costs one reject and not the batch (R32). Only what is not JSON, or whose envelope is not
valid, is refused whole (R33). `decode_scan` leaves whole listings packed: who knows a listing by its digest need not read its rows.
"""

import contextlib
import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from fustor_schema import paths
from fustor_schema.sources import EventType, MessageSource, SourceType
from fustor_schema.wire import DIR_CLOSE, Batch, Envelope, Event, FsRow, Listing, Malformed, Reject

_WHOLE_SCANS = {SourceType.SNAPSHOT, SourceType.AUDIT}
_SCAN_SOURCES = {None, MessageSource.SNAPSHOT, MessageSource.AUDIT}
_UPSERTS = {EventType.UPDATE, EventType.INSERT}
_CLOSE_MARK = f'"{DIR_CLOSE}"'.encode()
_DIGEST_BYTES = 8


class _Outline(msgspec.Struct):
    """As much of an envelope as says how to read it."""

    source_type: str = "message"


class _PackedEvent(Event):
    rows: list[msgspec.Raw] = []  # type: ignore[assignment]  # rows are read one event at a time


class _PackedEnvelope(Envelope):
    events: list[_PackedEvent] = []  # type: ignore[assignment]


_typed = msgspec.json.Decoder(Envelope)
_outline = msgspec.json.Decoder(_Outline)
_packed = msgspec.json.Decoder(_PackedEnvelope)
_row_list = msgspec.json.Decoder(list[FsRow])
_one_row = msgspec.json.Decoder(FsRow)
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_scan(body: bytes) -> Batch:
    """The batch of an agent that closes its listings: of a snapshot or audit, whole listings stay packed. Raises as
    `decode_envelope` does."""
    # whatever is wrong with the body, reading all of it says where
    with contextlib.suppress(*_WRONG):
        if _outline.decode(body).source_type in _WHOLE_SCANS:
            return _with_listings(_packed.decode(body))
    return decode_envelope(body)


def decode_old_scan(body: bytes) -> Batch:
    """The batch of an agent that closes no listings; of a snapshot the rows as they came are kept too. Raises as
    `decode_envelope` does."""
    with contextlib.suppress(*_WRONG):
        batch = Batch(_typed.decode(body), [])
        if batch.envelope.source_type == SourceType.SNAPSHOT:
            for number, event in enumerate(_packed.decode(body).events):
                if event.event_type in _UPSERTS and event.message_source in _SCAN_SOURCES:
                    batch.packed[number] = event.rows
        return batch
    return decode_envelope(body)


def _with_listings(scan: Envelope) -> Batch:
    batch = Batch(scan, [])
    for number, event in enumerate(scan.events):
        packed: Any = event.rows
        listing = _listing(event, packed)
        if listing is None:
            event.rows = _row_list.decode(_array(packed))
        else:
            event.rows = []
            batch.listings[number] = listing
    return batch


def _listing(event: Event, rows: Sequence[msgspec.Raw]) -> Listing | None:
    """The listing that an event is, when it is a whole one."""
    if len(rows) < 2 or _CLOSE_MARK not in bytes(rows[-1]):
        return None
    if event.event_type not in _UPSERTS or event.message_source not in _SCAN_SOURCES:
        return None
    close = _one_row.decode(rows[-1])
    if close.kind != DIR_CLOSE or not close.ok or close.count != len(rows) - 1:
        return None
    if close.path is None or close.path_b64 is not None or not paths.is_key(close.path):
        return None
    return Listing(close.path, digest_of(rows[:-1], close.names_hash or ""), close, list(rows))


def digest_of(rows: Sequence[msgspec.Raw], proof: str = "") -> int:
    """A signed 64-bit number, never 0, that rows of the same bytes share, and nothing else that is likely to be met.

    `proof`: the `names_hash` that came with them.
    """
    digest = blake2b(b",".join(rows), digest_size=_DIGEST_BYTES)
    digest.update(proof.encode())
    return int.from_bytes(digest.digest(), "big", signed=True) or 1


def _array(rows: Sequence[msgspec.Raw]) -> bytes:
    return b"[" + b",".join(rows) + b"]"


def unpack(batch: Batch, number: int) -> None:
    """Read the rows of an event that is a listing. Rows with a wrong type are refused one by one. Raises Malformed."""
    event, packed = batch.envelope.events[number], batch.listings[number].rows
    if event.rows:
        return
    try:
        event.rows = _row_list.decode(_array(packed))
    except _WRONG:
        event.rows = [_row(_parse(bytes(row)), number, index, batch.refused) for index, row in enumerate(packed)]


def decode_envelope(body: bytes) -> Batch:
    """The batch in a request body. Raises Malformed (status 400: no JSON; 422: no envelope)."""
    try:
        return Batch(_typed.decode(body), [])
    except _WRONG:
        return _decode_leniently(body)


def _decode_leniently(body: bytes) -> Batch:
    raw = _parse(body)
    if not isinstance(raw, dict):
        raise Malformed("", "the body must be a JSON object")
    events = raw.pop("events", [])
    if not isinstance(events, list):
        raise Malformed("events", "must be a list")
    try:
        envelope = msgspec.convert(raw, Envelope)
    except msgspec.ValidationError as error:
        reason, place = _reason_and_place(error)
        raise Malformed(place, reason) from error
    refused: list[Reject] = []
    envelope.events = [_event(raw_event, number, refused) for number, raw_event in enumerate(events)]
    return Batch(envelope, refused)


def _parse(body: bytes) -> Any:
    try:
        # json, not msgspec: it keeps the lone surrogates that old agents send for undecodable names
        return json.loads(body)
    except RecursionError as error:
        raise Malformed("", "the JSON is nested too deep", 400) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise Malformed("", f"the body is not JSON: {error}", 400) from error


def _event(raw: Any, number: int, refused: list[Reject]) -> Event:
    place = f"events[{number}]"
    if not isinstance(raw, dict):
        raise Malformed(place, "must be an object")
    rows = raw.get("rows", [])
    if not isinstance(rows, list):
        raise Malformed(f"{place}.rows", "must be a list")
    try:
        event = msgspec.convert({**raw, "rows": []}, Event, strict=True)
    except msgspec.ValidationError as error:
        reason, inner = _reason_and_place(error)
        raise Malformed(f"{place}.{inner}" if inner else place, reason) from error
    event.rows = [_row(raw_row, number, index, refused) for index, raw_row in enumerate(rows)]
    return event


def _row(raw: Any, event: int, index: int, refused: list[Reject]) -> FsRow:
    if not isinstance(raw, dict):
        raise Malformed(f"events[{event}].rows[{index}]", "must be an object")
    try:
        return msgspec.convert(raw, FsRow, strict=True)
    except msgspec.ValidationError as error:
        reason, place = _reason_and_place(error)
        refused.append(Reject(event, index, place or "row", reason))
        return FsRow()


def _reason_and_place(error: msgspec.ValidationError) -> tuple[str, str]:
    reason, _, place = str(error).partition(" - at `$")
    return reason, place.rstrip("`").lstrip(".")
