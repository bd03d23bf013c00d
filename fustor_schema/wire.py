"""Wire models of `POST /pipe/{session_id}/events`: the envelope, its events and its rows. Read from JSON by `decoding`."""

from typing import Any

import msgspec

DIR_CLOSE = "dir_close"


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


class Listing(msgspec.Struct, frozen=True):
    """The whole listing of one directory, told by one event of a scan, while its rows are still JSON.

    `digest`: of the bytes of the rows, a signed 64-bit number that is never 0: listings with one digest say the same. `path`: the
    key of the directory. `close`: its `dir_close`, which says that the listing is whole.
    """

    path: str
    digest: int
    close: FsRow
    rows: list[msgspec.Raw]


class Batch(msgspec.Struct):
    """A decoded envelope. `refused` holds rows whose JSON types were wrong; those rows are None in `envelope.events[i].rows`
    positions listed there (kept as empty FsRow so that row numbers stay what the client sent). `listings`, by event number: whole
    listings; their events have no rows until `decoding.unpack` reads them. `packed`, by event number: the rows as they came."""

    envelope: Envelope
    refused: list[Reject]
    listings: dict[int, Listing] = {}
    packed: dict[int, list[msgspec.Raw]] = {}
