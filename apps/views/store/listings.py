"""What audits have listed: staging of names, and the set operation that finds what is absent. Called by `audits`."""

from collections.abc import Iterable, Sequence
from typing import Any

from apps.views.store import tables
from apps.views.store.dialect import dialect, execute, query

_NAME = {"audit_id": "bigint", "directory_id": "bigint", "name": "text", "observed_at": "bigint", "skipped": "boolean"}
_ABSENCE = {"audit_id": "bigint", "directory_id": "bigint", "name": "text", "observed_at": "bigint", "is_directory": "boolean"}


def stage(audit_id: int, rows: Iterable[tuple[int, str, int, bool]]) -> None:
    """Remember (directory id, name, observed_at, skipped); name "" is the directory's own row."""
    dialect().insert(
        tables.AUDIT_NAME,
        _NAME,
        [(audit_id, *row) for row in rows],
        "ON CONFLICT (audit_id, directory_id, name) DO UPDATE SET observed_at = excluded.observed_at, skipped = excluded.skipped",
    )


def staged_names(audit_id: int, directory_id: int) -> list[str]:
    """The names that earlier batches of an audit listed in a directory."""
    rows = query(
        f"SELECT name FROM {tables.AUDIT_NAME} WHERE audit_id = %s AND directory_id = %s AND name <> ''", [audit_id, directory_id]
    )
    return [row[0] for row in rows]


def note_absent(audit_id: int, rows: Sequence[tuple[int, str, int, bool]]) -> None:
    """Note (directory id, name, start of the listing, is directory) as absent, until the audit ends."""
    dialect().insert(
        tables.AUDIT_ABSENCE, _ABSENCE, [(audit_id, *row) for row in rows], "ON CONFLICT (audit_id, directory_id, name) DO NOTHING"
    )


_HAS_CHILD = f"""EXISTS (SELECT 1 FROM {tables.AUDIT_NAME} child
    WHERE child.audit_id = own.audit_id AND child.directory_id = own.directory_id AND child.name > '')"""
_NOT_SEEN = f"""NOT EXISTS (SELECT 1 FROM {tables.AUDIT_NAME} seen
    WHERE seen.audit_id = own.audit_id AND seen.directory_id = own.directory_id AND seen.name = stored.name)"""


def find_absent(audit_id: int) -> int:
    """Note as absent what is stored in a listed directory and was not seen in it; how many.

    A directory counts as listed when its own row and a child's came in the audit and it was not silent (old clients).
    """
    found = 0
    for table, parent, is_directory in ((tables.FILE, "directory_id", False), (tables.DIRECTORY, "parent_id", True)):
        found += execute(
            f"INSERT INTO {tables.AUDIT_ABSENCE} (audit_id, directory_id, name, observed_at, is_directory) "
            f"SELECT own.audit_id, own.directory_id, stored.name, own.observed_at, %s "
            f"FROM {tables.AUDIT_NAME} own CROSS JOIN {table} stored WHERE stored.{parent} = own.directory_id "
            f"AND own.audit_id = %s AND own.name = '' AND NOT own.skipped AND {_HAS_CHILD} AND {_NOT_SEEN}",
            [is_directory, audit_id],
        )
    return found


def childless(audit_id: int) -> list[str]:
    """Paths of the directories that the audit says changed, and listed nothing in, though children are stored."""
    rows = query(
        f"SELECT directory.path FROM {tables.AUDIT_NAME} own CROSS JOIN {tables.DIRECTORY} directory "
        "WHERE directory.id = own.directory_id AND own.audit_id = %s AND own.name = '' AND NOT own.skipped "
        f"AND directory.total_files + directory.total_directories > 0 AND NOT {_HAS_CHILD}",
        [audit_id],
    )
    return [row[0] for row in rows]


def lists_children(audit_id: int, tree_id: int, path: str) -> bool:
    """Whether an audit listed anything in a directory."""
    sql = (
        f"SELECT 1 FROM {tables.AUDIT_NAME} child JOIN {tables.DIRECTORY} directory ON directory.id = child.directory_id "
        "WHERE child.audit_id = %s AND child.name <> '' AND directory.tree_id = %s AND directory.path = %s LIMIT 1"
    )
    return bool(query(sql, [audit_id, tree_id, path]))


def absences(audit_id: int) -> list[Any]:
    """What is noted absent: (directory path, name, observed_at, is_directory, how many nodes its removal takes)."""
    return query(
        f"SELECT parent.path, gone.name, gone.observed_at, gone.is_directory, "
        "1 + COALESCE(below.total_files + below.total_directories, 0) "
        f"FROM {tables.AUDIT_ABSENCE} gone JOIN {tables.DIRECTORY} parent ON parent.id = gone.directory_id "
        f"LEFT JOIN {tables.DIRECTORY} below "
        "ON gone.is_directory AND below.parent_id = gone.directory_id AND below.name = gone.name "
        "WHERE gone.audit_id = %s ORDER BY parent.path, gone.name",
        [audit_id],
    )


def forget(audit_id: int, *, absences_too: bool) -> None:
    """Drop what was staged for an audit."""
    execute(f"DELETE FROM {tables.AUDIT_NAME} WHERE audit_id = %s", [audit_id])
    if absences_too:
        execute(f"DELETE FROM {tables.AUDIT_ABSENCE} WHERE audit_id = %s", [audit_id])
