"""What a search looks for, as one condition on the name and path of a row, in the SQL of either database.

Default `auto`: the name holds the pattern literally; a pattern with `*`, `?` or `[` also counts as a glob (protocol V2), so a
look for `a*b` still finds a file of that name. A pattern with `/` is about the whole path, any other about the name: with
`*`, `?` or `[` it is a glob on the path, or exactly that path.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.runtime.problems import Invalid
from apps.views.models import Flag, NodeKind
from apps.views.queries import glob, sql
from fustor_schema import paths


class Mode(StrEnum):
    """How a pattern is read (R48)."""

    AUTO = "auto"
    LITERAL = "literal"
    GLOB = "glob"


@dataclass(frozen=True, slots=True)
class Filters:
    """What else a hit must be. Sizes in bytes, times in Unix seconds; None: not asked."""

    kind: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    suspect: bool | None = None
    agent_missing: bool | None = None
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A piece of SQL and its parameters."""

    text: str
    params: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern and how to read it."""

    text: str
    mode: Mode = Mode.AUTO
    ignore_case: bool = False

    def condition(self, name: str, path: str) -> Condition:
        """The condition on a row with these name and path expressions. Raises Invalid for a pattern that cannot be used."""
        ways: list[Condition] = []
        side = path if self._is_about_paths else name
        if self.mode is Mode.AUTO and self._is_about_paths and self._reads_glob:
            ways.append(Condition(f"{self._folded(side)} = %s", (self._folded_text(),)))
        elif self.mode is not Mode.GLOB:
            ways.append(self._literal(side))
        if self._reads_glob:
            ways.append(self._glob(side))
        return Condition("(" + " OR ".join(way.text for way in ways) + ")", tuple(p for way in ways for p in way.params))

    def texts(self) -> list[str]:
        """Texts of three characters or more that every hit's name holds, for the index; empty: it cannot help.

        A hit of the literal reading holds the literal parts of the glob too. Of a glob on paths only the end is sure to be in
        the name, for `*` and `?` cross `/`; of a text in paths nothing is: it may be in a directory above.
        """
        found = glob.literals(self._pieces()) if self._reads_glob else [self.text]
        if self._is_about_paths:
            found = [self._end().rpartition("/")[2]] if self._reads_glob else []
        return [text for text in found if len(text) >= 3]

    def directory(self) -> str:
        """The directory (a key) at or below which every hit lies, as far as the pattern begins literally; else the root."""
        pieces = self._pieces() if self._reads_glob and self._is_about_paths and not self.ignore_case else ()
        start = pieces[0].text if pieces and isinstance(pieces[0], glob.Literal) else ""
        return start.rpartition("/")[0] or paths.ROOT if start.startswith("/") else paths.ROOT

    def _end(self) -> str:
        """The literal text that every match ends with."""
        last = self._pieces()[-1]
        return last.text if isinstance(last, glob.Literal) else ""

    @property
    def _is_about_paths(self) -> bool:
        return "/" in self.text

    @property
    def _reads_glob(self) -> bool:
        return self.mode is Mode.GLOB or (self.mode is Mode.AUTO and glob.is_glob(self.text))

    def _literal(self, side: str) -> Condition:
        return Condition(sql.contains(self._folded(side)), (self._folded_text(),))

    def _glob(self, side: str) -> Condition:
        pieces = self._pieces()
        if sql.is_sqlite():
            return Condition(f"{self._folded(side)} GLOB %s", (glob.sqlite_glob(pieces),))
        return Condition(f"{self._folded(side)} ~ %s", (glob.regex(pieces),))

    def _pieces(self) -> tuple[glob.Piece, ...]:
        try:
            return glob.parse(self._folded_text())
        except glob.GlobError as error:
            raise Invalid(str(error), field="pattern") from error

    def _folded(self, side: str) -> str:
        return f"lower({side})" if self.ignore_case else side

    def _folded_text(self) -> str:
        # lower() of both databases folds ASCII letters only (binary and C collation)
        return "".join(c.lower() if c.isascii() else c for c in self.text) if self.ignore_case else self.text


def filter_condition(filters: Filters, alias: str, *, directories: bool) -> Condition | None:
    """The filters on rows of one of the node tables; None: no row of it can be a hit."""
    parts: list[str] = []
    params: list[Any] = []
    if filters.kind is not None:
        wants_directories = filters.kind == NodeKind.DIRECTORY.label
        if wants_directories != directories:
            return None
        if not directories:
            parts.append(f"{alias}.kind = %s")
            params.append(_kind_number(filters.kind))
    for column, operator, value in _bounds(filters):
        if value is not None:
            parts.append(f"{alias}.{column} {operator} %s")
            params.append(value)
    for flag, wanted in ((Flag.SUSPECT, filters.suspect), (Flag.BLIND, filters.agent_missing)):
        if wanted is not None:
            parts.append(f"({alias}.flags & {int(flag)}) {'<>' if wanted else '='} 0")
    return Condition(" AND ".join(parts) or "1 = 1", tuple(params))


def _bounds(filters: Filters) -> tuple[tuple[str, str, Any], ...]:
    return (
        ("size", ">=", filters.min_size),
        ("size", "<=", filters.max_size),
        ("mtime", ">=", filters.modified_after),
        ("mtime", "<=", filters.modified_before),
        ("uid", "=", filters.uid),
    )


def _kind_number(label: str) -> int:
    for kind in NodeKind:
        if kind.label == label:
            return int(kind)
    raise Invalid(f"{label} is no kind of node.", field="kind", fix=f"One of {', '.join(kind.label for kind in NodeKind)}.")
