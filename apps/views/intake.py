"""From a decoded batch to claims: checks every row (R32, R34), rejects the bad ones one by one, lets the rest through.

Called by `apply`. Nothing here reads the database; what a row's path and numbers may be is
decided by `glance`, for many rows at once, and by `row_checks`.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from apps.runtime.problems import Invalid
from apps.views import glance
from apps.views.claims import Origin, Said
from apps.views.folder import Looked
from apps.views.repeats import Repeats, Run
from apps.views.row_checks import BadField, check_numbers, deletable, is_plain, key_of, row_path
from fustor_schema import paths
from fustor_schema.sources import EventType, Kind, MessageSource, SourceType
from fustor_schema.wire import DIR_CLOSE, Batch, Event, FsRow, Reject

SCHEMA = "fs"
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
    REPEAT = 6


class Telling(IntEnum):
    """How much the rows of a batch tell of a file."""

    MIXED = 0
    LITTLE = 1  # size and times
    ALL = 2  # every column that the store has


Entry = tuple[str, FsRow, int]
"""(name, row, row number)."""

Claim = tuple[Op, Said, str, list[Entry], int]
"""(op, said, directory, entries, event number). File rows of one event that follow each other in one directory are one claim with
many entries; every other claim has one. The root is directory "" and name ""; `move`, `gap` and `repeat` have no entries. The
directory of a `repeat` is the one that is listed."""


class Movement(NamedTuple):
    """The two ends of a `move`."""

    origin: str
    target: str


class Intake(NamedTuple):
    """A checked batch. `moves` and `gaps`: by event number; a gap is (scope, reason).

    `telling`: the same for all rows of the batch, as far as it is known. `repeated`: what `repeat` claims stand for, by directory.
    `runs`: other rows of one directory that may be known next time, by event number and first row. `looked`: directories that need
    not be looked up again.
    """

    claims: list[Claim]
    rejects: list[Reject]
    rows: int
    moves: dict[int, Movement]
    gaps: dict[int, tuple[str, str]]
    telling: Telling = Telling.MIXED
    repeated: Mapping[str, Run] = MappingProxyType({})
    runs: Mapping[tuple[int, int], Run] = MappingProxyType({})
    looked: Looked = Looked()


def read(batch: Batch, origin: Origin, received_ms: int, repeats: Repeats | None = None) -> Intake:
    """The claims of a batch. Raises Invalid when an event has no schema: then the envelope is not valid (R33)."""
    repeats = repeats or Repeats()
    reader = _Reader(batch, origin, received_ms, repeats)
    for number, event in enumerate(batch.envelope.events):
        reader.read_event(event, number)
    read = (reader.claims, reader.rejects, reader.rows, reader.moves, reader.gaps, reader.telling)
    return Intake(*read, reader.repeated, repeats.others, repeats.looked)


class _Reader:
    """Reads the events of one batch, one after the other."""

    def __init__(self, batch: Batch, origin: Origin, received_ms: int, repeats: Repeats) -> None:
        self._known = repeats.known
        self.repeated: dict[str, Run] = {}
        self.claims: list[Claim] = []
        self.rejects = list(batch.refused)
        self.rows = 0
        self.moves: dict[int, Movement] = {}
        self.gaps: dict[int, tuple[str, str]] = {}
        self._tellings: set[Telling] = set()
        self._refused: set[tuple[int, int | None]] = {(reject.event, reject.row) for reject in batch.refused}
        self._fallback = _SOURCE_OF_BATCH[SourceType(batch.envelope.source_type)]
        self._origin, self._received_ms, self._is_native = origin, received_ms, origin.is_native
        self._error_ms = int(origin.clock_error_ms)
        self._last_said: tuple[object, ...] = ()
        self._said: Said | None = None

    @property
    def telling(self) -> Telling:
        """What all rows that were read have in common."""
        return next(iter(self._tellings)) if len(self._tellings) == 1 else Telling.MIXED

    def read_event(self, event: Event, number: int) -> None:
        """One event: its claims, or its rejects. Raises Invalid."""
        self.rows += len(event.rows) or sum(run.rows for run in self._known.get(number, {}).values())
        try:
            self._read(event, number, self._said_of(event, number))
        except BadField as bad:
            self.rejects.append(Reject(number, None, bad.field, bad.reason))

    def _read(self, event: Event, number: int, said: Said) -> None:
        kind = event.event_type
        if number in self._known:
            self._read_around(self._known[number], event.rows, number, said)
        elif kind == EventType.UPDATE or kind == EventType.INSERT:
            self._read_upserts(event.rows, number, said)
        elif kind == EventType.DELETE:
            self._read_deletes(event.rows, number, said)
        elif self._is_native and kind == EventType.MOVE:
            self._read_move(event, number, said)
        elif self._is_native and kind == EventType.GAP:
            self.gaps[number] = (key_of(event.scope, event.scope_b64, "scope"), (event.reason or "unknown")[:200])
            self.claims.append((Op.GAP, said, "", [], number))
        else:
            raise BadField("event_type", f"unknown event_type {kind!r:.50}")

    def _said_of(self, event: Event, number: int) -> Said:
        """Who says it and when; the same object as long as events say the same (bursts do)."""
        if event.event_schema is None:
            raise Invalid("an event names no schema", field=f"events[{number}].event_schema", fix='set "event_schema" to "fs"')
        if event.event_schema != SCHEMA:
            raise BadField("event_schema", f"unknown event_schema {event.event_schema!r:.50}; this view takes {SCHEMA!r}")
        if event.table is None and event.event_type not in (EventType.MOVE, EventType.GAP):
            raise BadField("table", "table is missing")
        words = (event.message_source, event.index, event.observed_at)
        if words == self._last_said and self._said is not None:
            return self._said
        source = self._fallback if event.message_source is None else _SOURCES.get(event.message_source)
        if source is None:
            raise BadField("message_source", f"unknown message_source {event.message_source!r:.50}")
        said = Said(source, self._origin.session, observed_at(event, self._origin, self._received_ms), self._error_ms)
        self._last_said, self._said = words, said
        return said

    def _read_move(self, event: Event, number: int, said: Said) -> None:
        ends = key_of(event.from_, event.from_b64, "from"), key_of(event.to, event.to_b64, "to")
        self.moves[number] = Movement(*map(deletable, ends))
        self.claims.append((Op.MOVE, said, "", [], number))
        self._read_upserts(event.rows, number, said)

    def _read_around(self, known: Mapping[int, Run], rows: list[FsRow], number: int, said: Said) -> None:
        """An event of which some rows need no reading."""
        at = 0
        for start, run in sorted(known.items()):
            self._read_upserts(rows[at:start], number, said, first=at)
            self.claims.append((Op.REPEAT, said, run.directory, [], number))
            self.repeated[run.directory] = run
            at = start + run.rows
        self._read_upserts(rows[at:], number, said, first=at)

    def _read_upserts(self, rows: list[FsRow], number: int, said: Said, *, first: int = 0) -> None:
        closes = bool(rows) and rows[-1].kind == DIR_CLOSE
        listed = rows[:-1] if closes else rows
        seen = glance.look(listed, first) if len(listed) >= glance.WORTH_A_GLANCE and not self._refused else None
        if seen is None:
            if not said.realtime:
                self._tellings.update(_telling_of(row) for row in listed if _is_file(row))
            self._read_one_by_one(rows, number, said, first=first)
            return
        self._tellings.add(Telling.ALL if seen.tells_all else Telling.LITTLE if seen.tells_little else Telling.MIXED)
        self.claims.extend(
            [(Op.DIRECTORY if is_directory else Op.FILE, said, head, entries, number) for is_directory, head, entries in seen.runs]
        )
        if closes:
            self._read_one_by_one(rows[-1:], number, said, first=first + len(listed))

    def _read_one_by_one(self, rows: list[FsRow], number: int, said: Said, *, first: int = 0) -> None:
        claims, refused = self.claims, self._refused
        current = ""
        entries: list[Entry] = []
        for index, row in enumerate(rows, first):
            if refused and (number, index) in refused:
                continue
            try:
                path = paths.normalise(row.path) if row.path is not None and row.path_b64 is None else row_path(row)
                op = Op.FILE if row.kind is None and not row.is_directory else _op(row)
                if not is_plain(row):
                    check_numbers(row)
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
                self.rejects.append(Reject(number, index, getattr(bad, "field", "path"), str(bad)))

    def _read_deletes(self, rows: list[FsRow], number: int, said: Said) -> None:
        for index, row in enumerate(rows):
            if self._refused and (number, index) in self._refused:
                continue
            try:
                path = deletable(row_path(row))
            except BadField as bad:
                self.rejects.append(Reject(number, index, bad.field, bad.reason))
                continue
            self.claims.append((Op.DELETE, said, paths.parent(path), [(paths.name(path), row, index)], number))


def observed_at(event: Event, origin: Origin, received_ms: int) -> int:
    """When an event was true, in server ms: its capture time moved by the session's clock offset, never after it arrived (R3)."""
    captured = event.observed_at if origin.is_native and event.observed_at is not None else event.index
    if captured is None or not 0 < captured < 1e15:
        return received_ms
    return min(int(captured + origin.clock_offset_ms), received_ms)


def _is_file(row: FsRow) -> bool:
    return row.kind != Kind.DIRECTORY if row.kind is not None else not row.is_directory


def _telling_of(row: FsRow) -> Telling:
    owner = (row.kind, row.mode, row.uid, row.gid, row.inode, row.nlink)
    if owner.count(None) == len(owner):
        return Telling.LITTLE
    times = row.modified_time, row.created_time
    return Telling.MIXED if None in owner or None in times else Telling.ALL


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
