"""One directory as the explorer shows it: directories first, then the rest, sorted and paged, in a constant number of queries.

A page begins behind an entry, so what comes and goes meanwhile shifts nothing, and by name a page of a directory with a million
entries costs as much as any. By size or time the whole directory has to be sorted, so that is offered up to MOST_SORTED entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Count, F, Q, QuerySet, Sum

from apps.views.models import Directory, File, Flag, NodeKind, Tree
from fustor_schema import paths

PAGE_SIZE = 200
BRANCH_SIZE = 500
MOST_SORTED = 20_000
BY_NAME = "name"
# by what directories and files are sorted, the most first
SORTS: dict[str, tuple[str, str]] = {
    "size": ("total_bytes", "size"),
    "mtime": ("newest_mtime", "mtime"),
}
Value = int | float | None
Row = TypeVar("Row", Directory, File)


@dataclass(frozen=True)
class Entry:
    """One row of a listing. `octets` and `files` of a directory count everything below it; `share` is of the
    largest entry, `mtime` of a directory is that of the newest file below it; `value` is what it is sorted by, None by name."""

    key: str
    name: str
    kind: str
    octets: int
    files: int | None
    mtime: float | None
    suspect: bool
    partial: bool
    blind: bool
    unscanned: str
    placeholder: bool
    decided_at: int
    value: Value = None
    share: int = 0

    @property
    def is_directory(self) -> bool:
        """Can be opened."""
        return self.kind == NodeKind.DIRECTORY.label

    @property
    def address(self) -> str:
        """The query parameter that names this path without loss."""
        return address(self.key)


@dataclass(frozen=True)
class Spot:
    """Where a page lies: behind an entry, or before it (`back`). Directories come first; without a name it is the beginning.
    `value`: what the entry was sorted by."""

    is_file: bool = False
    name: str = ""
    back: bool = False
    value: Value = None

    @classmethod
    def read(cls, text: str) -> "Spot":
        """From `?at=`; the beginning for anything that is none."""
        back, text = text.startswith("-"), text.removeprefix("-")
        value, _, name = text[1:].rpartition("~")
        try:
            found = paths.name(paths.from_base64(name)) if text[:1] in ("d", "f") else ""
            return cls(text[0] == "f", found, back, _number(value)) if found else cls()
        except ValueError:  # what is no path is one, too
            return cls()

    @property
    def text(self) -> str:
        """As the address carries it."""
        value = "" if self.value is None else f"{self.value!r}~"
        return ("-" if self.back else "") + ("f" if self.is_file else "d") + value + paths.to_base64(f"/{self.name}")


def _number(text: str) -> Value:
    """A value as `Spot.text` writes it. Raises ValueError for what no database holds."""
    if not text:
        return None
    value = int(text) if text.lstrip("-").isdecimal() else float(text)
    if not abs(value) < 2**63:
        raise ValueError(f"no size and no time: {text:.30}")
    return value


@dataclass(frozen=True)
class Listing:
    """A page of one directory. `sort`: by what it is. `before`, `after`: where the pages beside it begin."""

    directory: Directory
    entries: tuple[Entry, ...]
    total: int
    sort: str
    sortable: bool
    before: str | None = None
    after: str | None = None

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Of the directory."""
        return crumbs(self.directory.path)


def crumbs(key: str) -> list[tuple[str, str]]:
    """(name, address) of every directory above a path, the root first, then itself."""
    return [(paths.display(paths.name(above)) or paths.ROOT, address(above)) for above in (*reversed(paths.ancestors(key)), key)]


def address(key: str) -> str:
    """`path=…`, or `path_b64=…` for a path that is not plain UTF-8 (R34)."""
    return urlencode({"path_b64": paths.to_base64(key)} if paths.is_escaped(key) else {"path": key})


def listing(tree: Tree, key: str, sort: str, at: Spot) -> Listing | None:
    """A page of the directory at a path; None when the view holds no directory there."""
    directory = Directory.objects.filter(tree=tree, path=key).first()
    if directory is None:
        return None
    total = _entry_count(directory)
    sortable = total <= MOST_SORTED
    return _page(directory, total, sort if sort in SORTS and sortable else BY_NAME, at, sortable=sortable)


def _entry_count(directory: Directory) -> int:
    """How many entries lie directly in a directory: from the totals, for counting a million files takes too long."""
    below = Directory.objects.filter(parent=directory).aggregate(count=Count("pk"), files=Sum("total_files"))
    folders: int = below["count"]
    return folders + directory.total_files - (below["files"] or 0)


