"""Wire models of `POST /pipe/{session_id}/events`: the envelope, its events and its rows.

Decoding is two-fold. `decode_envelope` first tries the typed models (millions of rows a second); when anything in the body
has a wrong type it decodes again leniently, so that one bad row costs one reject and not the batch (R32). Only what is not
JSON, or whose envelope is not valid, is refused whole (R33).
"""

import json
from typing import Any

import msgspec

MAX_DEPTH = 64


class FsRow(msgspec.Struct, gc=False, omit_defaults=True):
    """One row of schema `fs`: what one listing or one kernel event says of one path.

    `size` in bytes, `modified_time`/`created_time` in Unix seconds. `kind` is one of `sources.Kind`, or `dir_close`
    for the proof that a directory's listing is complete (`ok`, `reason`, `count`, `names_hash`, `scan_start`; `scan_start` in
    milliseconds on the clock of `observed_at`).
    """

    path: str | None = None
    size: int | float | None = None
    modified_time: float | None = None
    created_time: float | None = None
    is_directory: bool = False
    is_atomic_write: bool = True
    audit_skipped: bool = False
    file_path: str | None = None
    path_b64: str | None = None
    parent_path: str | None = None
    parent_mtime: float | None = None
    kind: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    inode: int | None = None
    nlink: int | None = None
    ok: bool | None = None
    reason: str | None = None
    count: int | None = None
    names_hash: str | None = None
    scan_start: int | float | None = None


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """One event of typed rows. `index`: wall-clock capture time in ms; `observed_at`: the same on the agent's monotonic clock.

    `from`/`to` (with `_b64` twins) belong to `move`, `scope`/`reason` to `gap`.
    """

    event_type: str
    rows: list[FsRow] = []
    message_source: str | None = None
    event_schema: str | None = None
    table: str | None = None
    index: int | float | None = None
    event_id: str | int | None = None
    observed_at: int | float | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    from_b64: str | None = None
    to_b64: str | None = None
    scope: str | None = None
    scope_b64: str | None = None
    reason: str | None = None
    metadata: dict[str, Any] | None = None


class Envelope(msgspec.Struct, omit_defaults=True):
    """One batch. Protocol 3: `seq` runs per (session, `stream`), so a job worker (stream = its job id) and the realtime sender
    (stream "") number independently; `sent_at`: ms on the agent's monotonic clock at the moment of sending.
    """

    events: list[Event] = []
    source_type: str = "message"
    is_end: bool = False
    session_id: str | None = None
    batch_id: str | None = None
    seq: int | None = None
    stream: str = ""
    epoch: int | None = None
    audit_id: str | None = None
    sent_at: int | float | None = None
    metadata: dict[str, Any] | None = None


class Malformed(ValueError):
    """The body is not JSON, or not the JSON of an envelope. `place` names the first faulty spot, `status` the HTTP answer."""

    def __init__(self, place: str, reason: str, status: int = 422) -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.place, self.reason, self.status = place, reason, status


class Reject(msgspec.Struct, frozen=True):
    """One refused row: event number, row number (None: the whole event), field, reason in words."""

    event: int
    row: int | None
    field: str
    reason: str


class Batch(msgspec.Struct):
    """A decoded envelope. `refused` holds rows whose JSON types were wrong; those rows are None in `envelope.events[i].rows`
    positions listed there (kept as empty FsRow so that row numbers stay what the client sent)."""

    envelope: Envelope
    refused: list[Reject]


_typed = msgspec.json.Decoder(Envelope)


def decode_envelope(body: bytes) -> Batch:
    """The batch in a request body. Raises Malformed (status 400: no JSON; 422: no envelope)."""
    try:
        return Batch(_typed.decode(body), [])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
