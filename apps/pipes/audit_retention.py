"""How long the audit log is kept. The one way in which entries ever go: a cut that stays on record, then the entries before it."""

from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from apps.pipes import audit
from apps.pipes.append_only import ENTRIES
from apps.pipes.audit import Actor
from apps.pipes.models import AuditCut, AuditEntry
from apps.runtime import clock
from apps.runtime.problems import Invalid

SHORTEST_DAYS = 30
AT_ONCE = 1000


def due(days: int) -> int:
    """How many entries are older than that."""
    return _older_than(days).count()


def prune(actor: Actor, days: int) -> int:
    """Drop entries older than `days` (30 at least), some at a time; how many. What was dropped, and by whom, is on record first.

    Raises Invalid. A run that was interrupted is finished by the next.
    """
    if days < SHORTEST_DAYS:
        raise Invalid(f"The audit log is kept for {SHORTEST_DAYS} days at least.", field="days")
    with transaction.atomic():
        old = _older_than(days)
        until = old.aggregate(last=Max("pk"))["last"]
        if until is not None:
            count, newest = old.count(), AuditEntry.objects.get(pk=until).at
            AuditCut.objects.create(until=until, at=clock.now_datetime(), actor=actor.name)
            audit.record(actor, "audit.prune", "audit", before={"entries": count, "until": newest.isoformat()})
    return _delete_what_is_cut()


def _older_than(days: int) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(at__lt=clock.now_datetime() - timedelta(days=days))


def _delete_what_is_cut() -> int:
    until = AuditCut.objects.aggregate(last=Max("until"))["last"] or 0
    gone = 0
    while True:
        keys = list(AuditEntry.objects.filter(pk__lte=until).order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
        if not keys:
            return gone
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {ENTRIES} WHERE id <= %s", [keys[-1]])  # noqa: S608 - the table is a constant
        gone += len(keys)
