"""What the page of one configured object shows: its fields in words, what refers to it, its latest changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.pipes.config.document import Document
from apps.pipes.config.places import Place, users_of
from apps.pipes.edits import Overtaken
from apps.pipes.forms import values
from apps.pipes.forms.form import object_specs, value_at
from apps.pipes.forms.kinds import KINDS, Kind
from apps.pipes.forms.schema import FieldSpec, Shape
from apps.pipes.models import AuditEntry

CHANGES_SHOWN = 10


@dataclass(frozen=True)
class Line:
    """One field: what it is called, what it says, and the objects that it names."""

    label: str
    words: str
    links: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Use:
    """One object that refers to the one shown."""

    kind: Kind
    place: Place


@dataclass(frozen=True)
class Side:
    """One field that another person changed while it was edited here. `yours` is None when it was not touched here."""

    label: str
    before: str
    after: str
    yours: str | None


@dataclass(frozen=True)
class PastChange:
    """One change of the object. `revision` is 0 when it is not known."""

    at: datetime
    actor: str
    verb: str
    fields: tuple[str, ...]
    revision: int


def lines_of(place: Place, fields: Mapping[str, Any]) -> list[Line]:
    """The fields that everybody looks at, and the others where they differ from their defaults."""
    specs = object_specs(place, str(fields.get("driver", "")))
    shown = ((spec, value_at(fields, spec)) for spec in specs if spec.name != "disabled")
    return [_line(spec, value) for spec, value in shown if not spec.advanced or value != spec.default]


def sides_of(problem: Overtaken) -> list[Side]:
    """What another person changed meanwhile, in the words of the form, next to what was written here."""
    place, fields = problem.edit.place, problem.theirs or {}
    specs = {spec.name: spec for spec in object_specs(place, str(fields.get("driver", "")))}
    mine = {collision.where: collision.mine for collision in problem.collisions}
    return [
        Side(
            _(specs[change.field].label) if change.field in specs else change.field,
            _words(specs.get(change.field), change.before),
            _words(specs.get(change.field), change.after),
            _words(specs.get(change.field), mine[change.field]) if change.field in mine else None,
        )
        for change in problem.changes
    ]


def uses_of(document: Document, place: Place) -> list[Use]:
    """What refers to the object."""
    return [Use(KINDS[user.kind], user) for user in users_of(document, place)]


def history_of(place: Place) -> list[PastChange]:
    """The latest changes of the object, newest first; of an agent pipe, those of its agent."""
    where = ".".join(place.owner)
    entries = AuditEntry.objects.filter(target=where, verb__startswith="configuration.").order_by("-id")[:CHANGES_SHOWN]
    return [
        PastChange(
            entry.at,
            entry.actor,
            entry.verb.removeprefix("configuration."),
            tuple((entry.after or {}) if entry.before is not None else ()),
            _number(entry.detail),
        )
        for entry in entries
    ]


def _number(detail: str) -> int:
    word = detail.removeprefix("revision ")
    return int(word) if word.isdigit() else 0


def _line(spec: FieldSpec, value: Any) -> Line:
    if spec.refers:
        named = value if spec.shape == Shape.CHOICES else [value] if value else []
        return Line(_(spec.label), "", tuple(Place(spec.refers, ident) for ident in named))
    return Line(_(spec.label), _words(spec, value))


def _words(spec: FieldSpec | None, value: Any) -> str:
    """A value as the form writes it. None: not said, so the default counts."""
    if spec is None:
        return "–" if value is None else str(value)
    said = spec.default if value is None else value
    if spec.shape == Shape.SWITCH:
        return _("yes") if said else _("no")
    if spec.shape == Shape.CHOICES:
        return ", ".join(said)
    return values.show(spec, said) or "–"
