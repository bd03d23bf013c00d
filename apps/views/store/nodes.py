"""Reading and writing sets of directories and files. Called by `working` and `audits`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from apps.views.models import Flag
from apps.views.store import tables
from apps.views.store.columns import Row
from apps.views.store.dialect import dialect, execute, query
from fustor_schema import paths

_STORED = ", ".join(["id", "path", "parent_id", "name", *tables.DIRECTORY_STATE])
_FILE = ", ".join(tables.FILE_COLUMNS)
# how many columns of a directory's state are its own row's; the rest are totals and listings
OWN_COLUMNS = list(tables.DIRECTORY_STATE).index("total_files")
_NULLABLE = {"mtime", "ctime", "mode", "uid", "gid", "inode", "nlink"}
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in list(tables.FILE_COLUMNS)[2:])


def directories(tree_id: int, wanted: Sequence[str]) -> list[Any]:
    """The stored directories among these paths: id, path, parent_id, name, then `tables.DIRECTORY_STATE`."""
    among, parameter = dialect().among(wanted)
    return query(f"SELECT {_STORED} FROM {tables.DIRECTORY} WHERE tree_id = %s AND path {among}", [tree_id, parameter])


def files(pairs: Sequence[tuple[int, str]]) -> list[Any]:
    """The stored files among these (directory id, name) pairs, as `tables.FILE_COLUMNS`."""
    return dialect().select_pairs(_FILE, tables.FILE, ("directory_id", "name"), pairs) if pairs else []


def files_of(directory_ids: Sequence[int]) -> list[Any]:
    """All stored files of these directories, as `tables.FILE_COLUMNS`."""
    if not directory_ids:
        return []
    among, parameter = dialect().among(directory_ids)
    return query(f"SELECT {_FILE} FROM {tables.FILE} WHERE directory_id {among}", [parameter])


def some_columns_of(directory_ids: Sequence[int], columns: Sequence[str]) -> list[Any]:
    """(directory id, name, these columns …) of all stored files of these directories, by directory and name."""
    if not directory_ids:
        return []
    among, parameter = dialect().among(directory_ids)
    told = ", ".join(("directory_id", "name", *columns))
    return query(f"SELECT {told} FROM {tables.FILE} WHERE directory_id {among} ORDER BY directory_id, name", [parameter])


def new_directory_ids(count: int) -> Sequence[int]:
    """Ids for directories that will be inserted in this transaction."""
    return dialect().new_ids(tables.DIRECTORY, count)


def insert_directories(rows: Sequence[Row]) -> None:
    """Insert rows of `tables.DIRECTORY_COLUMNS`."""
    dialect().insert(tables.DIRECTORY, tables.DIRECTORY_COLUMNS, rows)


def update_directories(rows: Sequence[Row]) -> None:
    """Write rows of id + `tables.DIRECTORY_STATE`."""
    dialect().update(tables.DIRECTORY, 1, {"id": "bigint", **tables.DIRECTORY_STATE}, rows)


def upsert_files(rows: Sequence[Row]) -> None:
    """Write rows of `tables.FILE_COLUMNS`."""
    dialect().insert(tables.FILE, tables.FILE_COLUMNS, rows, f"ON CONFLICT (directory_id, name) DO UPDATE SET {_REPLACE}")


def delete_files(pairs: Sequence[tuple[int, str]]) -> None:
    """Delete the files with these (directory id, name)."""
    dialect().delete(tables.FILE, {"directory_id": "bigint", "name": "text"}, pairs)


def delete_subtree(tree_id: int, directory_id: int, path: str, *, is_leaf: bool, is_empty: bool) -> None:
    """Delete a directory and all below it. `is_leaf`: it has no directories; `is_empty`: nor files."""
    if is_leaf:
        if not is_empty:
            execute(f"DELETE FROM {tables.FILE} WHERE directory_id = %s", [directory_id])
            execute(f"DELETE FROM {tables.OWNER_TOTAL} WHERE directory_id = %s", [directory_id])
        execute(f"DELETE FROM {tables.DIRECTORY} WHERE id = %s", [directory_id])
        return
    within, parameters = below(tree_id, path)
    inside = f"SELECT id FROM {tables.DIRECTORY} WHERE {within}"
    execute(f"DELETE FROM {tables.FILE} WHERE directory_id IN ({inside})", parameters)
    execute(f"DELETE FROM {tables.OWNER_TOTAL} WHERE directory_id IN ({inside})", parameters)
    execute(f"DELETE FROM {tables.DIRECTORY} WHERE {within}", parameters)


def below(tree_id: int, path: str) -> tuple[str, list[Any]]:
    """A WHERE clause for the rows of a table with `tree_id` and `path` at or below a path, by components (R52)."""
    if path == paths.ROOT:
        return "tree_id = %s", [tree_id]
    # "0" is the character after "/": the range holds exactly what starts with path + "/"
    return "tree_id = %s AND (path = %s OR (path > %s AND path < %s))", [tree_id, path, f"{path}/", f"{path}0"]


def newest_mtimes(directory_ids: Sequence[int], without: Sequence[int]) -> dict[int, float]:
    """Directory id → newest mtime among its stored files and its child directories that are not in `without`."""
    wanted, parameter = dialect().among(directory_ids)
    skipped, skipped_parameter = dialect().among(without)
    found: dict[int, float] = {}
    for directory_id, mtime in query(
        f"SELECT directory_id, max(mtime) FROM {tables.FILE} WHERE directory_id {wanted} GROUP BY directory_id "
        f"UNION ALL SELECT parent_id, max(newest_mtime) FROM {tables.DIRECTORY} "
        f"WHERE parent_id {wanted} AND NOT id {skipped} GROUP BY parent_id",
        [parameter, parameter, skipped_parameter],
    ):
        if mtime is not None:
            found[directory_id] = max(mtime, found.get(directory_id, mtime))
    return found


def newest_that_holds(directory_ids: Sequence[int]) -> dict[int, float]:
    """Directory id → its stored newest mtime, for those where a file right in it still has just that mtime.

    Spares reading whole directories where many files share one mtime (unpacked archives, copies).
    """
    among, parameter = dialect().among(directory_ids)
    return dict(
        query(
            # not EXISTS: PostgreSQL would make it a join that reads every file of every view
            f"SELECT id, newest_mtime FROM {tables.DIRECTORY} directory WHERE id {among} AND (SELECT 1 FROM {tables.FILE} "
            "WHERE directory_id = directory.id AND mtime = directory.newest_mtime LIMIT 1) = 1",
            [parameter],
        )
    )


def latest_realtime_below(tree_id: int, path: str) -> tuple[int, int] | None:
    """(observed_at, session) of the newest node strictly below a directory that a realtime claim decided last; None: none."""
    within, parameters = below(tree_id, path)
    realtime = int(Flag.REALTIME)
    found = query(
        f"SELECT observed_at, session FROM {tables.DIRECTORY} WHERE {within} AND path <> %s AND flags & %s > 0 "
        f"UNION ALL SELECT observed_at, session FROM {tables.FILE} WHERE flags & %s > 0 AND directory_id IN "
        f"(SELECT id FROM {tables.DIRECTORY} WHERE {within}) ORDER BY observed_at DESC LIMIT 1",
        [*parameters, path, realtime, realtime, *parameters],
    )
    return (found[0][0], found[0][1]) if found else None


class Since(NamedTuple):
    """Told by others than this session, by realtime events from one time on, by scans from another (server ms)."""

    session: int
    realtime: int
    scan: int


class ToldFolder(NamedTuple):
    """A directory. `own`: the first columns of `tables.DIRECTORY_STATE`; `below`: how many nodes it holds."""

    path: str
    own: list[Any]
    below: int


def told_since(tree_id: int, path: str, since: Since, limit: int) -> tuple[list[ToldFolder], list[tuple[str, tuple[Any, ...]]]]:
    """Directories at or below a path, and files as (path, row), at most `limit` + 1 of each. Placeholders are none."""
    within, parameters = below(tree_id, path)
    newer = "session <> %s AND observed_at >= CASE WHEN flags & %s > 0 THEN %s ELSE %s END"
    times = [since.session, int(Flag.REALTIME), since.realtime, since.scan]
    folders = query(
        f"SELECT path, total_files + total_directories, {', '.join(list(tables.DIRECTORY_STATE)[:OWN_COLUMNS])} "
        f"FROM {tables.DIRECTORY} WHERE {within} AND flags & %s = 0 AND {newer} LIMIT %s",
        [*parameters, int(Flag.PLACEHOLDER), *times, limit + 1],
    )
    files = query(
        f"SELECT (SELECT path FROM {tables.DIRECTORY} WHERE id = directory_id), {_FILE} FROM {tables.FILE} "
        f"WHERE directory_id IN (SELECT id FROM {tables.DIRECTORY} WHERE {within}) AND {newer} LIMIT %s",
        [*parameters, *times, limit + 1],
    )
    return [ToldFolder(at, own, held) for at, held, *own in folders], [(paths.join(at, row[1]), tuple(row)) for at, *row in files]


def insert_root(tree_id: int) -> None:
    """The root of a new or emptied tree."""
    insert_directories([(new_directory_ids(1)[0], tree_id, paths.ROOT, None, "", *placeholder_state())])


def placeholder_state() -> tuple[Any, ...]:
    """`tables.DIRECTORY_STATE` of a directory of which only the path is known."""
    known = {"size": 0, "flags": int(Flag.PLACEHOLDER), "newest_mtime": None, "unscanned": ""}
    return tuple(known.get(name, None if name in _NULLABLE else 0) for name in tables.DIRECTORY_STATE)


def delete_all(tree_id: int) -> None:
    """Everything that is stored of a tree's nodes, and its tombstones."""
    inside = f"SELECT id FROM {tables.DIRECTORY} WHERE tree_id = %s"
    execute(f"DELETE FROM {tables.FILE} WHERE directory_id IN ({inside})", [tree_id])
    execute(f"DELETE FROM {tables.OWNER_TOTAL} WHERE directory_id IN ({inside})", [tree_id])
    execute(f"DELETE FROM {tables.DIRECTORY} WHERE tree_id = %s", [tree_id])
    execute(f"DELETE FROM {tables.TOMBSTONE} WHERE tree_id = %s", [tree_id])


