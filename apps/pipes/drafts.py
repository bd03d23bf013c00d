"""Drafts: edits of one person that become one revision when they are applied. Called by API, pages and the forms' "Add to draft".

A draft is a whole wanted document on top of the revision that its author saw (`base`). When others changed the configuration
meanwhile it is brought up to date (`rebase`); fields that both sides changed are never decided silently.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from django.db import transaction

from apps.pipes import audit
from apps.pipes.config import service
from apps.pipes.config.document import KINDS, SETTINGS, Document, from_plain, to_plain
from apps.pipes.config.effect import Effect, effect_of
from apps.pipes.config.export import export_text
from apps.pipes.config.history import document_at
from apps.pipes.config.plan import SERVER, Plan
from apps.pipes.config.render import render
from apps.pipes.config.three_way import Collision, Merged, Side, merge_documents
from apps.pipes.models import ApiKey, Draft, Revision
from apps.pipes.rollouts.waves import Terms
from apps.pipes.services import document_with
from apps.runtime import clock
from apps.runtime.problems import Conflict, Invalid, NotFound, Problem


@dataclass(frozen=True)
class Review:
    """What applying a draft would do now. `problem`: why it cannot be applied as it is; then `plan` and `effect` are None.

    `behind`: others changed the configuration since its base; `collisions`: where they changed the same fields, differently.
    """

    draft: Draft
    plan: Plan | None
    effect: Effect | None
    problem: Problem | None
    behind: bool
    collisions: tuple[Collision, ...]

    @property
    def can_apply(self) -> bool:
        """Whether `apply` would make a revision of it."""
        return self.plan is not None and self.plan.changes_anything and not self.behind


def of(author: str) -> Draft:
    """The draft of a person. Raises NotFound when there is none."""
    draft = Draft.objects.filter(author=author).first()
    if draft is None:
        raise NotFound("There is no such draft.", fix="Add an edit to your draft first.")
    return draft


def open_for(author: str) -> Draft:
    """The person's draft; when there is none, a new one that equals the present configuration."""
    return Draft.objects.filter(author=author).first() or save(author, render(), service.latest_number())


def save(author: str, document: Document, base: int) -> Draft:
    """Keep a whole wanted document; one draft per person. `base` is the revision that the edits were made on."""
    values = {"document": to_plain(document), "base": base, "updated_at": clock.now_datetime()}
    draft, _ = Draft.objects.update_or_create(author=author, defaults=values)
    return draft


def save_wanted(author: str, wanted: service.Wanted, base: int) -> Draft:
    """Keep what a text wants as the draft, in the place of an older one. Raises Invalid for every fault, and for new keys."""
    new = sorted(set(wanted.secrets) - set(ApiKey.objects.values_list("ref", flat=True)))
    if new:
        raise Invalid(
            f"The text brings {len(new)} new keys, and a draft keeps no secret.",
            code="secrets_in_draft",
            fix="Apply it at once, or leave the keys out and issue them afterwards.",
        )
    return save(author, service.preview(wanted).result, base)


@transaction.atomic
def put_object(author: str, kind: str, ident: str, fields: dict[str, Any]) -> Draft:
    """Add to the draft: an object becomes what `fields` say. Keys stay as they are unless `api_keys` is among the fields.

    Raises NotFound for an unknown kind, Invalid naming the field.
    """
    wanted = to_plain(document_with(kind, ident, fields).section(kind)[ident])
    draft = _locked(author)
    present = draft.document[kind].get(ident, {})
    if wanted.get("api_keys", ()) is None:
        wanted["api_keys"] = present.get("api_keys") or []
    return _keep(draft, kind, {**draft.document[kind], ident: wanted})


@transaction.atomic
def delete_object(author: str, kind: str, ident: str) -> Draft:
    """Add to the draft: an object goes. Raises NotFound when the draft has no such object."""
    draft = _locked(author)
    if ident not in draft.document.get(kind, {}):
        raise NotFound(f"There is no {kind}.{ident} in the draft.", fix="See what the draft holds.")
    return _keep(draft, kind, {name: fields for name, fields in draft.document[kind].items() if name != ident})


