"""The form of one object: from its fields in the document to inputs, and back to the fields that were written."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.pipes.config.document import Document
from apps.pipes.config.places import AGENT_PIPES, Place, known
from apps.pipes.drivers import drivers_of
from apps.pipes.forms import values
from apps.pipes.forms.fields import field_of
from apps.pipes.forms.schema import FieldSpec, Shape, specs_of
from apps.runtime.problems import Problem
from fustor_schema.settings import AgentPipeSettings

ID = FieldSpec("id", Shape.TEXT, "Id", "How YAML, API and addresses name it. Fixed once it is made.", required=True)
AGENT = FieldSpec("agent", Shape.CHOICE, "Agent", "The host that runs it.", required=True, refers="agents")
IDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
DRIVER_SETTINGS = "driver_params"
# the driver whose settings the form shows: posted along, so that a change of driver is noticed without JavaScript too
SHOWN_DRIVER = "shown_driver"


class ObjectForm(forms.Form):
    """Inputs for the fields of one object, driver settings included. Made from schemas, for any kind and driver."""

    use_required_attribute = False

    def __init__(
        self,
        place: Place,
        document: Document,
        *,
        fields: Mapping[str, Any],
        data: QueryDict | None = None,
        new: bool = False,
        draft: Document | None = None,
    ) -> None:
        self.place, self.document, self.present, self.draft = place, document, fields, draft
        self.chosen_driver = str((data or fields).get("driver") or _default_driver(place))
        self.specs = object_specs(place, self.chosen_driver)
        self.driver_changed = data is not None and data.get(SHOWN_DRIVER, self.chosen_driver) != self.chosen_driver
        super().__init__(self._with_defaults(data) if data is not None and self.driver_changed else data)
        if new:
            self._add_identity()
        for spec in self.specs:
            self.fields[spec.name] = field_of(spec, self._choices(spec))
            self.initial[spec.name] = value_at(fields, spec)

    def _add_identity(self) -> None:
        """The id of a new object, and the agent that it belongs to: both are fixed once it is made."""
        if self.place.kind == AGENT_PIPES:
            self.fields["agent"] = field_of(AGENT, self._choices(AGENT))
        self.fields["id"] = field_of(ID, {})
        agent, _colon, own_id = self.place.ident.rpartition(":")
        self.initial = {"id": own_id, "agent": agent}

    def clean(self) -> dict[str, Any]:
        """Takes the place of a new object from its id."""
        given: dict[str, Any] = self.cleaned_data
        if "id" in self.fields:
            ident = f"{given.get('agent', '')}:{given.get('id', '')}" if self.place.kind == AGENT_PIPES else given.get("id", "")
            self.place = Place(self.place.kind, ident)
            for name in ("agent", "id"):
                if name in self.fields and not IDENT.fullmatch(given.get(name, "")):
                    self.add_error(name, _("Letters, digits, _, - and ., 100 at most; the first a letter or digit."))
        return given

    def identity(self) -> list[BoundField]:
        """The fields that make the id of a new object; none for one that exists."""
        return [self[name] for name in ("agent", "id") if name in self.fields]

    @property
    def has_driver(self) -> bool:
        """Whether objects of this kind have drivers."""
        return bool(drivers_of(self.place.kind))

    def usual(self) -> list[BoundField]:
        """The fields that everybody looks at, the name first."""
        own = [spec.name for spec in self.specs if not spec.advanced and not spec.name.startswith(f"{DRIVER_SETTINGS}.")]
        return [self[name] for name in sorted(own, key="name".__ne__) if name != "disabled"]

    def of_driver(self) -> list[BoundField]:
        """The usual settings of the driver."""
        return [self[spec.name] for spec in self.specs if not spec.advanced and spec.name.startswith(f"{DRIVER_SETTINGS}.")]

    def rare(self) -> list[BoundField]:
        """The fields that few people need; collapsed."""
        return [self[spec.name] for spec in self.specs if spec.advanced]

    def rare_matter(self) -> bool:
        """Whether the rare fields should be open: one of them has a fault or differs from its default."""
        return any(bound.errors or bound.initial not in (_default(bound), None) for bound in self.rare())

    def written(self) -> dict[str, Any]:
        """The fields of the object as they were written. Settings that equal their default are left out, as in every export.

        What the object has and the form does not know (settings of another version) stays.
        """
        wanted = copy.deepcopy(dict(self.present))
        if self.has_driver and wanted.get("driver", self.chosen_driver) != self.chosen_driver:
            wanted[DRIVER_SETTINGS] = {}
        for spec in self.specs:
            _put(wanted, spec, self.cleaned_data.get(spec.name))
        return wanted

    def blame(self, problem: Problem) -> None:
        """Show the faults that the configuration service found at the fields that they name."""
        faults = problem.extra.get("faults") or [{"where": problem.field or "", "what": problem.detail, "fix": problem.fix or ""}]
        for fault in faults:
            name = self._field_of(fault["where"])
            words = f"{fault['what']} {fault['fix']}".strip()
            self.add_error(name, words if name or not fault["where"] else f"{fault['where']}: {words}")

    def _choices(self, spec: FieldSpec) -> dict[str, str]:
        """Value → words. Objects that exist only in the person's draft can be chosen too: for an edit that goes there."""
        if spec.drivers:
            registry, driver = drivers_of(self.place.kind), self.chosen_driver
            unknown = {} if driver in registry else {driver: _("%(driver)s (not known here)") % {"driver": driver}}
            return {name: _(found.label) for name, found in registry.items()} | unknown
        if not spec.refers:
            return {}
        present = known(self.document, spec.refers)
        drafted = known(self.draft, spec.refers) if self.draft else {}
        offered = {ident: f"{ident} – {name}" if name else ident for ident, name in present.items()}
        return offered | {ident: _("%(id)s (in your draft)") % {"id": ident} for ident in drafted if ident not in present}

    def _field_of(self, where: str) -> str | None:
        """The field that a fault names; the longest name that fits (`views[0]` is in `views`)."""
        place = where.removeprefix(f"{self.place.where}.")
        fitting = [name for name in self.fields if place == name or place.startswith((f"{name}.", f"{name}["))]
        return max(fitting, key=len, default=None)

    def _with_defaults(self, data: QueryDict) -> QueryDict:
        """What was posted, with the settings of a driver that was just chosen at their defaults."""
        filled = data.copy()
        for spec in self.specs:
            if spec.name.startswith(f"{DRIVER_SETTINGS}."):
                filled.pop(spec.name, None)
                if spec.shape == Shape.SWITCH:
                    filled.update({spec.name: "on"} if spec.default else {})
                else:
                    filled[spec.name] = values.show(spec, spec.default)
        return filled


