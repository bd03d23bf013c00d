"""The agent's two clocks, in milliseconds. Everything in the agent that needs the time asks here.

The monotonic clock is the machine's (CLOCK_MONOTONIC): the agent and its job processes read the same one, and no step of the
wall clock touches it (R3, R43).
"""

import time


def wall_ms() -> int:
    """Unix time in ms: the `index` of an event. It may step; nothing is ordered by it."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Monotonic time in ms: `observed_at`, `sent_at` and `scan_start`."""
    return time.monotonic_ns() // 1_000_000
