"""Who is alive. Called on every heartbeat, by the fence before a batch, and by expiry.

A beat goes to Redis at once and to the database a little later, when nothing changed at most every quarter of the timeout.
With Redis away the database alone still knows every live session to within a quarter of its timeout.
"""

import functools
import time
from collections.abc import Sequence

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.sessions.models import Session
from apps.sessions.services import beats
from apps.sessions.services.beats import Beat, Report
from apps.sessions.services.glance import Glance

log = structlog.get_logger(__name__)

REDIS_PAUSE_SECONDS = 2.0
REDIS_TIMEOUT_SECONDS = 1.0

_gathered = beats.Gathered()
_redis_rests_until = 0.0


def beat(glance: Glance, at: float, report: Report) -> None:
    """Note that the session was alive at `at` (server seconds), and what it reported."""
    _beat_to_redis(glance, at)
    changed = report if report.differs_from(glance) else None
    if changed is not None or at - glance.last_active >= glance.timeout_seconds / 4:
        _gathered.add(Beat(glance, at, changed))


def flush() -> None:
    """Write the beats that this process has gathered now."""
    _gathered.flush()


def last_seen(sessions: Sequence[Session]) -> dict[int, float]:
    """Session.number → server seconds of its last sign of life, from the database, this process and Redis."""
    return newest_signs({session.number: session.last_active_at.timestamp() for session in sessions})


def newest_signs(known: dict[int, float]) -> dict[int, float]:
    """The last signs of life by number, where this process and Redis may know newer ones than `known`."""
    seen = {number: max(at, _gathered.at(number)) for number, at in known.items()}
    for number, at in _beats_in_redis(list(seen)).items():
        seen[number] = max(seen[number], at)
    return seen


def is_silent(number: int, last_active: float, timeout_seconds: int, at: float) -> bool:
    """True when its timeout has passed without a sign of life. At exactly the timeout it still lives."""
    if at - last_active <= timeout_seconds:
        return False
    return at - newest_signs({number: last_active})[number] > timeout_seconds


def _key(number: int) -> str:
    return f"fustor:beat:{number}"


@functools.cache
def _client(url: str) -> redis.Redis:
    # Django's cache makes a connection of its own for every request: most of what a heartbeat cost. One more try, at once, for
    # connections that a restart of Redis has cut
    return redis.Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )


def _beat_to_redis(glance: Glance, at: float) -> None:
    if time.monotonic() >= _redis_rests_until:
        try:
            _client(settings.FUSTOR_REDIS_URL).set(_key(glance.number), at, ex=2 * glance.timeout_seconds)
        except (redis.RedisError, OSError) as error:
            _rest_redis(error)


def _beats_in_redis(numbers: list[int]) -> dict[int, float]:
    if not numbers or time.monotonic() < _redis_rests_until:
        return {}
    try:
        found = _client(settings.FUSTOR_REDIS_URL).mget([_key(number) for number in numbers])
    except (redis.RedisError, OSError) as error:
        _rest_redis(error)
        return {}
    return {number: float(at) for number, at in zip(numbers, found, strict=True) if at is not None}


def _rest_redis(error: Exception) -> None:
    # asking a broker that is away again on every beat would cost each beat a connection attempt
    global _redis_rests_until
    _redis_rests_until = time.monotonic() + REDIS_PAUSE_SECONDS
    log.warning("Redis is away; heartbeats live in the database alone", error=str(error))
