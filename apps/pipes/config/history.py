"""Revisions: look at one, compare two, restore an old one. And drafts: edits that become one revision. Called by API and pages."""

from django.db import transaction

from apps.pipes.config import service
from apps.pipes.config.document import Document, from_plain, to_plain
from apps.pipes.config.plan import Plan, compare
from apps.pipes.config.render import render
from apps.pipes.models import Draft, Revision
from apps.runtime import clock
from apps.runtime.problems import NotFound


def revision(number: int) -> Revision:
    """The revision with this number. Raises NotFound."""
    found = Revision.objects.filter(number=number).first()
    if found is None:
        raise NotFound(f"There is no revision {number}.", fix="See the list of revisions.")
    return found


def document_of(found: Revision) -> Document:
    """The whole configuration as it was after a revision."""
    return from_plain(found.document, Document)


def difference(before: int, after: int) -> Plan:
    """What changed between two revisions; 0 is the empty configuration before the first."""
    return compare(*(Document() if number == 0 else document_of(revision(number)) for number in (before, after)))


def restore(number: int, author: service.Author, *, expected: int | None = None) -> tuple[Plan, Revision | None]:
    """Make the configuration what it was after a revision, as a new revision, checked like any other change.

    Keys that were left out since come back; keys that a person revoked stay revoked.
    """
    old = revision(number)
    wanted = service.Wanted(document_of(old), replace=True)
    return service.change(wanted, author, expected=expected, restores=old)


def save_draft(author: str, document: Document, base: int) -> Draft:
    """Keep edits for later; one draft per person. `base` is the revision that the edits were made on."""
    values = {"document": to_plain(document), "base": base, "updated_at": clock.now_datetime()}
    draft, _ = Draft.objects.update_or_create(author=author, defaults=values)
    return draft


def draft_of(author: str) -> Draft:
    """The draft of a person. Raises NotFound when there is none."""
    draft = Draft.objects.filter(author=author).first()
    if draft is None:
        raise NotFound("You have no draft.", fix="Save an edit to the draft first.")
    return draft


def review(draft: Draft) -> Plan:
    """What applying the draft would do now. Raises Invalid with every fault."""
    return service.preview(service.Wanted(from_plain(draft.document, Document), replace=True))


@transaction.atomic
def apply_draft(draft: Draft, author: service.Author) -> tuple[Plan, Revision | None]:
    """Apply a draft as one revision. Conflict (409) when the configuration changed since its base; then it stays."""
    wanted = service.Wanted(from_plain(draft.document, Document), replace=True)
    outcome = service.change(wanted, author, expected=draft.base)
    draft.delete()
    return outcome


def fresh_draft(author: str) -> Draft:
    """The person's draft; when there is none, a new one that equals the present configuration."""
    found = Draft.objects.filter(author=author).first()
    return found or save_draft(author, render(), service.latest_number())
