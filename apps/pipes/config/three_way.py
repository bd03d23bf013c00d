"""Two edits of one configuration put together: what I changed, on top of what others changed meanwhile. Pure, on plain values.

Drafts and stale forms use it: where only one side changed a field, that change counts; where both did, differently, it is a
collision for a person to decide.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from apps.pipes.config.document import Document, from_plain, to_plain


class Side(StrEnum):
    """Whose value counts where both changed the same field."""

    MINE = "mine"
    THEIRS = "theirs"


class _Absent:
    """Stands for a field or object that is not there; None is a value."""


ABSENT: Final = _Absent()


@dataclass(frozen=True)
class Collision:
    """One place that both sides changed. A value of None: not there (deleted, or never made)."""

    where: str
    base: Any
    mine: Any
    theirs: Any


@dataclass(frozen=True)
class Merged:
    """The document with both edits; where they collide it holds the value of the side that was preferred."""

    document: Document
    collisions: tuple[Collision, ...]


def merge_documents(base: Document, mine: Document, theirs: Document, prefer: Side = Side.THEIRS) -> Merged:
    """My edits of `base` on top of `theirs`, field by field."""
    plain, collisions = merge_values(to_plain(base), to_plain(mine), to_plain(theirs), prefer)
    return Merged(from_plain(plain, Document), collisions)


def merge_values(base: Any, mine: Any, theirs: Any, prefer: Side = Side.THEIRS) -> tuple[Any, tuple[Collision, ...]]:
    """Any three plain values of the same shape; mappings are merged key by key, everything else as a whole."""
    collisions: list[Collision] = []
    return _merged(base, mine, theirs, prefer, "", collisions), tuple(collisions)


def _merged(base: Any, mine: Any, theirs: Any, prefer: Side, where: str, collisions: list[Collision]) -> Any:
    if mine in (theirs, base):
        return theirs
    if theirs == base:
        return mine
    if isinstance(mine, dict) and isinstance(theirs, dict):
        known = base if isinstance(base, dict) else {}
        return _merged_mapping(known, mine, theirs, prefer, where, collisions)
    collisions.append(Collision(where, _shown(base), _shown(mine), _shown(theirs)))
    return mine if prefer == Side.MINE else theirs


def _merged_mapping(
    base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any], prefer: Side, where: str, collisions: list[Collision]
) -> dict[str, Any]:
    merged = {}
    for name in [*theirs, *(name for name in mine if name not in theirs)]:
        place = f"{where}.{name}" if where else name
        was, my, their = (side.get(name, ABSENT) for side in (base, mine, theirs))
        value = _merged(was, my, their, prefer, place, collisions)
        if value is not ABSENT:
            merged[name] = value
    return merged


def _shown(value: Any) -> Any:
    return None if value is ABSENT else value
