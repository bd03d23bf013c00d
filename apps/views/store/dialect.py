"""What the two databases do differently: how a set of rows travels into a statement, and the shortest way to run one."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from django.db import connection

from apps.views.store.columns import Row


class Dialect(Protocol):
    """Moves sets of rows. Columns map to PostgreSQL types, in the order in which rows hold them; SQLite needs no types.

    Placeholders are `%s`. Empty sets of rows run no statement.
    """

    for_update: str
    """What locks selected rows until the end of the transaction."""

    def take_turn(self, view_id: int) -> None:
        """Wait for every other transaction that took its turn at this view; until the end of this one others wait."""
        ...

    def query(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """All rows that a statement gives."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """How many rows a statement touched."""
        ...

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


@cache
def dialect() -> Dialect:
    """The dialect of the default database."""
    if connection.vendor == "sqlite":
        from apps.views.store import sqlite

        return sqlite.SqliteDialect()
    from apps.views.store import postgres

    return postgres.PostgresDialect()


def query(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """All rows that a statement gives."""
    return dialect().query(sql, parameters)


def execute(sql: str, parameters: Sequence[Any] = ()) -> int:
    """How many rows a statement touched."""
    return dialect().execute(sql, parameters)
