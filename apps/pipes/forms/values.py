"""Values as people write them in a form: `10 min`, `64 MiB`, one word a line. Pure, both ways.

What cannot be read raises ValueError with words for the person; whether a value is allowed is the configuration service's to say.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from apps.pipes.forms.schema import FieldSpec, Shape

TIMES = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
SIZES = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1))
TIME_WORDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
SIZE_WORDS = {"": 1, "b": 1} | {
    word: 1024**power for power, letter in enumerate("kmgt", 1) for word in (letter, f"{letter}b", f"{letter}ib")
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def read(spec: FieldSpec, text: str) -> Any:
    """The value that a text means. An empty text is None, except where text itself is wanted."""
    if not text.strip():
        return "" if spec.shape in (Shape.TEXT, Shape.PATH, Shape.CHOICE) else EMPTY.get(spec.shape)
    return READERS[spec.shape](text)


def show(spec: FieldSpec, value: Any) -> str:
    """A value as `read` understands it."""
    if value is None:
        return ""
    return SHOWERS[spec.shape](value) if _fits(spec.shape, value) else str(value)


def _fits(shape: Shape, value: Any) -> bool:
    """Whether a value can be shown in its shape: objects may hold what no form would have let in."""
    if shape in (Shape.DURATION, Shape.SIZE, Shape.INTEGER, Shape.NUMBER):
        return isinstance(value, int | float)
    if shape == Shape.LINES:
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return isinstance(value, Mapping) if shape == Shape.PAIRS else True


def _duration(text: str) -> float:
    """`90`, `90 s`, `1 h 30 min`: seconds."""
    return _whole(_total(text, TIME_WORDS | {"": 1}, _("Not a time. Write a number with s, min, h or d, such as 10 min.")))


def _size(text: str) -> float:
    """`64 MiB`, `1024`: bytes."""
    return _whole(_total(text, SIZE_WORDS, _("Not a size. Write a number with B, KiB, MiB or GiB, such as 64 MiB.")))


def _total(text: str, words: Mapping[str, int], complaint: str) -> float:
    total: float = 0
    rest = text.strip().casefold()
    while rest:
        part = _PART.match(rest)
        if part is None or part[2] not in words:
            raise ValueError(complaint)
        total += (float(part[1]) if "." in part[1] else int(part[1])) * words[part[2]]
        rest = rest[part.end() :]
    return total


def _integer(text: str) -> int:
    try:
        return int(text.strip().replace(" ", ""))
    except ValueError as error:
        raise ValueError(_("Not a whole number.")) from error


def _number(text: str) -> float:
    try:
        return _whole(float(text.strip().replace(",", ".")))
    except (ValueError, OverflowError) as error:
        raise ValueError(_("Not a number.")) from error


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pairs(text: str) -> dict[str, str]:
    pairs = {}
    for line in _lines(text):
        name, mark, value = line.partition(":") if ":" in line else line.partition("=")
        if not mark or not name.strip():
            raise ValueError(_("Write name: value, one a line. This is none: %(line)s") % {"line": line})
        pairs[name.strip()] = value.strip()
    return pairs


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise ValueError(_("Not JSON: %(reason)s.") % {"reason": error}) from error


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _in_units(value: float, units: tuple[tuple[str, int], ...]) -> str:
    """In the largest unit that leaves a whole number; else in the smallest."""
    for name, factor in units:
        if value and value % factor == 0:
            return f"{int(value // factor)} {name}"
    return f"{_plain(value)} {units[-1][0]}"


def _plain(value: float) -> str:
    return str(_whole(value))


READERS: dict[Shape, Callable[[str], Any]] = {
    Shape.TEXT: str.strip,
    Shape.PATH: str.strip,
    Shape.CHOICE: str.strip,
    Shape.DURATION: _duration,
    Shape.SIZE: _size,
    Shape.INTEGER: _integer,
    Shape.NUMBER: _number,
    Shape.LINES: _lines,
    Shape.PAIRS: _pairs,
    Shape.JSON: _json,
}
SHOWERS: dict[Shape, Callable[[Any], str]] = {
    Shape.TEXT: str,
    Shape.PATH: str,
    Shape.CHOICE: str,
    Shape.DURATION: lambda value: _in_units(value, TIMES),
    Shape.SIZE: lambda value: _in_units(value, SIZES),
    Shape.INTEGER: str,
    Shape.NUMBER: _plain,
    Shape.LINES: "\n".join,
    Shape.PAIRS: lambda value: "\n".join(f"{name}: {word}" for name, word in value.items()),
    Shape.JSON: lambda value: json.dumps(value, ensure_ascii=False, indent=1) if value else "",
}
EMPTY: dict[Shape, Any] = {Shape.LINES: [], Shape.PAIRS: {}}
