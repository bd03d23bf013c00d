"""The one place for time. Everything that expires, fences or orders asks `now()`; tests inject a clock with `use()`.

Server time is steady (R44): it runs on the host's boot clock from a base kept in the database, so stepping the wall clock
neither expires a session nor reopens a tombstone.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from django.db import transaction


class Clock(Protocol):
    """Anything that tells the time in Unix seconds."""

    def now(self) -> float:
        """Unix seconds."""
        ...


class SteadyClock:
    """Boot clock + the base of this boot; the base is read once per process."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def now(self) -> float:
        """Unix seconds that no step of the wall clock moves."""
        if self._offset is None:
            self._offset = _base_of_this_boot()
        return self._offset + _since_boot()


class ManualClock:
    """A clock for tests: it stands still until it is moved."""

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        self.value = start

    def now(self) -> float:
        """Where the clock stands."""
        return self.value

    def advance(self, seconds: float) -> None:
        """Move the clock forward (or, to test a step, back)."""
        self.value += seconds


_current: Clock = SteadyClock()


def now() -> float:
    """Server time in Unix seconds."""
    return _current.now()


def now_ms() -> int:
    """Server time in whole milliseconds."""
    return int(_current.now() * 1000)


def now_datetime() -> datetime:
    """Server time as an aware UTC datetime, for DateTimeField columns."""
    return datetime.fromtimestamp(_current.now(), UTC)


@contextmanager
def use(clock: Clock) -> Iterator[Clock]:
    """Run a block on another clock (tests, and replays)."""
    global _current
    before, _current = _current, clock
    try:
        yield clock
    finally:
        _current = before


def _since_boot() -> float:
    boot_clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(boot_clock)


def _boot_id() -> str:
    kernel = Path("/proc/sys/kernel/random/boot_id")
    # outside Linux: one base per start of the machine, told apart by the minute it booted
    return kernel.read_text().strip() if kernel.exists() else f"boot-{(time.time() - _since_boot()) // 60:.0f}"


def _base_of_this_boot() -> float:
    from apps.runtime.models import TimeBase

    with transaction.atomic():
        base, _ = TimeBase.objects.get_or_create(boot_id=_boot_id(), defaults={"offset": time.time() - _since_boot()})
    return float(base.offset)
