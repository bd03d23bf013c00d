"""How long the past is kept: ended sessions, ended jobs, commands, failover history, received batches. Called by a task, hourly."""

from datetime import timedelta

from django.db.models import QuerySet

from apps.runtime import server_settings
from apps.runtime.clock import now_datetime
from apps.sessions.models import Command, Job, LeadershipChange, ReceivedBatch, Session, StateChange
from apps.sessions.services.ingest import REPETITION_WINDOW

AT_ONCE = 1000


def forget_received() -> int:
    """Drop what was remembered to recognise repeated batches, once a repetition would be taken as new anyway."""
    return _delete(ReceivedBatch.objects.filter(at__lt=now_datetime() - REPETITION_WINDOW))


def forget_history() -> int:
    """Drop history that is older than the setting `history_days`, some rows at a time, so no writer waits long; how many rows."""
    before = now_datetime() - timedelta(days=server_settings.number("history_days"))
    return sum(
        _delete(old)
        for old in (
            Command.objects.filter(finished_at__lt=before),
            Job.objects.filter(finished_at__lt=before),
            StateChange.objects.filter(at__lt=before),
            LeadershipChange.objects.filter(at__lt=before),
            Session.objects.filter(ended_at__lt=before),
        )
    )


def _delete(rows: QuerySet) -> int:  # type: ignore[type-arg]  # any of several models
    gone = 0
    while True:
        keys = list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE])
        if not keys:
            return gone
        gone += rows.model._default_manager.filter(pk__in=keys).delete()[0]
