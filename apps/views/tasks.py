"""Periodic tasks of this app; the schedule stands in fustor_site.settings."""

from celery import shared_task

from apps.runtime import clock
from apps.views import housekeeping, names


@shared_task(name="views.expire_suspects")
def expire_suspects() -> int:
    """See `housekeeping.expire_suspects`."""
    return housekeeping.expire_suspects(clock.now())


@shared_task(name="views.collect_tombstones")
def collect_tombstones() -> int:
    """See `housekeeping.collect_tombstones`."""
    return housekeeping.collect_tombstones(clock.now())


@shared_task(name="views.trim")
def trim() -> int:
    """See `housekeeping.trim`."""
    return housekeeping.trim(clock.now())


@shared_task(name="views.index_names")
def index_names() -> int:
    """See `names.index_names`; a few seconds at a time, so that other housekeeping gets its turn."""
    return names.index_names(budget_seconds=4.0)
