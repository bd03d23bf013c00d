"""Revisions: look at one, compare two, restore an old one. Called by API and pages; drafts are in apps.pipes.drafts."""

from apps.pipes.config import service
from apps.pipes.config.document import Document, from_plain
from apps.pipes.config.losses import Loss, losses_of
from apps.pipes.config.plan import Plan, compare
from apps.pipes.config.render import render
from apps.pipes.models import Revision
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


def document_at(number: int) -> Document:
    """The whole configuration as it was after the revision with this number; 0 is the empty one before the first."""
    return document_of(revision(number)) if number else Document()


def difference(before: int, after: int) -> Plan:
    """What changed between two revisions; 0 is the empty configuration before the first."""
    return compare(document_at(before), document_at(after))


def losses_of_restoring(found: Revision) -> tuple[Loss, ...]:
    """What restoring a revision would make the server forget for good."""
    return losses_of(render(), document_of(found))


def restore(number: int, author: service.Author, *, expected: int | None = None) -> tuple[Plan, Revision | None]:
    """Make the configuration what it was after a revision, as a new revision, checked like any other change.

    Keys that were left out since come back; keys that a person revoked stay revoked.
    """
    old = revision(number)
    wanted = service.Wanted(document_of(old), replace=True)
    return service.change(wanted, author, expected=expected, restores=old)
