"""Waiting for a hint that a view changed. Hints may be lost and Redis may be away: whoever waits looks again in any case."""

import asyncio
from types import TracebackType
from typing import Any, Self

import redis
import structlog
from channels.layers import get_channel_layer

log = structlog.get_logger(__name__)


class Wakeups:
    """A subscription to the hints of one view, for one waiting request."""

    def __init__(self, view: int) -> None:
        self._group = f"view.{view}"
        self._layer: Any = get_channel_layer()
        self._channel: str | None = None

    async def __aenter__(self) -> Self:
        try:
            channel = await self._layer.new_channel()
            await self._layer.group_add(self._group, channel)
            self._channel = channel
        except (redis.RedisError, OSError) as error:
            log.warning("no hints, looking every now and then", group=self._group, error=str(error))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._channel is None:
            return
        try:
            await self._layer.group_discard(self._group, self._channel)
        except (redis.RedisError, OSError) as failure:
            log.warning("subscription not ended", group=self._group, error=str(failure))

    async def wait(self, seconds: float) -> None:
        """Return at the next hint, and after so many seconds in any case."""
        if self._channel is None:
            await asyncio.sleep(seconds)
            return
        try:
            await asyncio.wait_for(self._layer.receive(self._channel), seconds)
        except TimeoutError:
            return
        except (redis.RedisError, OSError) as error:
            log.warning("hints lost, looking every now and then", group=self._group, error=str(error))
            self._channel = None
