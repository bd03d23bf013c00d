"""When a key was last used. Noted in the cache at most every NOTE_SECONDS per key and process, written down by a task.

So authentication never writes to the database: a busy ingest cannot make a heartbeat wait for the write lock.
"""

from datetime import UTC, datetime

import redis
import structlog
from django.core.cache import cache

from apps.pipes.models import ApiKey
from apps.runtime import clock

log = structlog.get_logger(__name__)
NOTE_SECONDS = 30.0
KEPT_SECONDS = 3600
CHUNK = 500
_noted: dict[int, float] = {}


def note(key_id: int) -> None:
    """Note that a key was used now. A note that the cache does not take is lost: nothing depends on it."""
    now = clock.now()
    if now - _noted.get(key_id, 0.0) < NOTE_SECONDS:
        return
    _noted[key_id] = now
    try:
        cache.set(_name(key_id), now, timeout=KEPT_SECONDS)
    except (redis.RedisError, OSError) as error:
        log.warning("last use of a key not noted", key_id=key_id, error=type(error).__name__)


def forget() -> None:
    """Forget what this process noted, so that the next use of each key is noted again."""
    _noted.clear()


def write_down() -> int:
    """Move the notes into the keys' `last_used_at`; gives how many keys moved on. Run every minute by a task."""
    keys = list(ApiKey.objects.filter(revoked_at=None).only("pk", "last_used_at"))
    return sum(_write_chunk(keys[start : start + CHUNK]) for start in range(0, len(keys), CHUNK))


def _write_chunk(keys: list[ApiKey]) -> int:
    notes = cache.get_many([_name(key.pk) for key in keys])
    moved = []
    for key in keys:
        at = notes.get(_name(key.pk))
        used = datetime.fromtimestamp(at, UTC) if at is not None else None
        if used and (key.last_used_at is None or used > key.last_used_at):
            key.last_used_at = used
            moved.append(key)
    ApiKey.objects.bulk_update(moved, ["last_used_at"])
    return len(moved)


def _name(key_id: int) -> str:
    return f"key-used:{key_id}"
