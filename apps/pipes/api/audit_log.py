"""The audit log: filter, page, export."""

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from apps.pipes import audit, audit_export
from apps.pipes.api.guard import allow, principal_of
from apps.pipes.audit_export import as_csv, as_json_lines, entries, plain
from apps.pipes.models import AuditEntry
from apps.pipes.permissions import Verb

router = Router()


class Filter(Schema):
    """Which entries; texts match from their start."""

    actor: str = ""
    verb: str = ""
    target: str = ""
    outcome: AuditEntry.Outcome | None = None

    def wanted(self) -> audit_export.Filter:
        """The filter as page and API share it."""
        return audit_export.Filter(actor=self.actor, verb=self.verb, target=self.target, outcome=self.outcome or "")


class Paging(Filter):
    """Which of them."""

    before: int | None = Field(None, ge=1, le=2**63 - 1, description="id of the last entry of the page before")
    limit: int = Field(100, ge=1, le=1000)


class Export(Filter):
    """And how."""

    format: Literal["csv", "jsonl"] = "csv"


@router.get("/audit", summary="What was done, newest first")
def list_entries(request: HttpRequest, wanted: Query[Paging]) -> list[dict[str, Any]]:
    """Denied attempts too."""
    allow(request, Verb.AUDIT, "audit")
    found = entries(wanted.wanted())
    if wanted.before:
        found = found.filter(pk__lt=wanted.before)
    return [{"id": entry.pk, **plain(entry)} for entry in found[: wanted.limit]]


@router.get("/audit/export", summary="The same as CSV or JSON lines")
def export_entries(request: HttpRequest, wanted: Query[Export]) -> HttpResponse:
    """Up to 50,000 entries. Cells that a spreadsheet would run as a formula are quoted."""
    actor = allow(request, Verb.AUDIT, "audit")
    principal_of(request).check_confirmed()
    audit.record(actor, "audit.export", "audit", after={"format": wanted.format})
    found = entries(wanted.wanted())[: audit_export.MOST_EXPORTED].iterator(chunk_size=2000)
    lines = as_csv(found) if wanted.format == "csv" else as_json_lines(found)
    kind = "text/csv; charset=utf-8" if wanted.format == "csv" else "application/x-ndjson"
    response = HttpResponse("".join(lines), content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="audit.{wanted.format}"'
    return response
