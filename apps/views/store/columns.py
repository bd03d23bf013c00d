"""Columns that hold one value in all rows of a set: written once in the statement instead of travelling with every row.

Most columns of a batch are such: who said it, when it was decided, by which rule. Binding a value costs the driver more than the
database needs to store it (measured on SQLite: 5 instead of 16 values a row double the speed).
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

Row = Sequence[Any]

WORTH_SPLITTING = 24
"""Rows below which looking for constants costs more than it saves."""


def split(rows: Sequence[Row], keys: int) -> tuple[dict[int, int | None], Sequence[Row]]:
    """(position → the one value of that column, the rows without those columns).

    Only whole numbers and None count as constants: they can be written into a statement as they are. The first `keys` columns, and
    at least one more, always stay.
    """
    if len(rows) < WORTH_SPLITTING:
        return {}, rows
    first, count = rows[0], len(rows)
    constants = {
        position: column[0]
        for position, column in enumerate(zip(*rows, strict=True))
        if position >= keys and (column[0] is None or column[0].__class__ is int) and column.count(column[0]) == count
    }
    if len(constants) < 2 or len(first) - len(constants) < 2:
        return {}, rows
    return constants, list(map(itemgetter(*[position for position in range(len(first)) if position not in constants]), rows))


def literal(value: int | None) -> str:
    """The value as SQL."""
    return "NULL" if value is None else str(int(value))
