"""The watermark: the storage's own time, estimated from samples, used for the age of files and for nothing else (R42–R44).

Pure functions over a small JSON state that the tree keeps. A sample is the time that the storage stamped on a file against the
server time at which the agent saw it happen. Per source the median of the last samples counts; among sources the middle one, so
one host that stamps nonsense moves nothing; nothing counts before one source has enough samples over enough time. Called by
`arbiter` and by the queries of freshness.
"""

from statistics import median
from typing import Any

MIN_SAMPLES = 20
MIN_SPAN = 10.0
MIN_VOTE = 5
KEPT = 31
MAX_SOURCES = 16
MAX_OFFSET = 86_400.0  # a storage clock that is a day off is not a clock; such stamps were set by people
MAX_STEP = 60.0
STAMPED_TOGETHER = 2.0


def logical_now(state: dict[str, Any], now: float) -> float:
    """The storage's time in Unix seconds at server time `now`. The server's own until the offset is known; never goes back."""
    return max(now + float(state.get("offset", 0.0)), float(state.get("high", 0.0)))


def is_confident(state: dict[str, Any]) -> bool:
    """Whether the offset rests on enough samples (R42)."""
    return bool(state.get("confident"))


def sample(mtime: float | None, ctime: float | None, seen_at: float) -> float | None:
    """The storage's clock minus the server's, in seconds; None when the stamps were not set by the storage at that moment.

    ctime cannot be set by people, mtime can: only when both agree did the storage stamp them (R42: no `utimes`).
    """
    if mtime is None or ctime is None or abs(mtime - ctime) > STAMPED_TOGETHER:
        return None
    offset = ctime - seen_at
    return offset if abs(offset) < MAX_OFFSET else None


def with_sample(state: dict[str, Any], source: int, offset: float | None, now: float) -> dict[str, Any]:
    """The state after one more sample of a source (a session's number); the same state when there is none."""
    if offset is None:
        return state
    sources = dict(state.get("sources", {}))
    first_at, samples = sources.pop(str(source), (now, []))
    sources[str(source)] = (first_at, [*samples[-(KEPT - 1) :], round(offset, 3)])
    while len(sources) > MAX_SOURCES:
        sources.pop(next(iter(sources)))
    return _estimated({**state, "sources": sources}, now)


def _estimated(state: dict[str, Any], now: float) -> dict[str, Any]:
    sources = state["sources"].values()
    if not any(len(samples) >= MIN_SAMPLES and now - first_at >= MIN_SPAN for first_at, samples in sources):
        return state
    known = sorted((median(samples) for _, samples in sources if len(samples) >= MIN_VOTE), key=abs)
    # of an even number of sources the one nearer to the server's time decides
    wanted = sorted(known)[len(known) // 2] if len(known) % 2 else known[len(known) // 2 - 1]
    before = float(state.get("offset", 0.0))
    if not is_confident(state):
        return {**state, "offset": wanted, "confident": True, "recalibrated_at": now}
    offset = before + max(-MAX_STEP, min(MAX_STEP, wanted - before))
    return {**state, "offset": offset, "high": logical_now(state, now)}
