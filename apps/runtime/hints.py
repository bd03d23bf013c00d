"""Live hints: after a commit, tell whoever watches an object that it changed. The database is the truth; a hint may be lost."""

from collections.abc import Iterable

import redis
import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

log = structlog.get_logger(__name__)


def changed(*groups: str) -> None:
    """Hint, once the running transaction has committed, that the objects behind these groups changed.

    Groups are `fleet`, `pipe.<id>`, `view.<id>`, `job.<id>`, `session.<id>`.
    """
    transaction.on_commit(lambda: _send(groups))


def _send(groups: Iterable[str]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    for group in groups:
        try:
            async_to_sync(layer.group_send)(group, {"type": "hint", "group": group})
        except (redis.RedisError, OSError) as error:  # pages fall back to polling, nothing else depends on it
            log.warning("live hint not sent", group=group, error=str(error))
            return
