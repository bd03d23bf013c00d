"""From a decoded batch to claims: checks every row (R32, R34), rejects the bad ones one by one, lets the rest through.

Called by `apply`. Nothing here reads the database; what a row's path and numbers may be is decided here and only here.
"""

from enum import IntEnum
from typing import NamedTuple

from apps.runtime.problems import Invalid
from apps.views.claims import Origin, Said
from fustor_schema import paths
from fustor_schema.sources import EventType, Kind, MessageSource, SourceType
from fustor_schema.wire import Batch, Event, FsRow, Reject

SCHEMA = "fs"
DIR_CLOSE = "dir_close"
_MAX_INTEGER = 2**63 - 1
_MAX_INODE = 2**64 - 1
_MAX_TIME = 1e11  # seconds; the year 5138: beyond it a time is an error of units
_KINDS = {kind.value for kind in Kind}
_SOURCES: dict[str, MessageSource] = {source.value: source for source in MessageSource}
_SOURCE_OF_BATCH = {
    SourceType.MESSAGE: MessageSource.REALTIME,
    SourceType.SNAPSHOT: MessageSource.SNAPSHOT,
    SourceType.AUDIT: MessageSource.AUDIT,
    SourceType.ON_DEMAND: MessageSource.ON_DEMAND,
    SourceType.SENTINEL: MessageSource.SENTINEL,
}


class Op(IntEnum):
    """What a claim says."""

    FILE = 0
    DIRECTORY = 1
    DELETE = 2
    CLOSE = 3
    MOVE = 4
    GAP = 5


Entry = tuple[str, FsRow, int]
"""(name, row, row number)."""

Claim = tuple[Op, Said, str, list[Entry], int]
"""(op, said, directory, entries, event number). File rows of one event that follow each other in one directory are one claim with
many entries; every other claim has one. The root is directory "" and name ""; `move` and `gap` have no entries."""


Place = tuple[int, int | None]


class Movement(NamedTuple):
    """The two ends of a `move`."""

    origin: str
    target: str


class Intake(NamedTuple):
    """A checked batch. `moves` and `gaps`: by event number; a gap is (scope, reason)."""

    claims: list[Claim]
    rejects: list[Reject]
    rows: int
    moves: dict[int, Movement]
    gaps: dict[int, tuple[str, str]]


class BadField(ValueError):
    """One field of one row is wrong; the text is the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


def read(batch: Batch, origin: Origin, received_ms: int) -> Intake:
    """The claims of a batch. Raises Invalid when an event has no schema: then the envelope is not valid (R33)."""
    intake = Intake([], list(batch.refused), 0, {}, {})
    refused = {(reject.event, reject.row) for reject in batch.refused}
    rows = 0
    fallback = _SOURCE_OF_BATCH[SourceType(batch.envelope.source_type)]
    for number, event in enumerate(batch.envelope.events):
        rows += len(event.rows)
        try:
            said = _said(event, number, origin, received_ms, fallback)
            _read_event(event, number, said, origin, intake, refused)
        except BadField as bad:
            intake.rejects.append(Reject(number, None, bad.field, bad.reason))
    return intake._replace(rows=rows)


def _said(event: Event, number: int, origin: Origin, received_ms: int, fallback: MessageSource) -> Said:
    if event.event_schema is None:
        raise Invalid("an event names no schema", field=f"events[{number}].event_schema", fix='set "event_schema" to "fs"')
    if event.event_schema != SCHEMA:
        raise BadField("event_schema", f"unknown event_schema {event.event_schema!r:.50}; this view takes {SCHEMA!r}")
    if event.table is None and event.event_type not in (EventType.MOVE, EventType.GAP):
        raise BadField("table", "table is missing")
    source = _SOURCES.get(event.message_source, fallback) if event.message_source is not None else fallback
    if source is fallback and event.message_source not in (None, fallback.value):
        raise BadField("message_source", f"unknown message_source {event.message_source!r:.50}")
    return Said(source, origin.session, observed_at(event, origin, received_ms), int(origin.clock_error_ms))


def observed_at(event: Event, origin: Origin, received_ms: int) -> int:
    """When an event was true, in server ms: its capture time moved by the session's clock offset, never after it arrived (R3)."""
    captured = event.observed_at if origin.is_native and event.observed_at is not None else event.index
    if captured is None or not 0 < captured < 1e15:
        return received_ms
    return min(int(captured + origin.clock_offset_ms), received_ms)


def _read_event(event: Event, number: int, said: Said, origin: Origin, intake: Intake, refused: set[Place]) -> None:
    kind = event.event_type
    if kind in (EventType.INSERT, EventType.UPDATE):
        _read_upserts(event.rows, number, said, intake, refused)
    elif kind == EventType.DELETE:
        _read_deletes(event.rows, number, said, intake, refused)
    elif kind == EventType.MOVE and origin.is_native:
        intake.moves[number] = Movement(
            _deletable(_path(event.from_, event.from_b64, "from")), _deletable(_path(event.to, event.to_b64, "to"))
        )
        intake.claims.append((Op.MOVE, said, "", [], number))
        _read_upserts(event.rows, number, said, intake, refused)
    elif kind == EventType.GAP and origin.is_native:
        intake.gaps[number] = (_path(event.scope, event.scope_b64, "scope"), (event.reason or "unknown")[:200])
        intake.claims.append((Op.GAP, said, "", [], number))
    else:
        raise BadField("event_type", f"unknown event_type {kind!r:.50}")


