"""Form fields and widgets for the fields of a schema. They read and show; what is allowed the configuration service decides."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from apps.pipes.forms import values
from apps.pipes.forms.schema import FieldSpec, Shape

# from so many on, a list of boxes is longer than a page
MOST_BOXES = 40
# a bound as large as this is no news to anybody
MOST_SAID = 2**50
ROWS = {Shape.LINES: 3, Shape.PAIRS: 3, Shape.JSON: 5}


class SpecField(forms.Field):
    """One field of a schema. `spec` says how it is written."""

    def __init__(self, spec: FieldSpec, widget: forms.Widget) -> None:
        super().__init__(required=False, label=_(spec.label), help_text=help_of(spec), widget=widget)
        self.spec = spec

    def to_python(self, value: Any) -> Any:
        """The value that was written. ValidationError when it cannot be read."""
        if self.spec.shape == Shape.SWITCH:
            return bool(value)
        if self.spec.shape == Shape.CHOICES:
            return sorted(value or ())
        try:
            return values.read(self.spec, value or "")
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def prepare_value(self, value: Any) -> Any:
        """The value as the widget shows it; what was posted stays as it was written."""
        if isinstance(value, str) or self.spec.shape in (Shape.SWITCH, Shape.CHOICES):
            return value
        return values.show(self.spec, value)


def field_of(spec: FieldSpec, choices: Mapping[str, str]) -> SpecField:
    """The field of a spec. `choices`: value → words, for a field that names objects or drivers."""
    return SpecField(spec, _widget(spec, choices))


def help_of(spec: FieldSpec) -> str:
    """What the field is for, and within which bounds."""
    return " ".join(part for part in (_(spec.help) if spec.help else "", _bounds(spec)) if part)


def _bounds(spec: FieldSpec) -> str:
    if spec.shape not in (Shape.DURATION, Shape.SIZE, Shape.INTEGER, Shape.NUMBER) or (spec.maximum or MOST_SAID) >= MOST_SAID:
        return ""
    return _("%(least)s to %(most)s.") % {"least": values.show(spec, spec.minimum or 0), "most": values.show(spec, spec.maximum)}


def _widget(spec: FieldSpec, choices: Mapping[str, str]) -> forms.Widget:
    if spec.shape == Shape.SWITCH:
        return forms.CheckboxInput(attrs={"class": "form-check-input", "role": "switch"})
    if spec.shape == Shape.CHOICE:
        return forms.Select(attrs=_choosing(spec), choices=_options(spec, choices))
    if spec.shape == Shape.CHOICES:
        return _several(list(choices.items()))
    text = {"autocomplete": "off", "spellcheck": "false"}
    if spec.shape in ROWS:
        return forms.Textarea(attrs={"class": "form-control", "rows": ROWS[spec.shape], **text})
    hint = values.show(spec, spec.default) if spec.default not in (None, "") else ""
    return forms.TextInput(attrs={"class": "form-control", "placeholder": hint, **text})


def _choosing(spec: FieldSpec) -> dict[str, str]:
    """Another driver brings other settings: htmx puts them in the place of those shown."""
    plain = {"class": "form-select"}
    if not spec.drivers:
        return plain
    swap = {"hx-post": "", "hx-trigger": "change", "hx-target": "#settings", "hx-select": "#settings", "hx-swap": "outerHTML"}
    return plain | swap | {"hx-vals": '{"step": "fields"}'}


def _several(options: list[tuple[str, str]]) -> forms.Widget:
    if len(options) <= MOST_BOXES:
        return forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}, choices=options)
    return forms.SelectMultiple(attrs={"class": "form-select", "size": 10}, choices=options)


def _options(spec: FieldSpec, choices: Mapping[str, str]) -> list[tuple[str, str]]:
    offered = list(choices.items()) or [(choice, choice) for choice in spec.choices]
    nothing = spec.refers and (not spec.required or len(offered) != 1)
    return [("", _("choose …") if spec.required else _("none")), *offered] if nothing else offered