def move_subtree(tree_id: int, origin: str, target: str, directory_id: int, parent_id: int) -> None:
    """Rename a directory with all below it. Files stay where they are: they hang on their directory's id."""
    within, parameters = below(tree_id, origin)
    execute(
        f"UPDATE {tables.DIRECTORY} SET path = %s || substr(path, %s) WHERE {within}",
        [target, len(origin) + 1, *parameters],
    )
    execute(
        f"UPDATE {tables.DIRECTORY} SET parent_id = %s, name = %s WHERE id = %s",
        [parent_id, paths.name(target), directory_id],
    )


def owner_totals(directory_id: int) -> dict[int, tuple[int, int]]:
    """uid → (files, bytes) below a directory."""
    rows = query(f"SELECT uid, files, bytes FROM {tables.OWNER_TOTAL} WHERE directory_id = %s", [directory_id])
    return {uid: (files, size) for uid, files, size in rows}


def add_owner_totals(rows: Sequence[Row]) -> None:
    """Add (directory id, uid, files, bytes) to what is stored."""
    if not rows:
        return
    dialect().insert(
        tables.OWNER_TOTAL,
        {"directory_id": "bigint", "uid": "bigint", "files": "bigint", "bytes": "bigint"},
        rows,
        f"ON CONFLICT (directory_id, uid) DO UPDATE SET files = {tables.OWNER_TOTAL}.files + excluded.files, "
        f"bytes = {tables.OWNER_TOTAL}.bytes + excluded.bytes",
    )


def child_names(directory_ids: Sequence[int]) -> list[Any]:
    """(directory id, name, is directory) of everything that is stored directly in these directories."""
    among, parameter = dialect().among(directory_ids)
    return query(
        f"SELECT directory_id, name, %s FROM {tables.FILE} WHERE directory_id {among} "
        f"UNION ALL SELECT parent_id, name, %s FROM {tables.DIRECTORY} WHERE parent_id {among}",
        [False, parameter, True, parameter],
    )
