"""Drafts: edits that become one revision. Each person and key has one, under `/draft`; others' can be reviewed and applied."""

from dataclasses import asdict
from typing import Any

import msgspec
from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.pipes import drafts
from apps.pipes.api.guard import allow, author
from apps.pipes.api.schemas import BIGGEST, Change, PlanOut, RolloutIn, plan_out, terms_of
from apps.pipes.config.document import Document, from_plain
from apps.pipes.config.three_way import Side
from apps.pipes.models import Draft
from apps.pipes.permissions import Verb
from apps.runtime.problems import Invalid
from apps.runtime.shape import reason_and_place

router = Router()


class DraftIn(Schema):
    """The whole wanted document, and the revision that it was made on."""

    document: dict[str, Any]
    base: int = Field(..., ge=0, le=BIGGEST)


class EditIn(Schema):
    """The fields of one object."""

    fields: dict[str, Any]


class RebaseIn(Schema):
    """Whose value counts where both changed a field: `mine` or `theirs`; null refuses then."""

    prefer: Side | None = None


class ApplyIn(Change):
    """Why, and in which waves its agents get it."""

    rollout: RolloutIn | None = None


@router.get("/drafts", summary="All drafts")
def list_drafts(request: HttpRequest) -> list[dict[str, Any]]:
    """Latest first, without documents."""
    allow(request, Verb.CONFIGURE, "drafts")
    found = Draft.objects.defer("document").order_by("-updated_at")[:500]
    return [{"author": draft.author, "base": draft.base, "updated_at": draft.updated_at.isoformat()} for draft in found]


@router.get("/draft", summary="My draft")
def get_draft(request: HttpRequest) -> dict[str, Any]:
    """404 when there is none."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    return _draft_out(drafts.of(actor.name))


@router.put("/draft", summary="Save my draft")
def put_draft(request: HttpRequest, body: DraftIn) -> dict[str, Any]:
    """Kept unchecked as far as it is a document at all; `review` says what is wrong with it."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    try:
        document = from_plain(body.document, Document)
    except msgspec.ValidationError as error:
        reason, place = reason_and_place(error)
        raise Invalid(reason, field=f"document.{place}" if place else "document") from error
    return _draft_out(drafts.save(actor.name, document, body.base))


@router.put("/draft/objects/{kind}/{ident}", summary="Add one object to my draft")
def put_object(request: HttpRequest, kind: str, ident: str, body: EditIn) -> dict[str, Any]:
    """Makes the draft if there is none. Fields that are left out get their defaults; keys stay as they are."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    return _draft_out(drafts.put_object(actor.name, kind, ident, body.fields))


@router.delete("/draft/objects/{kind}/{ident}", summary="Add the deletion of one object to my draft")
def delete_object(request: HttpRequest, kind: str, ident: str) -> dict[str, Any]:
    """404 when the draft has no such object."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    return _draft_out(drafts.delete_object(actor.name, kind, ident))


@router.get("/draft/review", response=PlanOut, summary="What applying my draft would do")
def review_draft(request: HttpRequest) -> PlanOut:
    """422 lists every fault."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    return _reviewed(actor.name)


@router.get("/drafts/{owner}/review", response=PlanOut, summary="What applying somebody's draft would do")
def review_other(request: HttpRequest, owner: str) -> PlanOut:
    """422 lists every fault."""
    allow(request, Verb.CONFIGURE, f"drafts.{owner}")
    return _reviewed(owner)


@router.post("/draft/rebase", summary="Bring my draft up to date")
def rebase_draft(request: HttpRequest, body: RebaseIn) -> dict[str, Any]:
    """409 lists the fields that others changed too, unless `prefer` decides."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    return _draft_out(drafts.rebase(actor.name, body.prefer))


@router.post("/draft/apply", response=PlanOut, summary="Apply my draft as one revision")
def apply_draft(request: HttpRequest, body: ApplyIn) -> PlanOut:
    """409 when the configuration changed since the draft's base; the draft stays."""
    who = author(request, Verb.CONFIGURE, "draft", body.message)
    return plan_out(*drafts.apply(drafts.of(who.name), who, terms_of(body.rollout)))


@router.post("/drafts/{owner}/apply", response=PlanOut, summary="Apply somebody's draft as one revision")
def apply_other(request: HttpRequest, owner: str, body: ApplyIn) -> PlanOut:
    """The revision names who applied it; say whose work it was in `message`."""
    who = author(request, Verb.CONFIGURE, f"drafts.{owner}", body.message or f"Draft of {owner}")
    return plan_out(*drafts.apply(drafts.of(owner), who, terms_of(body.rollout)))


@router.delete("/draft", response={204: None}, summary="Throw my draft away")
def discard_draft(request: HttpRequest) -> tuple[int, None]:
    """Nothing to discard is fine."""
    actor = allow(request, Verb.CONFIGURE, "draft")
    for draft in Draft.objects.filter(author=actor.name):
        drafts.discard(draft, actor)
    return 204, None


def _reviewed(owner: str) -> PlanOut:
    review = drafts.review(drafts.of(owner))
    if review.plan is None:
        assert review.problem is not None
        raise review.problem
    told = [f"{collision.where}: changed by others too" for collision in review.collisions]
    return plan_out(review.plan, notices=told, effect=asdict(review.effect) if review.effect else None)


def _draft_out(draft: Draft) -> dict[str, Any]:
    return {"base": draft.base, "document": draft.document, "updated_at": draft.updated_at.isoformat()}
