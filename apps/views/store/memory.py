"""Reading and writing what a tree remembers beside its nodes: tombstones, suspects, blind spots, rechecks, feed, refusals."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from apps.views.outcome import Remains
from apps.views.store import tables
from apps.views.store.dialect import dialect, execute, query
from apps.views.store.nodes import below
from fustor_schema import paths

_encode = msgspec.json.Encoder().encode
_KEY = {"tree_id": "bigint", "path": "text"}
_SUSPECT = {**_KEY, "partial": "boolean", "since": "float8", "until": "float8", "mtime": "float8", "size": "bigint"}
_BLIND = {
    **_KEY,
    "is_directory": "boolean",
    "change": "text",
    "count": "bigint",
    "detected_at": "float8",
    "audit": "bigint",
    "closed_by": "text",
    "aggregate": "boolean",
}
_RECHECK = {**_KEY, "recursive": "boolean", "reason": "text", "wanted_at": "bigint"}
_REFUSAL = {
    **_KEY,
    "at": "bigint",
    "observed_at": "bigint",
    "session": "bigint",
    "source": "text",
    "rule": "smallint",
    "reason": "text",
}


def tombstones(tree_id: int, wanted: Sequence[str]) -> list[Any]:
    """(path, subtree, observed_at, error_ms, session, source) of the tombstones at these paths."""
    among, parameter = dialect().among(wanted)
    return query(
        f"SELECT path, subtree, observed_at, error_ms, session, source FROM {tables.TOMBSTONE} WHERE tree_id = %s AND path {among}",
        [tree_id, parameter],
    )


def write_tombstones(tree_id: int, changes: dict[str, tuple[Any, ...] | None]) -> None:
    """Store or remove (None) tombstones; each is (subtree, observed_at, error_ms, created_at, session, source, rule)."""
    dialect().delete(tables.TOMBSTONE, _KEY, [(tree_id, path) for path, grave in changes.items() if grave is None])
    replace = ", ".join(f"{name} = excluded.{name}" for name in list(tables.TOMBSTONE_COLUMNS)[2:])
    rows = [(tree_id, path, *grave) for path, grave in changes.items() if grave is not None]
    dialect().insert(tables.TOMBSTONE, tables.TOMBSTONE_COLUMNS, rows, f"ON CONFLICT (tree_id, path) DO UPDATE SET {replace}")


def drop_covered_tombstones(tree_id: int, path: str, observed_at: int) -> int:
    """Remove the tombstones below a path that a new one with subtree makes needless; how many (R6)."""
    if path == paths.ROOT:
        return 0
    return execute(
        f"DELETE FROM {tables.TOMBSTONE} WHERE tree_id = %s AND path > %s AND path < %s AND observed_at <= %s",
        [tree_id, f"{path}/", f"{path}0", observed_at],
    )


def write_suspects(tree_id: int, changes: dict[str, tuple[Any, ...] | None]) -> None:
    """Store or remove (None) suspects; each is (partial, since, until, mtime, size)."""
    dialect().delete(tables.SUSPECT, _KEY, [(tree_id, path) for path, suspect in changes.items() if suspect is None])
    dialect().insert(
        tables.SUSPECT,
        _SUSPECT,
        [(tree_id, path, *suspect) for path, suspect in changes.items() if suspect is not None],
        "ON CONFLICT (tree_id, path) DO UPDATE SET partial = excluded.partial, until = excluded.until, "
        "mtime = excluded.mtime, size = excluded.size",
    )


def write_blind_spots(tree_id: int, changes: dict[str, tuple[Any, ...] | None], now: float) -> None:
    """Open or close (None) blind spots; each is (is_directory, change, count, detected_at, audit). One open per path."""
    close_blind_spots(tree_id, [path for path, spot in changes.items() if spot is None], now, "realtime event")
    dialect().insert(
        tables.BLIND_SPOT,
        _BLIND,
        [(tree_id, path, *spot, "", False) for path, spot in changes.items() if spot is not None],
        "ON CONFLICT (tree_id, path) WHERE NOT aggregate AND closed_at IS NULL DO UPDATE SET is_directory = excluded.is_directory, "
        "change = excluded.change, count = excluded.count, detected_at = excluded.detected_at, audit = excluded.audit",
    )


def close_blind_spots(tree_id: int, wanted: Sequence[str], now: float, by: str) -> int:
    """Close the open blind spots at these paths, aggregates apart; how many."""
    if not wanted:
        return 0
    among, parameter = dialect().among(wanted)
    return execute(
        f"UPDATE {tables.BLIND_SPOT} SET closed_at = %s, closed_by = %s "
        f"WHERE tree_id = %s AND closed_at IS NULL AND NOT aggregate AND path {among}",
        [now, by, tree_id, parameter],
    )


def count_down(tree_id: int, fewer: dict[tuple[str, str], int], now: float, by: str = "realtime event") -> None:
    """Aggregated blind spots were closed one by one: so many fewer per (directory, change). An empty aggregate is closed."""
    among, parameter = dialect().among(sorted({directory for directory, _ in fewer}))
    open_ones = query(
        f"SELECT id, path, change, count FROM {tables.BLIND_SPOT} "
        f"WHERE tree_id = %s AND closed_at IS NULL AND aggregate AND path {among}",
        [tree_id, parameter],
    )
    left = [(pk, count - fewer.get((path, change), 0)) for pk, path, change, count in open_ones]
    dialect().update(tables.BLIND_SPOT, 1, {"id": "bigint", "count": "bigint"}, [row for row in left if row[1] > 0])
    closed = [pk for pk, count in left if count <= 0]
    if closed:
        among, parameter = dialect().among(closed)
        execute(f"UPDATE {tables.BLIND_SPOT} SET closed_at = %s, closed_by = %s WHERE id {among}", [now, by, parameter])


def forget_below(tree_id: int, path: str, now: float) -> None:
    """A subtree went: its suspects go, its open blind spots are closed, and what is counted in the directory itself."""
    within, parameters = below(tree_id, path)
    execute(f"DELETE FROM {tables.SUSPECT} WHERE {within}", parameters)
    execute(
        f"UPDATE {tables.BLIND_SPOT} SET closed_at = %s, closed_by = 'deleted with its directory' "
        f"WHERE {within} AND closed_at IS NULL",
        [now, *parameters],
    )
    execute(
        f"UPDATE {tables.BLIND_SPOT} SET closed_at = %s, closed_by = 'deleted with its directory' "
        "WHERE tree_id = %s AND path = %s AND closed_at IS NULL AND aggregate",
        [now, tree_id, path],
    )


def write_rechecks(tree_id: int, wanted: dict[str, tuple[str, bool, int]]) -> None:
    """Ask for paths to be looked at again, each with (reason, recursive, not before this server ms); a path waits once."""
    rows = [(tree_id, path, recursive, reason[:200], at) for path, (reason, recursive, at) in wanted.items()]
    dialect().insert(
        tables.RECHECK,
        _RECHECK,
        rows,
        f"ON CONFLICT (tree_id, path) DO UPDATE SET recursive = excluded.recursive OR {tables.RECHECK}.recursive, "
        "wanted_at = excluded.wanted_at",
    )


def write_refusals(tree_id: int, rows: Iterable[tuple[Any, ...]]) -> None:
    """Log refused claims: (path, at, observed_at, session, source, rule, reason)."""
    dialect().insert(tables.REFUSAL, _REFUSAL, [(tree_id, *row) for row in rows])


def append_changes(tree_id: int, last_seq: int, at: int, session: int, source: str, changes: Sequence[Any]) -> None:
    """One entry of the change feed for a whole batch."""
    execute(
        f"INSERT INTO {tables.CHANGE_BATCH} (tree_id, last_seq, at, session, source, count, entries) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [tree_id, last_seq, at, session, source, len(changes), _encode(changes)],
    )


def move_below(tree_id: int, origin: str, target: str) -> None:
    """A subtree moved: its suspects and open blind spots move with it."""
    within, parameters = below(tree_id, origin)
    for table, condition in ((tables.SUSPECT, ""), (tables.BLIND_SPOT, " AND closed_at IS NULL")):
        execute(
            f"UPDATE {table} SET path = %s || substr(path, %s) WHERE {within}{condition}", [target, len(origin) + 1, *parameters]
        )
    execute(
        f"UPDATE {tables.BLIND_SPOT} SET path = %s WHERE tree_id = %s AND path = %s AND closed_at IS NULL AND aggregate",
        [target, tree_id, origin],
    )


def open_gaps(tree_id: int, gaps: Sequence[tuple[Any, ...]]) -> None:
    """Open gaps: (path, reason, session, opened_at)."""
    columns = {**_KEY, "reason": "text", "session": "bigint", "opened_at": "bigint"}
    dialect().insert(tables.GAP, columns, [(tree_id, *gap) for gap in gaps])


def write(tree_id: int, remains: Remains, now_ms: int) -> None:
    """Write what a batch leaves beside nodes and tombstones, apart from the change feed."""
    for path in remains.removed_subtrees:
        forget_below(tree_id, path, now_ms / 1000)
    if remains.suspects:
        write_suspects(tree_id, remains.suspects)
    if remains.blind_spots:
        write_blind_spots(tree_id, remains.blind_spots, now_ms / 1000)
    if remains.counted_down:
        count_down(tree_id, remains.counted_down, now_ms / 1000)
    if remains.rechecks:
        write_rechecks(tree_id, remains.rechecks)
    if remains.refusals:
        write_refusals(tree_id, remains.refusals)
    if remains.gaps:
        open_gaps(tree_id, remains.gaps)
