"""One directory as the explorer shows it: directories first, then the rest, sorted and paged, in a constant number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet

from apps.views.models import Directory, File, Flag, NodeKind, Tree
from fustor_schema import paths

PAGE_SIZE = 200
BRANCH_SIZE = 500
SORTS = {
    "name": ("name", "name"),
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
class Listing:
    """A page of one directory."""

    directory: Directory
    entries: tuple[Entry, ...]
    number: int
    pages: int
    total: int

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """(name, address) of every directory above, the root first, then itself."""
        keys = [*reversed(paths.ancestors(self.directory.path)), self.directory.path]
        return [(paths.display(paths.name(key)) or paths.ROOT, address(key)) for key in keys]


def address(key: str) -> str:
    """`path=…`, or `path_b64=…` for a path that is not plain UTF-8 (R34)."""
    return urlencode({"path_b64": paths.to_base64(key)} if paths.is_escaped(key) else {"path": key})


def listing(tree: Tree, key: str, sort: str, number: int) -> Listing | None:
    """A page of the directory at a path; None when the view holds no directory there."""
    directory = Directory.objects.filter(tree=tree, path=key).first()
    if directory is None:
        return None
    by_directory, by_file = SORTS.get(sort, SORTS["name"])
    below = Directory.objects.filter(parent=directory).order_by(by_directory, "name")
    files = File.objects.filter(directory=directory).order_by(by_file, "name")
    folders = below.count()
    total = folders + files.count()
    pages = max(1, -(-total // PAGE_SIZE))
    number = min(max(1, number), pages)
    start = (number - 1) * PAGE_SIZE
    shown = [_directory_entry(row) for row in below[start : start + PAGE_SIZE]]
    rest = PAGE_SIZE - len(shown)
    first = max(0, start - folders)
    shown += [_file_entry(directory.path, row) for row in files[first : first + rest]] if rest else []
    return Listing(directory, _with_shares(shown), number, pages, total)


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
