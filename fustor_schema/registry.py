"""Schemas by name. A third party adds one by publishing an entry point in group `fustor.schemas`; a pipe then routes the events
that carry its name to the views that can hold it.
"""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

GROUP = "fustor.schemas"


@dataclass(frozen=True)
class EventSchema:
    """One kind of event. `name` is the event field `event_schema`; `tables` the values of `table` it knows;
    `view_drivers` the drivers of views that can hold its rows."""

    name: str
    tables: frozenset[str]
    view_drivers: frozenset[str]


FS = EventSchema(name="fs", tables=frozenset({"files"}), view_drivers=frozenset({"fs", "fs-forest"}))


class UnknownSchema(LookupError):
    """No installed package brings a schema of this name; the text lists those that are there."""


@cache
def installed() -> dict[str, EventSchema]:
    """Every schema: `fs`, and whatever installed packages publish. Raises TypeError when an entry point is no EventSchema."""
    found = {FS.name: FS}
    for point in entry_points(group=GROUP):
        schema = point.load()
        if not isinstance(schema, EventSchema):
            raise TypeError(f"entry point {point.name!r} of group {GROUP} must be an EventSchema, not {type(schema).__name__}")
        found[schema.name] = schema
    return found


def schema_of(name: str) -> EventSchema:
    """The schema of this name. Raises UnknownSchema."""
    try:
        return installed()[name]
    except KeyError:
        raise UnknownSchema(f"unknown event_schema {name!r}; installed: {', '.join(sorted(installed()))}") from None
