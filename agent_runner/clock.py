"""The agent's two clocks, in milliseconds. Everything in the agent that needs the time asks here.

The monotonic clock is the machine's (CLOCK_MONOTONIC): the agent and its job processes read the same one, and no step of the
wall clock touches it (R3, R43).
"""

import time
from dataclasses import dataclass


def wall_ms() -> int:
    """Unix time in ms: the `index` of an event. It may step; nothing is ordered by it."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Monotonic time in ms: `observed_at`, `sent_at` and `scan_start`."""
    return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True)
class ServerClock:
    """The server's wall clock as a handshake told it (`server_ms` at `monotonic` ms of this host), carried on by the monotonic
    clock: it shows a step of this host's wall clock at once, however old the handshake is."""

    server_ms: float
    monotonic: float

    def ahead_ms(self) -> int:
        """How far this host's wall clock is ahead of the server's now; negative: behind."""
        return round(wall_ms() - (self.server_ms + monotonic_ms() - self.monotonic))
