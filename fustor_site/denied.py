"""Puts refused requests of programs into the audit log. Called by fustor_site.middleware for answers with one of STATUSES.

A log that cannot be written costs the client nothing but the time: its answer is the refusal either way.
"""

import structlog
from django.db import DatabaseError
from django.http import HttpRequest

from apps.pipes import denials
from apps.pipes.denials import Attempt
from apps.runtime.lanes import Lane, run

log = structlog.get_logger(__name__)
STATUSES = frozenset({401, 403})


async def on_record(request: HttpRequest) -> None:
    """In an event loop. Writing waits in the lane of ingestion, where it holds up no heartbeat and no query."""
    due = await run(Lane.CONTROL, _due, request)  # in a thread, for the clock may ask the database
    if due:
        await run(Lane.INGEST, _write, due)


def on_record_now(request: HttpRequest) -> None:
    """The same, blocking."""
    _write(_due(request))


def _due(request: HttpRequest) -> list[Attempt]:
    refusal = getattr(request, "refusal", None)
    attempt = denials.attempt_of(request, refusal) if refusal else None
    return denials.denials.note(attempt) if attempt else []


def _write(due: list[Attempt]) -> None:
    for attempt in due:
        try:
            denials.write(attempt)
        except DatabaseError as error:
            log.warning("a denied attempt is not in the audit log", who=attempt.actor.name, error=type(error).__name__)
