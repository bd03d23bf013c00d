"""Lanes: small thread pools, so that ingestion at full load never delays a heartbeat or a query (R31, R46).

An async handler awaits `run(Lane.X, function, …)`. Each lane has its own threads and each thread its own database
connection, kept open between calls (SQLite keeps its page cache; PostgreSQL takes it from the pool).
"""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")


class Lane(StrEnum):
    """What a piece of work may hold up: only work of its own lane."""

    CONTROL = "control"
    INGEST = "ingest"
    QUERY = "query"


@functools.cache
def _executor(lane: Lane) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=settings.FUSTOR_LANES[lane.value], thread_name_prefix=f"lane-{lane.value}")


async def run(lane: Lane, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of `work(*args, **kwargs)`, run in a thread of the lane."""
    context = contextvars.copy_context()

    def call() -> R:
        return context.run(_with_connection_care, functools.partial(work, *args, **kwargs))

    return await asyncio.get_running_loop().run_in_executor(_executor(lane), call)


def _with_connection_care(work: Callable[[], R]) -> R:
    try:
        return work()
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()
