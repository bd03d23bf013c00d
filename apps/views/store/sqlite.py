"""Sets of rows on SQLite: a JSON array for keys, `executemany` for rows (measured faster than JSON for many columns).

Statements go straight to the driver: Django's cursor costs three times what a small statement itself does. Errors are
Django's all the same.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from django.db import connection

from apps.views.store.columns import Row, literal, split

_encode = msgspec.json.Encoder().encode
_ID_DIGITS = 19


class SqliteDialect:
    """See `dialect.Dialect`. One writer at a time: BEGIN IMMEDIATE is the lock."""

    for_update = ""

    def take_turn(self, view_id: int) -> None:
        """The one writer has it."""

    def query(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """All rows that a statement gives."""
        raw = _raw()
        with connection.wrap_database_errors:
            return raw.execute(_native(sql), parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """How many rows a statement touched."""
        raw = _raw()
        with connection.wrap_database_errors:
            return max(raw.execute(_native(sql), parameters).rowcount, 0)

    def among(self, values: Sequence[int] | Sequence[str]) -> tuple[str, Any]:
        """An `IN` over a JSON array: it uses the index without table statistics, which a join would not."""
        return "IN (SELECT value FROM json_each(%s))", _encode(values).decode()

    def select_pairs(self, columns: str, table: str, keys: tuple[str, str], pairs: Sequence[tuple[int, str]]) -> list[Any]:
        """Each pair travels as one text, the number in front padded to a fixed width."""
        packed = _encode([f"{number:019d}{text}" for number, text in pairs]).decode()
        number, text = keys
        return self.query(
            f"SELECT {columns} FROM json_each(%s) AS pair CROSS JOIN {table} "
            f"ON {number} = CAST(substr(pair.value, 1, {_ID_DIGITS}) AS INTEGER) AND {text} = substr(pair.value, {_ID_DIGITS + 1})",
            [packed],
        )

    def insert(self, table: str, columns: dict[str, str], rows: Sequence[Row], conflict: str = "") -> None:
        """One prepared statement, run for every row."""
        if rows:
            constants, varying = split(rows, 2)
            holes = ", ".join(literal(constants[number]) if number in constants else "?" for number in range(len(columns)))
            self._many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holes}) {conflict}", varying)

    def update(self, table: str, keys: int, columns: dict[str, str], rows: Sequence[Row]) -> None:
        """One prepared statement, run for every row."""
        if rows:
            constants, varying = split(rows, keys)
            names = list(columns)
            found = " AND ".join(f"{name} = ?{number + 1}" for number, name in enumerate(names[:keys]))
            holes = (literal(constants[number]) if number in constants else "?" for number in range(keys, len(names)))
            numbers = iter(range(keys + 1, len(names) + 1))
            values = [f"?{next(numbers)}" if hole == "?" else hole for hole in holes]
            settings = ", ".join(f"{name} = {value}" for name, value in zip(names[keys:], values, strict=True))
            self._many(f"UPDATE {table} SET {settings} WHERE {found}", varying)

    def delete(self, table: str, columns: dict[str, str], rows: Sequence[Row]) -> None:
        """One prepared statement, run for every row."""
        if rows:
            found = " AND ".join(f"{name} = ?" for name in columns)
            self._many(f"DELETE FROM {table} WHERE {found}", rows)

    def new_ids(self, table: str, count: int) -> Sequence[int]:
        """The next numbers of the table's AUTOINCREMENT sequence, taken at once."""
        taken = self.query("UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s RETURNING seq", [count, table])
        if not taken:
            self.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, count])
        last = taken[0][0] if taken else count
        return range(last - count + 1, last + 1)

    @staticmethod
    def _many(sql: str, rows: Sequence[Row]) -> None:
        raw = _raw()
        with connection.wrap_database_errors:
            raw.executemany(sql, rows)


def _raw() -> sqlite3.Connection:
    connection.ensure_connection()
    raw = connection.connection
    if not isinstance(raw, sqlite3.Connection):
        raise TypeError("the default database is not SQLite")
    return raw


@cache
def _native(sql: str) -> str:
    return sql.replace("%s", "?")
