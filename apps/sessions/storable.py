"""JSON that came from outside, made fit for every database: used by the request schemas. Pure.

PostgreSQL takes no NUL and no lone surrogate, JSON proper has no NaN; and beats of many sessions are written in one
transaction, so one agent's odd report must not spoil the others'.
"""

import json
import math
from typing import Annotated, Any

from pydantic import AfterValidator

MOST_BYTES = 65_536
MOST_DEPTH = 32


def text(value: str) -> str:
    """The text without NULs; a lone surrogate becomes a question mark."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def value_of(value: Any, depth: int = 0) -> Any:
    """The value with every text made storable and every number finite. Raises ValueError when it is nested too deep."""
    if depth > MOST_DEPTH:
        raise ValueError(f"nested deeper than {MOST_DEPTH} levels")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {text(str(key)): value_of(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [value_of(item, depth + 1) for item in value]
    return value


def record(value: dict[str, Any]) -> dict[str, Any]:
    """An object made storable. Raises ValueError over 64 KiB of JSON."""
    cleaned: dict[str, Any] = value_of(value)
    if len(json.dumps(cleaned)) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes of JSON")
    return cleaned


Text = Annotated[str, AfterValidator(text)]
Record = Annotated[dict[str, Any], AfterValidator(record)]
