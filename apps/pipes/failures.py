"""Failed authentications, counted per address and per key, so that guessing is slow and cheap for the server (R50).

Counts are shared through the cache (Redis). When it is away each process counts for itself: no database either way.
"""

import hashlib
from dataclasses import dataclass, field

import redis
import structlog
from django.core.cache import cache

from apps.runtime import clock, server_settings
from apps.runtime.problems import Busy

log = structlog.get_logger(__name__)
WINDOW_SECONDS = 60
MOST_REMEMBERED = 10_000


@dataclass
class Failures:
    """The counters of this process: what it counted itself, and until when a subject is refused."""

    counted: dict[str, int] = field(default_factory=dict)
    refused_until: dict[str, float] = field(default_factory=dict)

    def check(self, address: str, secret: str) -> None:
        """Raise Busy while the address or the key has failed too often. Looks into memory only."""
        now = clock.now()
        for subject in _subjects(address, secret):
            until = self.refused_until.get(subject, 0.0)
            if until > now:
                raise Busy(
                    "Too many failed authentications from here.",
                    code="too_many_failures",
                    fix="Check the key, then try again later.",
                    retry_after=until - now,
                )

    def record(self, address: str, secret: str) -> None:
        """Count one failure; over the limit the subject is refused until the window ends."""
        now = clock.now()
        window = int(now // WINDOW_SECONDS)
        self._make_room(now)
        for subject in _subjects(address, secret):
            if self._count(f"auth-failures:{window}:{subject}") >= server_settings.number("auth_failures_per_minute"):
                self.refused_until[subject] = float((window + 1) * WINDOW_SECONDS)

    def forget(self) -> None:
        """Forget everything that this process counted."""
        self.counted.clear()
        self.refused_until.clear()

    def _count(self, name: str) -> int:
        try:
            cache.add(name, 0, timeout=2 * WINDOW_SECONDS)
            return cache.incr(name)
        except (redis.RedisError, OSError) as error:
            log.warning("failed authentications are counted in this process only", error=type(error).__name__)
        except ValueError:  # the counter ran out between the two calls: a new window
            pass
        self.counted[name] = self.counted.get(name, 0) + 1
        return self.counted[name]

    def _make_room(self, now: float) -> None:
        if len(self.counted) > MOST_REMEMBERED:
            self.counted.clear()
        if len(self.refused_until) > MOST_REMEMBERED:
            self.refused_until = {subject: until for subject, until in self.refused_until.items() if until > now}


def _subjects(address: str, secret: str) -> tuple[str, str]:
    shortened = hashlib.sha256(secret.encode(errors="replace")).hexdigest()[:16]
    return f"address:{address}", f"key:{shortened}"


failures = Failures()