def _page(directory: Directory, total: int, sort: str, at: Spot, *, sortable: bool) -> Listing:
    found = _before(directory, sort, at, PAGE_SIZE + 1) if at.back else _behind(directory, sort, at, PAGE_SIZE + 1)
    if at.name and len(found) < (PAGE_SIZE if at.back else 1):  # entries went meanwhile: begin at the beginning
        return _page(directory, total, sort, Spot(), sortable=sortable)
    shown = found[-PAGE_SIZE:] if at.back else found[:PAGE_SIZE]
    more = len(found) > PAGE_SIZE
    before = _spot_of(shown[0], back=True).text if (more if at.back else at.name) else None
    after = _spot_of(shown[-1]).text if at.back or more else None
    return Listing(directory, _with_shares(shown), total, sort, sortable, before, after)


def _behind(directory: Directory, sort: str, spot: Spot, count: int) -> list[Entry]:
    """The entries behind a place, directories first."""
    of_directory, of_file = SORTS.get(sort, (None, None))
    found: list[Entry] = []
    if not spot.is_file:
        below = _onwards(Directory.objects.filter(parent=directory), of_directory, spot)
        found = [_directory_entry(row, of_directory) for row in below[:count]]
    files = _onwards(File.objects.filter(directory=directory), of_file, spot if spot.is_file else Spot())
    rest = count - len(found)
    return found + [_file_entry(directory.path, row, of_file) for row in files[:rest]] if rest else found


def _before(directory: Directory, sort: str, spot: Spot, count: int) -> list[Entry]:
    """The last entries before a place, in the same order."""
    of_directory, of_file = SORTS.get(sort, (None, None))
    found: list[Entry] = []
    if spot.is_file:
        files = _backwards(File.objects.filter(directory=directory), of_file, spot)
        found = [_file_entry(directory.path, row, of_file) for row in files[:count]]
    below = _backwards(Directory.objects.filter(parent=directory), of_directory, Spot() if spot.is_file else spot)
    rest = count - len(found)
    found += [_directory_entry(row, of_directory) for row in below[:rest]] if rest else []
    return found[::-1]


def _onwards(rows: "QuerySet[Row]", column: str | None, spot: Spot) -> "QuerySet[Row]":
    """Rows behind a place: by name, or the largest first and what has no value last."""
    if column is None:
        return rows.filter(name__gt=spot.name).order_by("name")
    rows = rows.order_by(F(column).desc(nulls_last=True), "name")
    if not spot.name:
        return rows
    if spot.value is None:
        return rows.filter(Q(**{column: None}), name__gt=spot.name)
    alike = Q(**{column: spot.value}, name__gt=spot.name)
    return rows.filter(alike | Q(**{f"{column}__lt": spot.value}) | Q(**{column: None}))


def _backwards(rows: "QuerySet[Row]", column: str | None, spot: Spot) -> "QuerySet[Row]":
    """Rows before a place (without one: all), the nearest first."""
    if column is None:
        return (rows.filter(name__lt=spot.name) if spot.name else rows).order_by("-name")
    rows = rows.order_by(F(column).asc(nulls_first=True), "-name")
    if not spot.name:
        return rows
    alike = Q(**{column: spot.value}, name__lt=spot.name)
    return rows.filter(alike | (Q(**{f"{column}__isnull": False}) if spot.value is None else Q(**{f"{column}__gt": spot.value})))


def _spot_of(entry: Entry, *, back: bool = False) -> Spot:
    return Spot(not entry.is_directory, paths.name(entry.key), back, entry.value)


def branch(tree: Tree, key: str) -> QuerySet[Directory]:
    """The directories directly below a path, by name, at most BRANCH_SIZE of them."""
    return Directory.objects.filter(tree=tree, parent__path=key, parent__tree=tree).order_by("name")[:BRANCH_SIZE]


def _directory_entry(row: Directory, sorted_by: str | None) -> Entry:
    return Entry(
        kind=NodeKind.DIRECTORY.label,
        octets=row.total_bytes,
        files=row.total_files,
        mtime=row.newest_mtime or row.mtime,
        unscanned=row.unscanned,
        **_shared(row, row.path, sorted_by),
    )


def _file_entry(directory: str, row: File, sorted_by: str | None) -> Entry:
    return Entry(
        kind=NodeKind(row.kind).label,
        octets=row.size,
        files=None,
        mtime=row.mtime,
        unscanned="",
        **_shared(row, paths.join(directory, row.name), sorted_by),
    )


def _shared(row: Directory | File, key: str, sorted_by: str | None) -> dict[str, Any]:
    return {
        "key": key,
        "name": paths.display(row.name),
        "suspect": bool(row.flags & Flag.SUSPECT),
        "partial": bool(row.flags & Flag.PARTIAL),
        "blind": bool(row.flags & Flag.BLIND),
        "placeholder": bool(row.flags & Flag.PLACEHOLDER),
        "decided_at": row.decided_at,
        "value": getattr(row, sorted_by) if sorted_by else None,
    }


def _with_shares(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    largest = max((entry.octets for entry in entries), default=0)
    if not largest:
        return tuple(entries)
    return tuple(replace(entry, share=entry.octets * 100 // largest) for entry in entries)
