"""Edits of one object by a person who saw a version of it: saved when nobody changed it meanwhile, else refused with what changed.

Called by the forms of the console. The change itself is apps.pipes.config.service, like every other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import transaction

from apps.pipes import drafts
from apps.pipes.config import service
from apps.pipes.config.check import faults_of
from apps.pipes.config.document import Document, from_plain
from apps.pipes.config.faults import refuse
from apps.pipes.config.losses import Loss, losses_of
from apps.pipes.config.places import Place, fields_at, owner_fields, without
from apps.pipes.config.plan import Change, Plan
from apps.pipes.config.render import render
from apps.pipes.config.three_way import Side, merge_values
from apps.pipes.models import Draft, Revision
from apps.pipes.services import document_with
from apps.runtime.problems import Conflict, NotFound

LOOKED_BACK = 50
Outcome = tuple[Plan, Revision | None]


@dataclass(frozen=True)
class Edit:
    """What a person wrote. `seen`: what the form was made from, None for a new object; `base`: the newest revision then."""

    place: Place
    base: int
    seen: dict[str, Any] | None
    mine: dict[str, Any]


class Overtaken(Conflict):
    """409: somebody changed the object since the form was made. `theirs` is None when it was deleted."""

    code = "stale_revision"

    def __init__(self, edit: Edit, theirs: dict[str, Any] | None, newest: int) -> None:
        self.edit, self.theirs, self.newest = edit, theirs, newest
        self.revision = _last_change(edit.place, edit.base)
        seen = edit.seen or {}
        merged, self.collisions = merge_values(seen, edit.mine, theirs or {}, Side.MINE)
        self.merged: dict[str, Any] = merged if theirs is not None else edit.mine
        self.changes = tuple(differences(seen, theirs or {}))
        super().__init__(
            f"{edit.place.where} was changed by somebody else since you opened it.",
            fix="Look at what changed, then save yours on top or start over.",
            extra={"expected": edit.base, "newest": newest, "fields": [change.field for change in self.changes]},
        )


@transaction.atomic
def save(edit: Edit, author: service.Author) -> Outcome:
    """Make the object what was written, as one revision. Raises Overtaken, Conflict (a new object whose id is taken), Invalid.

    Changes of other objects since the form was made do not matter here: the whole configuration is checked anyway.
    """
    service.serialise()
    newest, document = service.latest_number(), render()
    _check_unchanged(edit, fields_at(document, edit.place), newest)
    kind, ident = edit.place.owner
    wanted = service.Wanted(document_with(kind, ident, owner_fields(document, edit.place, edit.mine)))
    return service.change(wanted, author)


def losses(edit: Edit) -> tuple[Loss, ...]:
    """What saving would make the server forget for good. Raises what saving would."""
    document = render()
    _check_unchanged(edit, fields_at(document, edit.place), service.latest_number())
    kind, ident = edit.place.owner
    wanted = document_with(kind, ident, owner_fields(document, edit.place, edit.mine))
    return losses_of(document, service.preview(service.Wanted(wanted)).result)


def add_to_draft(edit: Edit, author: str) -> Draft:
    """Put the edit into the person's draft, on top of what the draft says of the object already.

    Raises Conflict when the id of a new object is taken, Invalid with the faults of the object; what the rest of the draft
    still lacks is for its review.
    """
    document = drafts.document_in(drafts.open_for(author))
    there = fields_at(document, edit.place)
    if edit.seen is None and there is not None:
        raise _taken(edit.place)
    fields = edit.mine if there is None else merge_values(edit.seen or {}, edit.mine, there, Side.MINE)[0]
    check_fields(document, edit.place, fields)
    kind, ident = edit.place.owner
    wanted = owner_fields(document, edit.place, fields)
    return drafts.put_object(author, kind, ident, wanted)


def check_fields(document: Document, place: Place, fields: dict[str, Any]) -> None:
    """Raise Invalid with every fault that an object with these fields would have in a document; the rest of it is not looked at."""
    kind, ident = place.owner
    wanted = document_with(kind, ident, owner_fields(document, place, fields))
    whole = msgspec.structs.replace(document, **{kind: {**document.section(kind), **wanted.section(kind)}})
    refuse(fault for fault in faults_of(whole) if fault.where.startswith(f"{place.where}."))


def add_delete_to_draft(place: Place, author: str) -> Draft:
    """Put the deletion of an object into the person's draft. What still refers to it is for the draft's review."""
    return drafts.revise(author, lambda document: without(document, place))


def plan_delete(place: Place) -> Plan:
    """What deleting an object would do. Raises NotFound, Invalid when something still refers to it."""
    return service.preview(service.Wanted(_document_without(place), replace=True))


@transaction.atomic
def delete(place: Place, author: service.Author, *, expected: int | None = None) -> Outcome:
    """Delete an object. Raises NotFound, Invalid when something still refers to it, Conflict when `expected` is not the newest."""
    service.serialise()
    return service.change(service.Wanted(_document_without(place), replace=True), author, expected=expected)


def switch(place: Place, author: service.Author, *, on: bool) -> Outcome:
    """Switch an object on or off. Raises NotFound, Conflict."""
    newest, document = service.latest_number(), render()
    fields = fields_at(document, place)
    if fields is None:
        raise NotFound(f"There is no {place.where}.", fix="It may have been deleted already; see the changes.")
    return save(Edit(place, newest, fields, {**fields, "disabled": not on}), author)


def differences(before: Any, after: Any, where: str = "") -> Iterator[Change]:
    """The fields in which two plain values differ; mappings are compared key by key."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from differences(before.get(name), after.get(name), f"{where}.{name}" if where else name)
    elif before != after:
        yield Change(where, before, after)


def default_message(edit: Edit) -> str:
    """What stands as the reason of a revision when the author gave none: what was done, in a few words."""
    if edit.seen is None:
        return f"Create {edit.place.where}"
    names = [change.field for change in differences(edit.seen, edit.mine)]
    if names == ["disabled"]:
        return f"Switch {edit.place.where} {'off' if edit.mine['disabled'] else 'on'}"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Change {', '.join(names[:3])}{more} of {edit.place.where}"


def _document_without(place: Place) -> Document:
    document = render()
    if fields_at(document, place) is None:
        raise NotFound(f"There is no {place.where}.", fix="It may have been deleted already; see the changes.")
    return without(document, place)


def _check_unchanged(edit: Edit, theirs: dict[str, Any] | None, newest: int) -> None:
    if edit.seen is None and theirs is not None:
        raise _taken(edit.place)
    if edit.seen is not None and theirs != edit.seen:
        raise Overtaken(edit, theirs, newest)


def _taken(place: Place) -> Conflict:
    return Conflict(f"There is a {place.where} already.", field="id", fix="Choose another id, or edit that one.")


def _last_change(place: Place, since: int) -> Revision | None:
    """The newest revision after `since` that changed the object, as far as the last fifty tell."""
    later = None
    for revision in Revision.objects.filter(number__gte=since).order_by("-number")[:LOOKED_BACK]:
        fields = fields_at(from_plain(revision.document, Document), place)
        if later is not None and fields != later[1]:
            return later[0]
        later = (revision, fields)
    return None
