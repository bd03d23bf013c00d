"""The watermark: the storage's own time, estimated from samples, used for the age of files and for nothing else (R42, R44).

Pure functions over a small JSON state kept on the tree. Called by `arbiter` and by the queries of freshness.
"""

from typing import Any


def logical_now(state: dict[str, Any], now: float) -> float:
    """The storage's time in Unix seconds at server time `now`: the server's own until the offset is known."""
    return now + float(state.get("offset", 0.0))
