"""Drivers of receivers and views: a name, a label, and typed settings. Third parties add theirs by publishing entry points.

Forms, the YAML import and the API all validate settings with the driver's own struct.
"""

from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import msgspec

from apps.runtime.problems import Invalid
from apps.runtime.shape import misfits, reason_and_place


@dataclass(frozen=True)
class Driver:
    """One driver. `settings` is a msgspec struct whose fields carry type, bounds, default and a description."""

    name: str
    label: str
    settings: type[msgspec.Struct]

    def check(self, settings: dict[str, Any]) -> msgspec.Struct:
        """The settings as the driver's struct. Raises Invalid with the faulty field."""
        try:
            return msgspec.convert(settings, self.settings)
        except msgspec.ValidationError as error:
            reason, place = reason_and_place(error)
            fields = ", ".join(self.settings.__struct_fields__)
            fix = f"Settings of driver {self.name!r}: {fields}."
            raise Invalid(reason, field=place or None, fix=fix) from error

    def misfits(self, settings: dict[str, Any], *, strangers: bool = False) -> list[tuple[str, str]]:
        """Every setting that `check` would refuse, as `(field, reason)`. `strangers`: unknown names may be there."""
        return misfits(settings, self.settings, strangers=strangers)


def installed(group: str, built_in: tuple[Driver, ...]) -> dict[str, Driver]:
    """The drivers by name: the built-in ones, and those that installed packages publish under the entry-point group."""
    drivers = {driver.name: driver for driver in built_in}
    for point in entry_points(group=group):
        if point.name not in drivers:
            drivers[point.name] = point.load()
    return drivers
