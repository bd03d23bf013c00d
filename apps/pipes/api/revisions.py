"""History of the configuration."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.pipes.api.guard import allow, author
from apps.pipes.api.schemas import BIGGEST, Change, Number, PlanOut, RevisionOut, plan_out, revision_out
from apps.pipes.config import history
from apps.pipes.models import Revision
from apps.pipes.permissions import Verb

router = Router()


class Page(Schema):
    """Newest first; `before` is the number of the last revision of the page before."""

    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(None, ge=1, le=BIGGEST)


class Against(Schema):
    """The revision to compare with."""

    against: int | None = Field(None, ge=0, le=BIGGEST)


@router.get("/revisions", response=list[RevisionOut], summary="History of the configuration")
def list_revisions(request: HttpRequest, page: Query[Page]) -> list[RevisionOut]:
    """Without documents."""
    allow(request, Verb.READ, "revisions")
    found = Revision.objects.defer("document").order_by("-number")
    if page.before:
        found = found.filter(number__lt=page.before)
    return [revision_out(revision) for revision in found[: page.limit]]


@router.get("/revisions/{number}", summary="One revision with its whole document")
def get_revision(request: HttpRequest, number: Number) -> dict[str, Any]:
    """The configuration as it was after this revision."""
    allow(request, Verb.READ, f"revisions.{number}")
    revision = history.revision(number)
    return {**revision_out(revision).dict(), "document": revision.document}


@router.get("/revisions/{number}/diff", response=PlanOut, summary="What changed between two revisions")
def diff_revisions(request: HttpRequest, number: Number, other: Query[Against]) -> PlanOut:
    """From `against` (default: the revision before; 0 is the empty configuration) to `number`."""
    allow(request, Verb.READ, f"revisions.{number}")
    history.revision(number)
    earlier = Revision.objects.filter(number__lt=number).values_list("number", flat=True).first() or 0
    return plan_out(history.difference(earlier if other.against is None else other.against, number))


@router.post("/revisions/{number}/restore", response=PlanOut, summary="Make the configuration what it was")
def restore_revision(request: HttpRequest, number: Number, body: Change) -> PlanOut:
    """As a new revision, through the same checks as any change."""
    who = author(request, Verb.CONFIGURE, f"revisions.{number}", body.message or f"Restore revision {number}")
    return plan_out(*history.restore(number, who, expected=body.expected))
