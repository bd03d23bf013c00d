"""What the two databases do differently: how a set of rows travels into a statement."""

from collections.abc import Sequence
from typing import Any, Protocol

from django.db import connection

Row = Sequence[Any]


class Dialect(Protocol):
    """Moves sets of rows. `types` are PostgreSQL column types, in the order of the columns; SQLite needs none."""

    def among(self, values: Sequence[int] | Sequence[str]) -> tuple[str, Any]:
        """`IN (…)` or `= ANY(…)` with one placeholder, and its parameter."""
        ...

    def select_pairs(self, columns: str, table: str, keys: tuple[str, str], pairs: Sequence[tuple[int, str]]) -> list[Any]:
        """The rows of `table` whose two key columns equal one of the pairs."""
        ...

    def insert(self, table: str, columns: dict[str, str], rows: Sequence[Row], conflict: str = "") -> None:
        """Insert rows; `conflict` is a whole ON CONFLICT clause."""
        ...

    def update(self, table: str, keys: int, columns: dict[str, str], rows: Sequence[Row]) -> None:
        """Set the columns after the first `keys` in the rows that have those keys."""
        ...

    def delete(self, table: str, columns: dict[str, str], rows: Sequence[Row]) -> None:
        """Delete the rows that have these keys."""
        ...

    def new_ids(self, table: str, count: int) -> Sequence[int]:
        """`count` primary keys that nobody else will use."""
        ...

    @property
    def for_update(self) -> str:
        """What locks selected rows until the end of the transaction."""
        ...


def dialect() -> Dialect:
    """The dialect of the default database."""
    if connection.vendor == "sqlite":
        from apps.views.store import sqlite

        return sqlite.DIALECT
    from apps.views.store import postgres

    return postgres.DIALECT


def query(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """All rows that a statement gives."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[Any] = cursor.fetchall()
        return rows


def execute(sql: str, parameters: Sequence[Any] = ()) -> int:
    """How many rows a statement touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return max(int(cursor.rowcount), 0)
