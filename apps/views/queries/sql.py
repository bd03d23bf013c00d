"""Every piece of SQL of the queries that differs between SQLite and PostgreSQL, and the column lists of the node tables.

Paths and names compare byte by byte in both databases (BINARY, collation C), as Python compares `str`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connection

FILE = "fustor_views_file"
DIRECTORY = "fustor_views_directory"
SUSPECT = "fustor_views_suspect"
BLIND_SPOT = "fustor_views_blindspot"
AUDIT = "fustor_views_audit"
GAP = "fustor_views_gap"

_METADATA = ("size", "mtime", "ctime", "mode", "uid", "gid", "inode", "nlink", "flags", "session")
FILE_COLUMNS = ("directory_id", "name", "kind", *_METADATA)
DIRECTORY_COLUMNS = ("id", "path", "parent_id", "total_files", "total_directories", "total_bytes", "unscanned", *_METADATA)

Row = tuple[Any, ...]


def columns(names: Iterable[str], alias: str) -> str:
    """`alias.name, …` for a select list."""
    return ", ".join(f"{alias}.{name}" for name in names)


def is_sqlite() -> bool:
    """True on SQLite, False on PostgreSQL."""
    return connection.vendor == "sqlite"


def one_of(column: str) -> str:
    """A condition with one parameter, made by `bound`: column is one of the values."""
    return f"{column} IN (SELECT value FROM json_each(%s))" if is_sqlite() else f"{column} = ANY(%s)"


def bound(values: Sequence[int] | Sequence[str]) -> str | list[Any]:
    """The parameter of a `one_of` condition."""
    return json.dumps(list(values)) if is_sqlite() else list(values)


def spans() -> str:
    """A table `c` of (directory_id, first, last), from the parameters that `bound_spans` makes."""
    if is_sqlite():
        return (
            "(SELECT json_extract(value, '$[0]') AS directory_id, json_extract(value, '$[1]') AS first, "
            "json_extract(value, '$[2]') AS last FROM json_each(%s)) c"
        )
    return "unnest(%s::bigint[], %s::text[], %s::text[]) AS c(directory_id, first, last)"


def bound_spans(rows: Sequence[tuple[int, str, str]]) -> list[Any]:
    """The parameters of `spans`."""
    if is_sqlite():
        return [json.dumps(list(rows))]
    return [[row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]]


def below(path: str) -> tuple[str, str]:
    """Bounds (both exclusive) that hold exactly the paths below a directory: `/` is 0x2F, `0` follows it."""
    return ("/", "0") if path == "/" else (f"{path}/", f"{path}0")


def fetch(sql: str, params: Sequence[Any]) -> list[Row]:
    """All rows of one statement. The caller bounds it."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[Row] = cursor.fetchall()
        return rows


def fetch_one(sql: str, params: Sequence[Any]) -> Row | None:
    """The first row of one statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row: Row | None = cursor.fetchone()
        return row


def contains(column: str) -> str:
    """A condition with one parameter: the text holds it literally."""
    return f"instr({column}, %s) > 0" if is_sqlite() else f"strpos({column}, %s) > 0"


def chunked(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
