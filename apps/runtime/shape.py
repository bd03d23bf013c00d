"""What msgspec says of a value that does not fit, taken apart: the reason, and the place in the words of the document."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_SAID = re.compile(r"^(?P<reason>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<place>[^`]*)`)?$", re.DOTALL)


def reason_and_place(error: msgspec.ValidationError) -> tuple[str, str]:
    """`Expected int, got str.` and `pipes[...].views`; the place is empty when it is the whole value."""
    said = _SAID.match(str(error))
    if said is None:
        return f"{error}.", ""
    reason = said["reason"].replace("`", "")
    return f"Not an id: {reason}." if said["key"] else f"{reason}.", said["place"] or ""


def misfits(plain: Mapping[str, Any], struct: type[msgspec.Struct], *, strangers: bool = False) -> list[tuple[str, str]]:
    """Every field of a mapping that does not fit a struct, as `(place, reason)`; names that the struct does not know fit when
    `strangers` may be there."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    found = [] if strangers else [(name, "There is no such field.") for name in plain if name not in fields]
    for name, field in fields.items():
        if name in plain:
            found += _misfit(name, plain[name], field.type)
        elif field.required:
            found.append((name, "This is needed."))
    return found


def _misfit(name: str, value: Any, wanted: Any) -> list[tuple[str, str]]:
    try:
        msgspec.convert(value, wanted, strict=True)
    except msgspec.ValidationError as error:
        reason, place = reason_and_place(error)
        return [(name if not place else f"{name}{place}" if place.startswith("[") else f"{name}.{place}", reason)]
    return []
