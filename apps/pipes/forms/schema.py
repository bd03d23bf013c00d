"""From the JSON Schema of an object or driver to the fields of a form. Pure.

docs/configuration.md describes the words of the schema. A third party that publishes a driver gets its form from here without
another line of code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec


class Shape(StrEnum):
    """How a value is written and shown."""

    TEXT = "text"
    PATH = "path"
    INTEGER = "integer"
    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"
    SWITCH = "switch"
    CHOICE = "choice"
    CHOICES = "choices"
    LINES = "lines"
    PAIRS = "pairs"
    JSON = "json"


@dataclass(frozen=True)
class FieldSpec:
    """One field. `name` is its place in the object, as the API names it (`driver_params.max_body_bytes`).

    `refers`: the kind of objects to choose from; `when`: name and value of the field that decides whether this one means anything.
    """

    name: str
    shape: Shape
    label: str
    help: str = ""
    default: Any = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    refers: str = ""
    drivers: bool = False
    advanced: bool = False
    when: tuple[str, Any] | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The keys that lead to the value, from the object on."""
        return tuple(self.name.split("."))


@cache
def specs_of(struct: type[msgspec.Struct], prefix: str = "") -> tuple[FieldSpec, ...]:
    """The fields of a struct in its order; `prefix` is the place of the struct in the object."""
    schema = msgspec.json.schema(struct)
    definitions: dict[str, Any] = schema.get("$defs", {})
    own = _resolved(schema, definitions)
    needed = frozenset(own.get("required", ()))
    properties: dict[str, Any] = own.get("properties", {})
    return tuple(_spec(name, _resolved(field, definitions), prefix, required=name in needed) for name, field in properties.items())


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its reference followed, and `X or nothing` read as X."""
    found = dict(schema)
    if "$ref" in found:
        found = {**definitions[found.pop("$ref").rpartition("/")[2]], **found}
    options = [option for option in found.pop("anyOf", ()) if option.get("type") != "null"]
    return {**_resolved(options[0], definitions), **found} if len(options) == 1 else found


def _spec(name: str, schema: Mapping[str, Any], prefix: str, *, required: bool) -> FieldSpec:
    condition = schema.get("x-when")
    return FieldSpec(
        name=prefix + name,
        shape=_shape(schema),
        label=schema.get("title") or name.replace("_", " ").capitalize(),
        help=schema.get("description", ""),
        default=schema.get("default"),
        required=required,
        minimum=schema.get("minimum", schema.get("exclusiveMinimum")),
        maximum=schema.get("maximum", schema.get("exclusiveMaximum")),
        choices=tuple(str(choice) for choice in schema.get("enum", ())),
        refers=schema.get("x-refers", ""),
        drivers=schema.get("x-drivers", False),
        advanced=schema.get("x-advanced", False),
        when=(prefix + condition["field"], condition["equals"]) if condition else None,
    )


def _shape(schema: Mapping[str, Any]) -> Shape:
    kind, unit = schema.get("type"), schema.get("x-unit")
    if kind == "array":
        return _list_shape(schema)
    if schema.get("x-refers") or schema.get("x-drivers") or "enum" in schema:
        return Shape.CHOICE
    if kind in ("number", "integer") and unit in UNITS:
        return UNITS[unit]
    if kind == "string":
        return Shape.PATH if schema.get("format") == "path" else Shape.TEXT
    if kind == "object" and _type_of(schema.get("additionalProperties")) == "string":
        return Shape.PAIRS
    return SIMPLE.get(str(kind), Shape.JSON)


def _list_shape(schema: Mapping[str, Any]) -> Shape:
    if schema.get("x-refers"):
        return Shape.CHOICES
    return Shape.LINES if _type_of(schema.get("items")) == "string" else Shape.JSON


def _type_of(schema: Any) -> Any:
    return schema.get("type") if isinstance(schema, dict) else None


UNITS = {"seconds": Shape.DURATION, "bytes": Shape.SIZE}
SIMPLE = {"boolean": Shape.SWITCH, "integer": Shape.INTEGER, "number": Shape.NUMBER}
