"""The audit log as people filter it and take it away: one filter for page and API, CSV that no spreadsheet runs, JSON lines."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.pipes.models import AuditEntry
from apps.runtime.spreadsheet import line

COLUMNS = ("at", "actor", "address", "request_id", "verb", "target", "outcome", "before", "after", "detail")
MOST_EXPORTED = 50_000


@dataclass(frozen=True)
class Filter:
    """Which entries. `actor`, `verb`, `target` match from their start, `words` anywhere in them; days are whole ones."""

    words: str = ""
    actor: str = ""
    verb: str = ""
    target: str = ""
    outcome: str = ""
    since: date | None = None
    until: date | None = None


def entries(wanted: Filter) -> QuerySet[AuditEntry]:
    """The entries that fit, newest first."""
    found = AuditEntry.objects.filter(
        actor__startswith=wanted.actor, verb__startswith=wanted.verb, target__startswith=wanted.target
    ).order_by("-id")
    if words := wanted.words:
        found = found.filter(Q(actor__icontains=words) | Q(verb__icontains=words) | Q(target__icontains=words))
    if wanted.outcome:
        found = found.filter(outcome=wanted.outcome)
    if wanted.since:
        found = found.filter(at__gte=_midnight(wanted.since))
    if wanted.until:
        found = found.filter(at__lt=_midnight(wanted.until + timedelta(days=1)))
    return found


def plain(entry: AuditEntry) -> dict[str, Any]:
    """An entry as programs read it."""
    return {name: entry.at.isoformat() if name == "at" else getattr(entry, name) for name in COLUMNS}


def as_csv(found: Iterable[AuditEntry]) -> Iterator[str]:
    """Line by line, the names of the columns first."""
    yield line(COLUMNS)
    for entry in found:
        yield line(plain(entry).values())


def as_json_lines(found: Iterable[AuditEntry]) -> Iterator[str]:
    """One JSON object per line."""
    for entry in found:
        yield json.dumps({"id": entry.pk, **plain(entry)}, ensure_ascii=False) + "\n"


def changes_of(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """(field, before, after) of what an entry tells, as words; fields that stayed as they were, or that are empty, left out."""
    before, after = entry.before or {}, entry.after or {}
    names = dict.fromkeys((*before, *after))
    both = bool(before) and bool(after)
    if both:
        names = {name: None for name in names if before.get(name) != after.get(name)}
    changes = [(name, _words(before.get(name)), _words(after.get(name))) for name in names]
    return [change for change in changes if both or any(change[1:])]


def _words(value: Any) -> str:
    """A value for people; what is empty is nothing."""
    if value is None or value in ("", [], {}):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
