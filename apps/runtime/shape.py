"""What msgspec says of a value that does not fit, taken apart: the reason, and the place in the words of the document."""

import re

import msgspec

_SAID = re.compile(r"^(?P<reason>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<place>[^`]*)`)?$", re.DOTALL)


def reason_and_place(error: msgspec.ValidationError) -> tuple[str, str]:
    """`Expected int, got str.` and `pipes[...].views`; the place is empty when it is the whole value."""
    said = _SAID.match(str(error))
    if said is None:
        return f"{error}.", ""
    reason = said["reason"].replace("`", "")
    return f"Not an id: {reason}." if said["key"] else f"{reason}.", said["place"] or ""
