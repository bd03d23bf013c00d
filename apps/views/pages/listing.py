"""One directory as the explorer shows it: directories first, then the rest, sorted and paged, in a constant number of queries.

By name, a page begins behind a name, so a page of a directory with a million entries costs as much as any. By size or time the
directory has to be sorted as a whole, so that is offered up to MOST_SORTED entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet, Sum

from apps.views.models import Directory, File, Flag, NodeKind, Tree
from fustor_schema import paths

PAGE_SIZE = 200
BRANCH_SIZE = 500
MOST_SORTED = 20_000
BY_NAME = "name"
SORTS = {
    "size": ("-total_bytes", "-size"),
    "mtime": ("-newest_mtime", "-mtime"),
}


@dataclass(frozen=True)
class Entry:
    """One row of a listing. `octets` and `files` of a directory count everything below it; `share` is of the
    largest entry, `mtime` of a directory is that of the newest file below it."""

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
    """Where a page lies: behind an entry, or before it (`back`). Directories come first; without a name it is the beginning."""

    is_file: bool = False
    name: str = ""
    back: bool = False

    @classmethod
    def read(cls, text: str) -> "Spot":
        """From `?at=`; the beginning for anything that is none."""
        back, text = text.startswith("-"), text.removeprefix("-")
        try:
            name = paths.name(paths.from_base64(text[1:])) if text[:1] in ("d", "f") else ""
        except paths.PathError:
            name = ""
        return cls(text[0] == "f", name, back) if name else cls()

    @property
    def text(self) -> str:
        """As the address carries it."""
        return ("-" if self.back else "") + ("f" if self.is_file else "d") + paths.to_base64(paths.join(paths.ROOT, self.name))


@dataclass(frozen=True)
class Listing:
    """A page of one directory. `sort`: by what it is. `before`, `after`: where the pages beside it begin, by name; the others
    have a `number` of `pages`."""

    directory: Directory
    entries: tuple[Entry, ...]
    total: int
    sort: str
    sortable: bool
    before: str | None = None
    after: str | None = None
    number: int = 1
    pages: int = 1

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


def listing(tree: Tree, key: str, sort: str, number: int, at: Spot) -> Listing | None:
    """A page of the directory at a path; None when the view holds no directory there."""
    directory = Directory.objects.filter(tree=tree, path=key).first()
    if directory is None:
        return None
    total = _entry_count(directory)
    sortable = total <= MOST_SORTED
    if sort in SORTS and sortable:
        return _sorted_page(directory, total, sort, number)
    return _named_page(directory, total, at, sortable=sortable)


def _entry_count(directory: Directory) -> int:
    """How many entries lie directly in a directory: from the totals, for counting a million files takes too long."""
    below = Directory.objects.filter(parent=directory).aggregate(count=Count("pk"), files=Sum("total_files"))
    folders: int = below["count"]
    return folders + directory.total_files - (below["files"] or 0)


def _sorted_page(directory: Directory, total: int, sort: str, number: int) -> Listing:
    by_directory, by_file = SORTS[sort]
    below = Directory.objects.filter(parent=directory).order_by(by_directory, "name")
    files = File.objects.filter(directory=directory).order_by(by_file, "name")
    folders = below.count()
    pages = max(1, -(-total // PAGE_SIZE))
    number = min(max(1, number), pages)
    start = (number - 1) * PAGE_SIZE
    shown = [_directory_entry(row) for row in below[start : start + PAGE_SIZE]]
    rest = PAGE_SIZE - len(shown)
    first = max(0, start - folders)
    shown += [_file_entry(directory.path, row) for row in files[first : first + rest]] if rest else []
    return Listing(directory, _with_shares(shown), total, sort, True, number=number, pages=pages)


def _named_page(directory: Directory, total: int, at: Spot, *, sortable: bool) -> Listing:
    found = _before(directory, at, PAGE_SIZE + 1) if at.back else _behind(directory, at, PAGE_SIZE + 1)
    if at.name and len(found) < (PAGE_SIZE if at.back else 1):  # entries went meanwhile: begin at the beginning
        return _named_page(directory, total, Spot(), sortable=sortable)
    shown = found[-PAGE_SIZE:] if at.back else found[:PAGE_SIZE]
    more = len(found) > PAGE_SIZE
    before = _spot_of(shown[0], back=True).text if (more if at.back else at.name) else None
    after = _spot_of(shown[-1]).text if at.back or more else None
    return Listing(directory, _with_shares(shown), total, BY_NAME, sortable, before, after)


def _behind(directory: Directory, spot: Spot, count: int) -> list[Entry]:
    """The entries behind a place, by name, directories first."""
    found: list[Entry] = []
    if not spot.is_file:
        below = Directory.objects.filter(parent=directory, name__gt=spot.name).order_by("name")
        found = [_directory_entry(row) for row in below[:count]]
    files = File.objects.filter(directory=directory, name__gt=spot.name if spot.is_file else "").order_by("name")
    rest = count - len(found)
    return found + [_file_entry(directory.path, row) for row in files[:rest]] if rest else found


def _before(directory: Directory, spot: Spot, count: int) -> list[Entry]:
    """The last entries before a place, in the same order."""
    found: list[Entry] = []
    below = Directory.objects.filter(parent=directory).order_by("-name")
    if spot.is_file:
        files = File.objects.filter(directory=directory, name__lt=spot.name).order_by("-name")
        found = [_file_entry(directory.path, row) for row in files[:count]]
    else:
        below = below.filter(name__lt=spot.name)
    rest = count - len(found)
    found += [_directory_entry(row) for row in below[:rest]] if rest else []
    return found[::-1]


def _spot_of(entry: Entry, *, back: bool = False) -> Spot:
    return Spot(not entry.is_directory, paths.name(entry.key), back)


def branch(tree: Tree, key: str) -> QuerySet[Directory]:
    """The directories directly below a path, by name, at most BRANCH_SIZE of them."""
    return Directory.objects.filter(tree=tree, parent__path=key, parent__tree=tree).order_by("name")[:BRANCH_SIZE]


def _directory_entry(row: Directory) -> Entry:
    return Entry(
        kind=NodeKind.DIRECTORY.label,
        octets=row.total_bytes,
        files=row.total_files,
        mtime=row.newest_mtime or row.mtime,
        unscanned=row.unscanned,
        **_shared(row, row.path),
    )


def _file_entry(directory: str, row: File) -> Entry:
    kind = NodeKind(row.kind).label
    return Entry(
        kind=kind, octets=row.size, files=None, mtime=row.mtime, unscanned="", **_shared(row, paths.join(directory, row.name))
    )


def _shared(row: Directory | File, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": paths.display(row.name),
        "suspect": bool(row.flags & Flag.SUSPECT),
        "partial": bool(row.flags & Flag.PARTIAL),
        "blind": bool(row.flags & Flag.BLIND),
        "placeholder": bool(row.flags & Flag.PLACEHOLDER),
        "decided_at": row.decided_at,
    }


def _with_shares(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    largest = max((entry.octets for entry in entries), default=0)
    if not largest:
        return tuple(entries)
    return tuple(replace(entry, share=entry.octets * 100 // largest) for entry in entries)
