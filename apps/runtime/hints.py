"""Live hints: after a commit, tell whoever watches an object that it changed. The database is the truth; a hint may be lost.

Sending is one set insertion for the caller: a thread per process sends what has gathered, each group at most once every 50 ms.
"""

import asyncio
import threading

import redis
import structlog
from channels.layers import BaseChannelLayer, get_channel_layer
from django.db import transaction

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.05
REST_SECONDS = 1.0


def changed(*groups: str) -> None:
    """Hint, once the running transaction has committed, that the objects behind these groups changed.

    Groups are `fleet`, `pipe.<pk>`, `view.<pk>`, `job.<uuid>`, `session.<number>`.
    """
    transaction.on_commit(lambda: _sender.add(groups))


class _Sender:
    """Groups that are to be hinted, and the thread with an event loop of its own that hints them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[str] = set()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, groups: tuple[str, ...]) -> None:
        with self._lock:
            self._groups.update(groups)
            if self._thread is None or not self._thread.is_alive():  # also in a process that was forked
                self._thread = threading.Thread(target=self._run, name="live-hints", daemon=True)
                self._thread.start()
        self._wanted.set()

    def _run(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        with asyncio.Runner() as runner:
            while True:
                self._wanted.wait()
                runner.run(self._send_gathered(layer))

    async def _send_gathered(self, layer: BaseChannelLayer) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        self._wanted.clear()
        with self._lock:
            groups, self._groups = self._groups, set()
        try:
            for group in groups:
                await layer.group_send(group, {"type": "hint", "group": group})
        except (redis.RedisError, OSError) as error:  # pages fall back to polling, nothing else depends on it
            log.warning("live hints not sent", groups=len(groups), error=str(error))
            await asyncio.sleep(REST_SECONDS)


_sender = _Sender()
