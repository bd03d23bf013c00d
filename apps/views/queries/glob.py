"""Glob patterns, parsed once and rendered for each database. Pure. Same meaning as the shell: `*` any text, `?` one character,
`[a-z]`, `[!a-z]`; a `[` without its `]` is itself. `*` also crosses `/`, for patterns on whole paths.
"""

import re
from dataclasses import dataclass

SPECIAL = frozenset("*?[")
MAX_STARS = 8


class GlobError(ValueError):
    """A pattern that would cost too much to match; the text says why."""


@dataclass(frozen=True, slots=True)
class Literal:
    """This text."""

    text: str


@dataclass(frozen=True, slots=True)
class One:
    """Any one character."""


@dataclass(frozen=True, slots=True)
class Many:
    """Any text, also none."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One character of the ranges (both ends included), or none of them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool


Piece = Literal | One | Many | Choice


def is_glob(pattern: str) -> bool:
    """True when a pattern has a character that means more than itself."""
    return not SPECIAL.isdisjoint(pattern)


def parse(pattern: str) -> tuple[Piece, ...]:
    """The pieces of a pattern. Raises GlobError for more than 8 stars."""
    pieces: list[Piece] = []
    at = 0
    while at < len(pattern):
        piece, at = _piece(pattern, at)
        _append(pieces, piece)
    if sum(isinstance(piece, Many) for piece in pieces) > MAX_STARS:
        raise GlobError(f"pattern has more than {MAX_STARS} stars")
    return tuple(pieces)


def _piece(pattern: str, at: int) -> tuple[Piece, int]:
    char = pattern[at]
    if char == "*":
        return Many(), at + 1
    if char == "?":
        return One(), at + 1
    if char == "[":
        start = at + 2 if pattern[at + 1 : at + 2] == "!" else at + 1
        end = pattern.find("]", start + 1)  # a `]` in first place is itself
        if end > start:
            return _choice(pattern[start:end], negated=start == at + 2), end + 1
    return Literal(char), at + 1


def _choice(body: str, *, negated: bool) -> Choice:
    ranges = []
    at = 0
    while at < len(body):
        if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
            ranges.append((body[at], body[at + 2]))
            at += 3
        else:
            ranges.append((body[at], body[at]))
            at += 1
    return Choice(tuple((low, high) for low, high in ranges if low <= high), negated)


def _append(pieces: list[Piece], piece: Piece) -> None:
    last = pieces[-1] if pieces else None
    if isinstance(piece, Literal) and isinstance(last, Literal):
        pieces[-1] = Literal(last.text + piece.text)
    elif not (isinstance(piece, Many) and isinstance(last, Many)):
        pieces.append(piece)


def literals(pieces: tuple[Piece, ...]) -> list[str]:
    """Texts that every match holds: what an index can look for."""
    return [piece.text for piece in pieces if isinstance(piece, Literal)]


def regex(pieces: tuple[Piece, ...]) -> str:
    """An anchored regular expression that Python and PostgreSQL read alike."""
    return "^" + "".join(_regex_piece(piece) for piece in pieces) + "$"


def _regex_piece(piece: Piece) -> str:
    if isinstance(piece, Literal):
        return "".join(_regex_char(char) for char in piece.text)
    if isinstance(piece, One):
        return r"[\s\S]"
    if isinstance(piece, Many):
        return r"[\s\S]*"
    if not piece.ranges:  # only reversed ranges were given: matches nothing, or anything
        return r"[\s\S]" if piece.negated else r"(?!)"
    body = "".join(_regex_char(low) if low == high else f"{_regex_char(low)}-{_regex_char(high)}" for low, high in piece.ranges)
    return f"[{'^' if piece.negated else ''}{body}]"


def _regex_char(char: str) -> str:
    return char if char.isalnum() or not char.isascii() else re.escape(char)


def sqlite_glob(pieces: tuple[Piece, ...]) -> str:
    """The pattern of SQLite's GLOB operator, whose special characters can only be quoted by a one-character choice."""
    return "".join(_sqlite_piece(piece) for piece in pieces)


def _sqlite_piece(piece: Piece) -> str:
    if isinstance(piece, Literal):
        return "".join(f"[{char}]" if char in SPECIAL else char for char in piece.text)
    if isinstance(piece, One):
        return "?"
    if isinstance(piece, Many):
        return "*"
    if not piece.ranges:
        return "?" if piece.negated else "[^\x01-\U0010ffff]"
    if not piece.negated and set(piece.ranges) == {("^", "^")}:
        return "^"  # `[^…]` would negate
    return f"[{'^' if piece.negated else ''}{_sqlite_choice(piece)}]"


def _sqlite_choice(piece: Choice) -> str:
    """`]` must come first, a range from `^` never first, and `-` only between two ends, so each character is a range (`a-a`)."""
    ranges = sorted(piece.ranges, key=lambda ends: (ends != ("]", "]"), ends[0] == "^"))
    body = "".join("]" if ends == ("]", "]") and number == 0 else f"{ends[0]}-{ends[1]}" for number, ends in enumerate(ranges))
    if body.startswith("^") and not piece.negated:
        highest = max(high for _, high in ranges)
        return f"{highest}-{highest}{body}"
    return body