def object_specs(place: Place, driver: str) -> tuple[FieldSpec, ...]:
    """The fields of an object's form: its own, and the settings of its driver; settings of an unknown driver are one JSON text."""
    own = [spec for spec in specs_of(place.struct) if spec.name not in place.parts]
    if place.kind == AGENT_PIPES:
        return (*(spec for spec in own if spec.name != "settings"), *specs_of(AgentPipeSettings, "settings."))
    registry = drivers_of(place.kind)
    if not registry:
        return tuple(own)
    known_driver = registry.get(driver)
    if known_driver is None:
        return tuple(own)
    return (*(spec for spec in own if spec.name != DRIVER_SETTINGS), *specs_of(known_driver.settings, f"{DRIVER_SETTINGS}."))


def _default_driver(place: Place) -> str:
    return next((str(spec.default) for spec in specs_of(place.struct) if spec.drivers), "")


def value_at(fields: Mapping[str, Any], spec: FieldSpec) -> Any:
    """The value of a field in an object; its default when the object does not say."""
    found: Any = fields
    for key in spec.path:
        if not isinstance(found, Mapping) or key not in found:
            return spec.default
        found = found[key]
    return found


def _put(wanted: dict[str, Any], spec: FieldSpec, value: Any) -> None:
    """Write a value at its place; what is empty, and a setting at its default, is left out."""
    *way, name = spec.path
    target = wanted
    for key in way:
        target = target.setdefault(key, {})
    left_empty = value is None or (value == "" and (spec.required or spec.default not in (None, "")))
    if left_empty or (way and value == spec.default):
        target.pop(name, None)
    else:
        target[name] = value


def _default(bound: BoundField) -> Any:
    return bound.field.spec.default  # type: ignore[attr-defined]  # every field of this form is a SpecField
