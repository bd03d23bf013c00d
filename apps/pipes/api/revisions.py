"""History of the configuration and drafts."""

from typing import Any

import msgspec
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.pipes.api.guard import allow, author
from apps.pipes.api.schemas import Change, PlanOut, RevisionOut, plan_out, revision_out
from apps.pipes.config import history
from apps.pipes.config.document import Document, from_plain
from apps.pipes.models import Draft, Revision
from apps.pipes.permissions import Verb
from apps.runtime.problems import Invalid
from apps.runtime.shape import reason_and_place

router = Router()


class Page(Schema):
    """Newest first; `before` is the number of the last revision of the page before."""

    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(None, ge=1)


class Against(Schema):
    """The revision to compare with."""

    against: int | None = Field(None, ge=0)


class DraftIn(Schema):
    """The whole wanted document, and the revision that it was made on."""

    document: dict[str, Any]
    base: int = Field(..., ge=0)


@router.get("/revisions", response=list[RevisionOut], summary="History of the configuration")
def list_revisions(request: HttpRequest, page: Query[Page]) -> list[RevisionOut]:
    """Without documents."""
    allow(request, Verb.READ, "revisions")
    found = Revision.objects.defer("document").order_by("-number")
    if page.before:
        found = found.filter(number__lt=page.before)
    return [revision_out(revision) for revision in found[: page.limit]]


@router.get("/revisions/{number}", summary="One revision with its whole document")
def get_revision(request: HttpRequest, number: int) -> dict[str, Any]:
    """The configuration as it was after this revision."""
    allow(request, Verb.READ, f"revisions.{number}")
    revision = history.revision(number)
    return {**revision_out(revision).dict(), "document": revision.document}


@router.get("/revisions/{number}/diff", response=PlanOut, summary="What changed between two revisions")
def diff_revisions(request: HttpRequest, number: int, other: Query[Against]) -> PlanOut:
    """From `against` (default: the revision before; 0 is the empty configuration) to `number`."""
    allow(request, Verb.READ, f"revisions.{number}")
    history.revision(number)
    earlier = Revision.objects.filter(number__lt=number).values_list("number", flat=True).first() or 0
    return plan_out(history.difference(earlier if other.against is None else other.against, number))


@router.post("/revisions/{number}/restore", response=PlanOut, summary="Make the configuration what it was")
def restore_revision(request: HttpRequest, number: int, body: Change) -> PlanOut:
    """As a new revision, through the same checks as any change."""
    who = author(request, Verb.CONFIGURE, f"revisions.{number}", body.message or f"Restore revision {number}")
    return plan_out(*history.restore(number, who, expected=body.expected))


@router.get("/draft", summary="My draft")
def get_draft(request: HttpRequest) -> dict[str, Any]:
    """404 when there is none."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    return _draft_out(history.draft_of(actor.name))


@router.put("/draft", summary="Save my draft")
def put_draft(request: HttpRequest, body: DraftIn) -> dict[str, Any]:
    """Kept unchecked as far as it is a document at all; `review` says what is wrong with it."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    try:
        document = from_plain(body.document, Document)
    except msgspec.ValidationError as error:
        reason, place = reason_and_place(error)
        raise Invalid(reason, field=f"document.{place}" if place else "document") from error
    return _draft_out(history.save_draft(actor.name, document, body.base))


@router.get("/draft/review", response=PlanOut, summary="What applying my draft would do")
def review_draft(request: HttpRequest) -> PlanOut:
    """422 lists every fault."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    return plan_out(history.review(history.draft_of(actor.name)))


@router.post("/draft/apply", response=PlanOut, summary="Apply my draft as one revision")
def apply_draft(request: HttpRequest, body: Change) -> PlanOut:
    """409 when the configuration changed since the draft's base; the draft stays."""
    who = author(request, Verb.CONFIGURE, "draft", body.message)
    return plan_out(*history.apply_draft(history.draft_of(who.name), who))


@router.delete("/draft", response={204: None}, summary="Throw my draft away")
def discard_draft(request: HttpRequest) -> tuple[int, None]:
    """Nothing to discard is fine."""
    Draft.objects.filter(author=allow(request, Verb.CONFIGURE, "draft").name).delete()
    return 204, None


def _draft_out(draft: Draft) -> dict[str, Any]:
    return {"base": draft.base, "document": draft.document, "updated_at": draft.updated_at.isoformat()}
