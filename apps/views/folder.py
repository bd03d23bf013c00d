"""One directory of the working set, and what the positions in a file's row mean.

A folder's row is one list of values, so that loading and writing it copies one list. Totals are settled lazily: changes gather in
`delta_*` until `settle_into_parent` carries them up.
"""

from collections.abc import Sequence, Set, Sized
from typing import Any, Generic, NamedTuple, TypeVar

from apps.views.store import nodes, tables
from fustor_schema import paths

T = TypeVar("T")
FileRow = tuple[Any, ...]
"""A row of the file table, in the order of `tables.FILE_COLUMNS`."""

NAME, KIND, SIZE, MTIME, CTIME, MODE, UID, GID, INODE, NLINK, FLAGS, OBSERVED, DECIDED, SESSION, RULE = range(1, 16)
META = slice(SIZE, NLINK + 1)
_POSITION = {name: number for number, name in enumerate(tables.DIRECTORY_STATE)}
_FILES, _DIRECTORIES, _BYTES = _POSITION["total_files"], _POSITION["total_directories"], _POSITION["total_bytes"]
_NEWEST, _LAST_CHANGE = _POSITION["newest_mtime"], _POSITION["last_change_at"]
_WORTH_READING_WHOLE = 3
SAME: FileRow = ()
"""Stands in `Folder.files` for a stored row that the one claim on its name repeats: nobody needs to see the row itself."""
_PLACEHOLDER = nodes.placeholder_state()


class Looked(NamedTuple):
    """Directories that were looked up already: their paths, and the rows (as of `nodes.directories`) of those that stand."""

    paths: Set[str] = frozenset()
    rows: Sequence[Any] = ()


class _Value(Generic[T]):
    """An attribute of `Folder` that lives in its row of values: loading and writing a folder then copy one list."""

    def __init__(self, name: str) -> None:
        self._position = _POSITION[name]

    def __get__(self, folder: "Folder", owner: type | None = None) -> T:
        value: T = folder.values[self._position]
        return value

    def __set__(self, folder: "Folder", value: T) -> None:
        folder.values[self._position] = value


class Folder:
    """One directory of the working set.

    `values`: its row, in the order of `tables.DIRECTORY_STATE`, totals settled. `files`: what is stored of the names that the batch
    touches. `told`: an event whose file rows are stored just as it tells them, and how many they are. `written` and `removed`:
    names whose rows must be written or deleted. `delta_*`: what has not been carried up yet.
    """

    __slots__ = (
        "delta_bytes",
        "delta_directories",
        "delta_files",
        "depth",
        "dirty",
        "files",
        "id",
        "is_new",
        "is_repeated",
        "name",
        "owner_deltas",
        "parent",
        "path",
        "removed",
        "stale_newest",
        "told",
        "values",
        "written",
    )

    flags = _Value[int]("flags")
    observed_at = _Value[int]("observed_at")
    decided_at = _Value[int]("decided_at")
    session = _Value[int]("session")
    rule = _Value[int]("rule")
    total_files = _Value[int]("total_files")
    total_directories = _Value[int]("total_directories")
    total_bytes = _Value[int]("total_bytes")
    newest_mtime = _Value[float | None]("newest_mtime")
    last_change_at = _Value[int]("last_change_at")
    listed_at = _Value[int]("listed_at")
    listed_session = _Value[int]("listed_session")
    confirmed_at = _Value[int]("confirmed_at")
    confirmed_session = _Value[int]("confirmed_session")
    unscanned = _Value[str]("unscanned")
    listing_digest = _Value[int]("listing_digest")

    def __init__(self, number: int, path: str, parent: "Folder | None", name: str, values: list[Any], *, is_new: bool) -> None:
        self.id, self.path, self.parent, self.name, self.values = number, path, parent, name, values
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.is_new = self.dirty = is_new
        self.is_repeated = False
        self.told = (-1, 0)
        self.delta_files = self.delta_directories = self.delta_bytes = 0
        self.stale_newest = False
        self.files: dict[str, FileRow] = {}
        self.written: set[str] | None = None
        self.removed: set[str] | None = None
        self.owner_deltas: dict[int, tuple[int, int]] | None = None

    @classmethod
    def placeholder(cls, number: int, path: str, parent: "Folder") -> "Folder":
        """A new directory of which only the path is known."""
        return cls(number, path, parent, paths.name(path), list(_PLACEHOLDER), is_new=True)

    @property
    def meta(self) -> tuple[Any, ...]:
        """size, mtime, ctime, mode, uid, gid, inode, nlink."""
        return tuple(self.values[:8])

    @meta.setter
    def meta(self, meta: tuple[Any, ...]) -> None:
        self.values[:8] = meta

    def add_owner(self, uid: int, files: int, size: int) -> None:
        """Count files and bytes of one owner, to be carried up with the totals (R47)."""
        if self.owner_deltas is None:
            self.owner_deltas = {}
        before = self.owner_deltas.get(uid, (0, 0))
        self.owner_deltas[uid] = (before[0] + files, before[1] + size)

    def is_worth_reading_whole(self, wanted: Sized) -> bool:
        """Whether these names are a good part of the stored files: one range of the table instead of a look-up for each."""
        return 0 < self.total_files <= len(wanted) * _WORTH_READING_WHOLE

    def holds(self, *, files: int) -> bool:
        """Whether so many files stand right in it, and no directories."""
        return self.total_files + self.delta_files == files and self.total_directories + self.delta_directories == 0

    def mark_written(self, name: str) -> None:
        """The row of this name must be written."""
        if self.written is None:
            self.written = {name}
        else:
            self.written.add(name)

    def mark_removed(self, name: str) -> None:
        """The row of this name must be deleted."""
        if self.written is not None:
            self.written.discard(name)
        if self.removed is None:
            self.removed = {name}
        else:
            self.removed.add(name)

    def settle_into_parent(self, now_ms: int) -> None:
        """Take what gathered here into the totals, and hand it on to the parent."""
        files, directories, size = self.delta_files, self.delta_directories, self.delta_bytes
        self.delta_files = self.delta_directories = self.delta_bytes = 0
        values = self.values
        values[_FILES] += files
        values[_DIRECTORIES] += directories
        values[_BYTES] += size
        values[_LAST_CHANGE] = max(values[_LAST_CHANGE], now_ms)
        self.dirty = True
        parent = self.parent
        if parent is None:
            return
        parent.delta_files += files
        parent.delta_directories += directories
        parent.delta_bytes += size
        newest, above = values[_NEWEST], parent.values[_NEWEST]
        if newest is not None and (above is None or newest > above):
            parent.values[_NEWEST] = newest
