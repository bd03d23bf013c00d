"""A new SQLite database out of a damaged one: all that people entered, nothing that agents can tell again.

Copied: configuration with its revisions, keys, users, the audit log. Left behind: trees, sessions, jobs. Every view is empty until
its agents have sent a snapshot, which they do by themselves. The damaged file is kept beside the new one.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management import call_command
from django.db import connection, connections, transaction

LEFT_BEHIND = ("fustor_sessions_", "fustor_views_", "django_session", "django_migrations", "sqlite_")
KEPT_OF_VIEWS = frozenset({"fustor_views_view"})
_FILES_BESIDE = ("-wal", "-shm")


class Copied(NamedTuple):
    """One table: how many rows came over, and what stopped the reading when not all did."""

    table: str
    rows: int
    trouble: str


def rebuild(database: Path) -> tuple[Path, list[Copied]]:
    """(where the damaged file is kept now, what was copied). No server may run on the home."""
    # the machine's clock: ours is kept in the database
    damaged = database.with_name(f"{database.name}.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    connections.close_all()
    for suffix in ("", *_FILES_BESIDE):
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            beside.rename(damaged.with_name(damaged.name + suffix))
    call_command("migrate", interactive=False, verbosity=0)
    # outside the transactions: inside one SQLite does not let go of them
    with contextlib.closing(sqlite3.connect(damaged)) as source, connection.constraint_checks_disabled():
        copied = [_copy(source, table) for table in _tables()]
    return damaged, copied


def _tables() -> list[str]:
    names = connection.introspection.table_names()
    return [name for name in names if name in KEPT_OF_VIEWS or not name.startswith(LEFT_BEHIND)]


def _copy(source: sqlite3.Connection, table: str) -> Copied:
    """Row by row, so that what lies before the damage is saved."""
    quoted = connection.ops.quote_name(table)
    rows, trouble = 0, ""
    with transaction.atomic(), connection.cursor() as cursor:
        # migrations fill some tables (permissions, content types) with rows of their own numbering
        cursor.execute(f"DELETE FROM {quoted}")  # noqa: S608 - the names of our own tables
        wanted = {column.name for column in connection.introspection.get_table_description(cursor, table)}
        try:
            for columns, row in _rows(source, quoted, wanted):
                names, holes = ", ".join(map(connection.ops.quote_name, columns)), ", ".join(["%s"] * len(row))
                cursor.execute(f"INSERT INTO {quoted} ({names}) VALUES ({holes})", row)  # noqa: S608 - as above
                rows += 1
        except sqlite3.DatabaseError as error:
            trouble = str(error)
    return Copied(table, rows, trouble)


def _rows(source: sqlite3.Connection, quoted: str, wanted: set[str]) -> Iterator[tuple[list[str], tuple[Any, ...]]]:
    found = source.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - as above
    names = [column[0] for column in found.description]
    places = [number for number, name in enumerate(names) if name in wanted]
    for row in found:
        yield [names[place] for place in places], tuple(row[place] for place in places)
