"""CSV that no spreadsheet runs: a cell that would be read as a formula is quoted as text. Used by every export."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def line(values: Iterable[Any]) -> str:
    """One line, with its end."""
    text = io.StringIO()
    csv.writer(text).writerow([cell(value) for value in values])
    return text.getvalue()


def cell(value: Any) -> str:
    """A value as text; numbers stay numbers, negative ones too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
