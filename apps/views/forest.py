"""Forests, purely: which member is best, and the same path in several members side by side (R51).

A member that cannot be asked, or cannot be trusted just now, is `unknown`; only a member that is live may say `missing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class MemberState(StrEnum):
    """What a member knows of a path."""

    PRESENT = "present"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Best(StrEnum):
    """By what the best member is chosen; the most wins."""

    FILE_COUNT = "file_count"
    TOTAL_SIZE = "total_size"
    LATEST_MTIME = "latest_mtime"


@dataclass(frozen=True, slots=True)
class Copy:
    """A path in one member, as far as copies can differ. `files`/`directories`: totals of a directory."""

    kind: str
    size: int
    mtime: float | None
    files: int = 0
    directories: int = 0
    suspect: bool = False


def best_of(figures: Mapping[str, Mapping[str, float | None]], by: Best) -> str | None:
    """The member with the most of `by`; the first by name among equals; None when no member has a figure."""
    known = {member: value for member in sorted(figures) if (value := figures[member].get(by.value)) is not None}
    return max(known, key=lambda member: known[member]) if known else None


def state_of(copy: Copy | None, *, trusted: bool) -> MemberState:
    """What a member says of a path: absence counts only from a member that is trusted to know."""
    if copy is not None:
        return MemberState.PRESENT
    return MemberState.MISSING if trusted else MemberState.UNKNOWN


def differences(states: Mapping[str, MemberState], copies: Mapping[str, Copy]) -> list[str]:
    """In what the members differ: `presence`, `kind`, `size`, `modified_time`, `file_count`, `directory_count`.

    Unknown members differ in nothing: nobody knows.
    """
    found = ["presence"] if len({state for state in states.values() if state is not MemberState.UNKNOWN}) > 1 else []
    present = list(copies.values())
    if len({copy.kind for copy in present}) > 1:
        return [*found, "kind"]
    directories = bool(present) and present[0].kind == "directory"
    compared = _DIRECTORY_FIELDS if directories else _FILE_FIELDS
    return found + [name for name, field in compared if _differ(present, field)]


# the size of a directory's own inode and its mtime differ between any two copies
_DIRECTORY_FIELDS = (("file_count", "files"), ("directory_count", "directories"), ("size", "size"))
_FILE_FIELDS = (("size", "size"), ("modified_time", "mtime"))


def _differ(copies: Sequence[Copy], field: str) -> bool:
    return len({getattr(copy, field) for copy in copies}) > 1
