"""Sets of rows on PostgreSQL: arrays through `unnest`."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from apps.views.store.columns import Row, literal, split

_TURN = 0x7475726E  # "turn": the first half of the keys of these advisory locks


class PostgresDialect:
    """See `dialect.Dialect`. Batches of one tree queue on the tree's row lock."""

    for_update = "FOR UPDATE"

    def take_turn(self, view_id: int) -> None:
        """An advisory lock: nothing else waits for it, as for the view's row."""
        self.query("SELECT pg_advisory_xact_lock(%s, %s)", [_TURN, view_id % 2**31])

    def query(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """All rows that a statement gives."""
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows: list[Any] = cursor.fetchall()
            return rows

    def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """How many rows a statement touched."""
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return max(int(cursor.rowcount), 0)

    def among(self, values: Sequence[int] | Sequence[str]) -> tuple[str, Any]:
        """`= ANY` over one array."""
        return "= ANY(%s)", list(values)

    def select_pairs(self, columns: str, table: str, keys: tuple[str, str], pairs: Sequence[tuple[int, str]]) -> list[Any]:
        """Two arrays side by side, joined."""
        numbers, texts = zip(*pairs, strict=True)
        return self.query(
            f"SELECT {columns} FROM unnest(%s::bigint[], %s::text[]) AS pair(n, t) "
            f"JOIN {table} ON {keys[0]} = pair.n AND {keys[1]} = pair.t",
            [list(numbers), list(texts)],
        )

    def insert(self, table: str, columns: dict[str, str], rows: Sequence[Row], conflict: str = "") -> None:
        """One statement; each column is an array, or one value."""
        if rows:
            source, values, arrays = _source(columns, rows, 2)
            self.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {source} {conflict}", arrays)

    def update(self, table: str, keys: int, columns: dict[str, str], rows: Sequence[Row]) -> None:
        """One statement; each column is an array, or one value."""
        if rows:
            names = list(columns)
            source, values, arrays = _source(columns, rows, keys)
            settings = ", ".join(f"{name} = {value}" for name, value in zip(names[keys:], values[keys:], strict=True))
            found = " AND ".join(f"{table}.{name} = {value}" for name, value in zip(names[:keys], values[:keys], strict=True))
            self.execute(f"UPDATE {table} SET {settings} FROM {source} WHERE {found}", arrays)

    def delete(self, table: str, columns: dict[str, str], rows: Sequence[Row]) -> None:
        """One statement; each key column is an array."""
        if rows:
            found = " AND ".join(f"{table}.{name} = old.{name}" for name in columns)
            source = f"{_unnest(columns)} AS old({', '.join(columns)})"
            self.execute(f"DELETE FROM {table} USING {source} WHERE {found}", _transposed(rows))

    def new_ids(self, table: str, count: int) -> Sequence[int]:
        """As many steps of the table's sequence."""
        steps = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
        return [row[0] for row in self.query(steps, [table, count])]


def _source(columns: dict[str, str], rows: Sequence[Row], keys: int) -> tuple[str, list[str], list[list[Any]]]:
    """The FROM item that holds the rows, each column as it is written in SQL, and the arrays to send."""
    constants, varying = split(rows, keys)
    kept = {name: kind for number, (name, kind) in enumerate(columns.items()) if number not in constants}
    values = [
        f"{literal(constants[number])}::{kind}" if number in constants else f"new.{name}"
        for number, (name, kind) in enumerate(columns.items())
    ]
    return f"{_unnest(kept)} AS new({', '.join(kept)})", values, _transposed(varying)


def _unnest(columns: dict[str, str]) -> str:
    return f"unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())})"


def _transposed(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
