"""The offset between an agent's clock and server time, from arrivals alone. Pure; kept as JSON on the Session row.

A message that is captured at c (agent clock) and arrives at a (server clock) gives the sample a − c = offset + delay. Delay is
never negative, so the smallest sample of a window is the best estimate (R3). Two windows of 30 s make the estimate follow
a clock that drifts or steps. Called by services.ingest and services.sessions for every batch and handshake.
"""

from dataclasses import dataclass
from typing import Any

WINDOW_MS = 30_000
FLOOR_ERROR_MS = 1.0
MOST_ERROR_MS = 1_000.0
SURE_AFTER_SAMPLES = 20
SURE_AFTER_MS = 10_000


@dataclass(frozen=True)
class Offset:
    """server_ms = capture_ms + `offset_ms`, give or take `error_ms`."""

    offset_ms: float
    error_ms: float


def observe(state: dict[str, Any], arrival_ms: float, capture_ms: float) -> dict[str, Any]:
    """The state after one more sample. `state` is {} at first; times in ms."""
    sample = arrival_ms - capture_ms
    if not state:
        return {"first": arrival_ms, "opened": arrival_ms, "low": sample, "previous": None, "spread": 0.0, "samples": 1}
    age = arrival_ms - state["opened"]
    if age >= 2 * WINDOW_MS:  # nothing came for a whole window: what was learnt before it is stale
        return {**state, "opened": arrival_ms, "previous": None, "low": sample, "samples": state["samples"] + 1}
    if age >= WINDOW_MS:
        state = {**state, "opened": state["opened"] + WINDOW_MS, "previous": state["low"], "low": sample}
    low = min(state["low"], sample)
    spread = state["spread"] + (sample - low - state["spread"]) / SURE_AFTER_SAMPLES
    return {**state, "low": low, "spread": spread, "samples": state["samples"] + 1, "last": arrival_ms}


def of_monotonic_clock(state: dict[str, Any]) -> Offset:
    """Protocol 3: capture times count from the agent's boot, so the handshake's sample counts from the first moment."""
    return Offset(_low(state), _error(state)) if state else Offset(0.0, MOST_ERROR_MS)


def of_wall_clock(state: dict[str, Any]) -> Offset:
    """Protocol 2: capture times are Unix time already, by the agent's own wall clock.

    A capture time ahead of its arrival is skew for certain. One behind may be skew or mere delay (a backlog, a replay):
    until there are enough samples the clock is taken to be right.
    """
    if not state:
        return Offset(0.0, MOST_ERROR_MS)
    low = _low(state)
    known_long = state["samples"] >= SURE_AFTER_SAMPLES and state.get("last", 0.0) - state["first"] >= SURE_AFTER_MS
    if known_long:
        return Offset(low, _error(state))
    return Offset(min(low, 0.0), MOST_ERROR_MS)


def _low(state: dict[str, Any]) -> float:
    return float(min(low for low in (state["low"], state["previous"]) if low is not None))


def _error(state: dict[str, Any]) -> float:
    return float(max(FLOOR_ERROR_MS, min(state["spread"], MOST_ERROR_MS)))