@transaction.atomic
def revise(author: str, change: Callable[[Document], Document]) -> Draft:
    """Add to the draft whatever makes another document of the one in it."""
    draft = _locked(author)
    return save(draft.author, change(document_in(draft)), draft.base)


@transaction.atomic
def take_back(author: str, kind: str, ident: str) -> Draft:
    """Take the edit of one object out of the draft: it becomes what it was at the draft's base."""
    draft = _locked(author)
    if (kind, ident) == (SETTINGS, SERVER):
        return save(author, msgspec.structs.replace(document_in(draft), settings=_base_document(draft).settings), draft.base)
    if kind not in KINDS:
        raise NotFound(f"There is no kind of object {kind!r}.", fix=f"Kinds are {', '.join(KINDS)}.")
    before = to_plain(_base_document(draft))[kind].get(ident)
    rest = {name: fields for name, fields in draft.document[kind].items() if name != ident}
    return _keep(draft, kind, rest if before is None else {**rest, ident: before})


def review(draft: Draft) -> Review:
    """What applying the draft would do now, brought up to date in mind when others changed the configuration meanwhile."""
    behind = draft.base != service.latest_number()
    merged = _merged(draft) if behind else Merged(document_in(draft), ())
    wanted = service.Wanted(merged.document, replace=True)
    try:
        plan = service.preview(wanted)
    except Problem as problem:
        return Review(draft, None, None, problem, behind, merged.collisions)
    return Review(draft, plan, effect_of(render(), plan), None, behind, merged.collisions)


@transaction.atomic
def rebase(author: str, prefer: Side | None = None) -> Draft:
    """Bring a draft up to date with the newest revision. Conflict (409) lists the fields that both sides changed, unless
    `prefer` says whose value counts there."""
    draft = _locked(author)
    newest = service.latest_number()
    merged = _merged(draft, prefer or Side.THEIRS)
    if merged.collisions and prefer is None:
        places = ", ".join(collision.where for collision in merged.collisions[:5])
        raise Conflict(
            f"Others changed the same fields since revision {draft.base}: {places}.",
            code="draft_collides",
            fix="Decide whose values count: yours (`mine`) or theirs (`theirs`).",
            extra={"collisions": [asdict(collision) for collision in merged.collisions], "newest": newest},
        )
    return save(draft.author, merged.document, newest)


@transaction.atomic
def apply(draft: Draft, author: service.Author, terms: Terms | None = None) -> tuple[Plan, Revision | None]:
    """Apply a draft as one revision, agents in waves when there are `terms`. Conflict (409) when the configuration changed
    since its base; then it stays."""
    wanted = service.Wanted(document_in(draft), replace=True)
    outcome = service.change(wanted, author, expected=draft.base, terms=terms)
    draft.delete()
    return outcome


@transaction.atomic
def discard(draft: Draft, actor: audit.Actor) -> None:
    """Throw a draft away."""
    audit.record(actor, "draft.discard", f"drafts.{draft.author}")
    draft.delete()


def document_in(draft: Draft) -> Document:
    """The wanted document."""
    return from_plain(draft.document, Document)


def text_of(draft: Draft) -> str:
    """The wanted document as canonical YAML."""
    return export_text(document_in(draft))


def edits_in(draft: Draft) -> int:
    """How many objects the draft changes, compared with its base."""
    before, after = to_plain(_base_document(draft)), draft.document
    named = ((kind, ident) for kind in KINDS for ident in before[kind].keys() | after.get(kind, {}).keys())
    objects: int = sum(before[kind].get(ident) != after.get(kind, {}).get(ident) for kind, ident in named)
    return objects + int((before[SETTINGS] or {}) != (after.get(SETTINGS) or {}))


def _locked(author: str) -> Draft:
    """The person's draft, made if need be, held against a second window of the same person."""
    open_for(author)
    return Draft.objects.select_for_update().get(author=author)


def _keep(draft: Draft, kind: str, objects: dict[str, Any]) -> Draft:
    document = msgspec.convert({**draft.document, kind: dict(sorted(objects.items()))}, Document)
    return save(draft.author, document, draft.base)


def _merged(draft: Draft, prefer: Side = Side.THEIRS) -> Merged:
    return merge_documents(_base_document(draft), document_in(draft), render(), prefer)


def _base_document(draft: Draft) -> Document:
    return document_at(draft.base)