def _read_upserts(rows: list[FsRow], number: int, said: Said, intake: Intake, refused: set[Place]) -> None:
    claims = intake.claims
    current = ""
    entries: list[Entry] = []
    for index, row in enumerate(rows):
        if refused and (number, index) in refused:
            continue
        try:
            path = paths.normalise(row.path) if row.path is not None and row.path_b64 is None else _row_path(row)
            op = Op.FILE if row.kind is None and not row.is_directory else _op(row)
            size, mtime, ctime = row.size, row.modified_time, row.created_time
            if not (
                size.__class__ is int
                and 0 <= size <= _MAX_INTEGER
                and (mtime is None or -_MAX_TIME < mtime < _MAX_TIME)
                and (ctime is None or -_MAX_TIME < ctime < _MAX_TIME)
                and row.mode is row.uid is row.inode is row.nlink is None
            ):
                _check_numbers(row)
            directory, _, name = path.rpartition("/")
            if not name:
                claims.append((_not_a_file(op), said, "", [("", row, index)], number))
                current = ""
            elif op is not Op.FILE:
                claims.append((op, said, directory or "/", [(name, row, index)], number))
                current = ""
            elif directory == current and current:
                entries.append((name, row, index))
            else:
                entries = [(name, row, index)]
                current = directory
                claims.append((op, said, directory or "/", entries, number))
        except (BadField, paths.PathError) as bad:
            intake.rejects.append(Reject(number, index, getattr(bad, "field", "path"), str(bad)))


def _read_deletes(rows: list[FsRow], number: int, said: Said, intake: Intake, refused: set[Place]) -> None:
    for index, row in enumerate(rows):
        if refused and (number, index) in refused:
            continue
        try:
            path = _deletable(_row_path(row))
        except BadField as bad:
            intake.rejects.append(Reject(number, index, bad.field, bad.reason))
            continue
        intake.claims.append((Op.DELETE, said, paths.parent(path), [(paths.name(path), row, index)], number))


def _op(row: FsRow) -> Op:
    if row.kind is None:
        return Op.DIRECTORY if row.is_directory else Op.FILE
    if row.kind == DIR_CLOSE:
        return Op.CLOSE
    if row.kind not in _KINDS:
        raise BadField("kind", f"unknown kind {row.kind!r:.50}")
    return Op.DIRECTORY if row.kind == Kind.DIRECTORY else Op.FILE


def _not_a_file(op: Op) -> Op:
    if op is Op.FILE:
        raise BadField("path", "the root is a directory and stays one (R35)")
    return op


def _deletable(path: str) -> str:
    if path == paths.ROOT:
        raise BadField("path", "the root cannot be deleted (R35)")
    return path


def _row_path(row: FsRow) -> str:
    if row.path_b64 is not None:
        return _path(None, row.path_b64, "path")
    text = row.path if row.path is not None else row.file_path
    if text is None:
        raise BadField("path", "path is missing")
    try:
        return paths.normalise(text)
    except paths.PathError as error:
        raise BadField("path", str(error)) from None


def _path(text: str | None, encoded: str | None, field: str) -> str:
    if text is None and encoded is None:
        raise BadField(field, f"{field} is missing")
    try:
        if text is None or encoded is not None:
            return paths.from_base64(encoded or "")
        return paths.normalise(text)
    except paths.PathError as error:
        raise BadField(field if encoded is None else f"{field}_b64", str(error)) from None


def _check_numbers(row: FsRow) -> None:
    """Bring size to an int and refuse what no file can have. A NaN fails every comparison, so it is refused too."""
    size = row.size
    if size.__class__ is not int:
        row.size = _whole(size)
    elif not 0 <= size <= _MAX_INTEGER:
        raise BadField("size", "size is negative or over 2^63-1")
    if row.modified_time is not None and not -_MAX_TIME < row.modified_time < _MAX_TIME:
        raise BadField("modified_time", "modified_time is no time in Unix seconds")
    if row.created_time is not None and not -_MAX_TIME < row.created_time < _MAX_TIME:
        raise BadField("created_time", "created_time is no time in Unix seconds")
    if row.mode is not None or row.uid is not None or row.gid is not None or row.inode is not None or row.nlink is not None:
        _check_ownership(row)


def _whole(size: float | None) -> int:
    if size is None:
        return 0
    if not 0 <= size <= _MAX_INTEGER or size != int(size):
        raise BadField("size", "size is not a whole number from 0 to 2^63-1")
    return int(size)


def _check_ownership(row: FsRow) -> None:
    for field, value, most in (
        ("mode", row.mode, 2**31 - 1),
        ("uid", row.uid, _MAX_INTEGER),
        ("gid", row.gid, _MAX_INTEGER),
        ("inode", row.inode, _MAX_INODE),
        ("nlink", row.nlink, _MAX_INTEGER),
    ):
        if value is not None and not 0 <= value <= most:
            raise BadField(field, f"{field} is negative or too big")
    if row.inode is not None and row.inode > _MAX_INTEGER:
        row.inode -= 2**64  # stored as two's complement
