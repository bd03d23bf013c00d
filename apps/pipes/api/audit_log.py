"""The audit log: filter, page, export."""

import csv
import io
import json
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from apps.pipes.api.guard import allow
from apps.pipes.models import AuditEntry
from apps.pipes.permissions import Verb

router = Router()
COLUMNS = ("at", "actor", "address", "request_id", "verb", "target", "outcome", "before", "after", "detail")
MOST_EXPORTED = 50_000


class Filter(Schema):
    """Which entries; texts match from their start."""

    actor: str = ""
    verb: str = ""
    target: str = ""
    outcome: AuditEntry.Outcome | None = None
    before: int | None = Field(None, ge=1, description="id of the last entry of the page before")
    limit: int = Field(100, ge=1, le=1000)


@router.get("/audit", summary="What was done, newest first")
def list_entries(request: HttpRequest, wanted: Query[Filter]) -> list[dict[str, Any]]:
    """Denied attempts too."""
    allow(request, Verb.AUDIT, "audit")
    found = entries(wanted)
    if wanted.before:
        found = found.filter(pk__lt=wanted.before)
    return [{"id": entry.pk, **_out(entry)} for entry in found[: wanted.limit]]


@router.get("/audit/export", summary="The same as CSV")
def export_entries(request: HttpRequest, wanted: Query[Filter]) -> HttpResponse:
    """Up to 50,000 entries. Cells that a spreadsheet would run as a formula are quoted."""
    allow(request, Verb.AUDIT, "audit")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entry in entries(wanted)[:MOST_EXPORTED].iterator(chunk_size=2000):
        writer.writerow([_cell(value) for value in _out(entry).values()])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response


def entries(wanted: Filter) -> QuerySet[AuditEntry]:
    """The entries that fit, newest first."""
    found = AuditEntry.objects.filter(
        actor__startswith=wanted.actor, verb__startswith=wanted.verb, target__startswith=wanted.target
    )
    return found.filter(outcome=wanted.outcome) if wanted.outcome else found


def _out(entry: AuditEntry) -> dict[str, Any]:
    return {name: entry.at.isoformat() if name == "at" else getattr(entry, name) for name in COLUMNS}


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
