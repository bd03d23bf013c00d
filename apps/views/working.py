"""The working set: the part of one tree that one batch touches, loaded in a few statements, changed in memory, written in a few.

`apply` and `audits` decide; this module knows where things are and keeps totals right. Totals of a folder are settled lazily:
changes gather per folder and travel up the ancestors only when somebody needs them or the set is flushed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from apps.views.folder import MTIME, NAME, SIZE, UID, FileRow, Folder, Looked
from apps.views.store import nodes
from fustor_schema import paths

NOT_LOOKED = Looked()


class WorkingSet:
    """What one batch has loaded of one tree. `root` always exists."""

    def __init__(self, tree_id: int, wanted: Iterable[str], now_ms: int, looked: Looked = NOT_LOOKED) -> None:
        self.tree_id, self.now_ms = tree_id, now_ms
        self.folders: dict[str, Folder] = {}
        self.touched: set[Folder] = set()
        self.settled_owners: dict[int, dict[int, tuple[int, int]]] = {}
        self._spare_ids: list[int] = []
        self._id_chunk = 8
        self._add(looked.rows)
        needed = set(wanted)
        self.load_exactly((needed | paths.above_all(needed)) - looked.paths)
        self.root = self.folders[paths.ROOT]

    def load(self, wanted: Iterable[str]) -> None:
        """Load the directories among these paths, and all their ancestors. Paths of files, or of nothing, are no harm."""
        needed = set(wanted)
        self.load_exactly(needed | paths.above_all(needed))

    def load_exactly(self, wanted: Iterable[str]) -> None:
        """Load the directories among these paths; their parents are in the set."""
        unknown = [path for path in wanted if path not in self.folders]
        if unknown:
            self._add(nodes.directories(self.tree_id, unknown))

    def _add(self, rows: Sequence[Any]) -> None:
        folders = self.folders
        for number, path, _, name, *values in sorted(rows, key=_path_length):
            parent = folders[path[: -len(name) - 1] or paths.ROOT] if name else None
            folders[path] = Folder(number, path, parent, name, values, is_new=False)

    def load_files(self, names: dict[Folder, list[str]]) -> None:
        """Load what is stored under these names of these stored folders.

        A folder of which the batch names a good part is read whole.
        """
        whole: list[int] = []
        pairs: list[tuple[int, str]] = []
        by_id: dict[int, dict[str, FileRow]] = {}
        for folder, wanted in names.items():
            if not folder.total_files:
                continue
            by_id[folder.id] = folder.files
            if folder.is_worth_reading_whole(wanted):
                whole.append(folder.id)
            else:
                number = folder.id
                pairs.extend([(number, name) for name in wanted])
        for row in nodes.files(pairs):
            by_id[row[0]][row[1]] = row
        for row in nodes.files_of(whole):
            by_id[row[0]][row[1]] = row

    def add_folder(self, path: str) -> Folder:
        """A new directory below its parent, which is in the set. It starts as a placeholder."""
        parent = self.folders[paths.parent(path)]
        folder = Folder.placeholder(self._new_id(), path, parent)
        self.folders[path] = folder
        parent.delta_directories += 1
        self._enter(parent)
        self.touched.add(folder)
        return folder

    def put_file(self, folder: Folder, name: str, row: FileRow, before: FileRow | None) -> None:
        """Store a file row. `before`: what was stored under the name."""
        folder.files[name] = row
        folder.mark_written(name)
        size, mtime = row[SIZE], row[MTIME]
        if before is None:
            folder.delta_files += 1
            folder.delta_bytes += size
        else:
            folder.delta_bytes += size - before[SIZE]
            if before[MTIME] is not None and before[MTIME] == folder.newest_mtime and (mtime is None or mtime < before[MTIME]):
                folder.stale_newest = True
        if mtime is not None and (folder.newest_mtime is None or mtime > folder.newest_mtime):
            folder.newest_mtime, folder.stale_newest = mtime, False
        self._enter(folder)

    def add_files(self, folder: Folder, rows: list[FileRow]) -> None:
        """Store files of a directory that is new in this set, under names that it does not hold yet."""
        if not rows:
            return
        added = {row[NAME]: row for row in rows}
        folder.files.update(added)
        folder.written = folder.written | set(added) if folder.written else set(added)
        folder.delta_files += len(rows)
        folder.delta_bytes += sum([row[SIZE] for row in rows])
        newest = max([row[MTIME] for row in rows if row[MTIME] is not None], default=None)
        if newest is not None and (folder.newest_mtime is None or newest > folder.newest_mtime):
            folder.newest_mtime, folder.stale_newest = newest, False
        for uid in {row[UID] for row in rows} - {None}:
            sizes = [row[SIZE] for row in rows if row[UID] == uid]
            folder.add_owner(uid, len(sizes), sum(sizes))
        self._enter(folder)

    def drop_file(self, folder: Folder, name: str) -> FileRow:
        """Remove a file row that is in the set; the row that was."""
        row = folder.files.pop(name)
        folder.mark_removed(name)
        folder.delta_files -= 1
        folder.delta_bytes -= row[SIZE]
        if row[MTIME] is not None and row[MTIME] == folder.newest_mtime:
            folder.stale_newest = True
        self._enter(folder)
        return row

    def drop_folder(self, folder: Folder) -> None:
        """Remove a directory with all below it, in the set and in the store."""
        self.settle()
        parent = folder.parent
        if parent is None:
            raise ValueError("the root stays (R35)")
        parent.delta_files -= folder.total_files
        parent.delta_directories -= folder.total_directories + 1
        parent.delta_bytes -= folder.total_bytes
        for uid, (files, size) in self._owners(folder).items():
            parent.add_owner(uid, -files, -size)
        if folder.newest_mtime is not None and folder.newest_mtime == parent.newest_mtime:
            parent.stale_newest = True
        self._enter(parent)
        is_leaf = folder.total_directories == 0
        for path in [folder.path] if is_leaf else [p for p in self.folders if paths.is_within(p, folder.path)]:
            self.touched.discard(self.folders.pop(path))
        if not folder.is_new:
            nodes.delete_subtree(
                self.tree_id, folder.id, folder.path, is_leaf=is_leaf, is_empty=is_leaf and folder.total_files == 0
            )

    def move_folder(self, folder: Folder, target: str) -> None:
        """Move a directory with all below it under a new path, whose parent is in the set and where nothing stands."""
        self.settle()
        old_parent, new_parent, origin = folder.parent, self.folders[paths.parent(target)], folder.path
        if old_parent is None:
            raise ValueError("the root stays (R35)")
        owners = self._owners(folder)
        for parent, sign in ((old_parent, -1), (new_parent, 1)):
            parent.delta_files += sign * folder.total_files
            parent.delta_directories += sign * (folder.total_directories + 1)
            parent.delta_bytes += sign * folder.total_bytes
            for uid, (files, size) in owners.items():
                parent.add_owner(uid, sign * files, sign * size)
            self._enter(parent)
        if folder.newest_mtime is not None and folder.newest_mtime == old_parent.newest_mtime:
            old_parent.stale_newest = True
        # the folder's own newest mtime reaches its new ancestors when totals are settled
        self.touched.add(folder)
        folder.parent, folder.name = new_parent, paths.name(target)
        for path in sorted(path for path in self.folders if paths.is_within(path, origin)):
            moved = self.folders.pop(path)
            moved.path = target + path[len(origin) :]
            moved.depth = moved.parent.depth + 1 if moved.parent else 0
            self.folders[moved.path] = moved
        nodes.move_subtree(self.tree_id, origin, target, folder.id, new_parent.id)

    def _enter(self, folder: Folder) -> None:
        """What stands in a directory changes: totals are to be settled, and no listing is known to tell just that."""
        self.touched.add(folder)
        folder.listing_digest = 0

    def _owners(self, folder: Folder) -> dict[int, tuple[int, int]]:
        """Files and bytes by owner below a directory: what is stored, and what this batch added so far."""
        totals = {} if folder.is_new else nodes.owner_totals(folder.id)
        for uid, (files, size) in self.settled_owners.get(folder.id, {}).items():
            before = totals.get(uid, (0, 0))
            totals[uid] = (before[0] + files, before[1] + size)
        return totals

    def settle(self) -> None:
        """Carry what gathered in folders up to the root, so that totals of every folder of the set are right."""
        levels: dict[int, set[Folder]] = {}
        for folder in self.touched:
            levels.setdefault(folder.depth, set()).add(folder)
        for depth in range(max(levels, default=-1), -1, -1):
            for folder in levels.get(depth, ()):
                if folder.owner_deltas:
                    self._settle_owners(folder)
                folder.settle_into_parent(self.now_ms)
                if folder.parent is not None:
                    levels.setdefault(depth - 1, set()).add(folder.parent)
        self.touched.clear()

    def _settle_owners(self, folder: Folder) -> None:
        kept = self.settled_owners.setdefault(folder.id, {})
        for uid, (files, size) in (folder.owner_deltas or {}).items():
            before = kept.get(uid, (0, 0))
            kept[uid] = (before[0] + files, before[1] + size)
            if folder.parent is not None:
                folder.parent.add_owner(uid, files, size)
        folder.owner_deltas = None

    def flush(self) -> None:
        """Write everything that changed."""
        self.settle()
        folders = list(self.folders.values())
        nodes.delete_files(
            [(f.id, name) for f in folders if f.removed and not f.is_new for name in f.removed - (f.written or set())]
        )
        nodes.upsert_files([f.files[name] for f in folders if f.written for name in f.written])
        self._refresh_newest()
        nodes.insert_directories(
            [(f.id, self.tree_id, f.path, f.parent.id if f.parent else None, f.name, *f.values) for f in folders if f.is_new]
        )
        nodes.update_directories([(f.id, *f.values) for f in folders if f.dirty and not f.is_new])
        present = {folder.id for folder in folders}
        nodes.add_owner_totals(
            [
                (directory_id, uid, files, size)
                for directory_id, owners in self.settled_owners.items()
                if directory_id in present
                for uid, (files, size) in owners.items()
            ]
        )
        self.settled_owners.clear()
        for folder in folders:
            folder.is_new = folder.dirty = False
            folder.written = folder.removed = None

    def _refresh_newest(self) -> None:
        """Find the newest mtime anew where the row that held it went or grew older; upwards only as far as it mattered."""
        stale = [folder for folder in self.folders.values() if folder.stale_newest]
        while stale:
            depth = max(folder.depth for folder in stale)
            level = [folder for folder in stale if folder.depth == depth]
            stale = [folder for folder in stale if folder.depth != depth]
            found = self._newest_of(level)
            for folder in level:
                before, folder.newest_mtime = folder.newest_mtime, found.get(folder.id)
                folder.stale_newest, folder.dirty = False, True
                above = folder.parent
                if above is not None and above.newest_mtime == before != folder.newest_mtime and not above.stale_newest:
                    above.stale_newest = True
                    stale.append(above)

    def _newest_of(self, level: list[Folder]) -> dict[int, float]:
        """The newest mtime below each of these folders; folders in memory know better than their stored rows."""
        held = nodes.newest_that_holds([folder.id for folder in level])
        unchanged = {folder.id for folder in level if held.get(folder.id) == folder.newest_mtime}
        wanted = [folder.id for folder in level if folder.id not in unchanged]
        found = nodes.newest_mtimes(wanted, [folder.id for folder in self.folders.values()]) if wanted else {}
        found.update({number: held[number] for number in unchanged})
        in_level = {folder.id for folder in level}
        for child in self.folders.values():
            above = child.parent
            if above is not None and above.id in in_level and child.newest_mtime is not None:
                found[above.id] = max(child.newest_mtime, found.get(above.id, child.newest_mtime))
        return found

    def _new_id(self) -> int:
        if not self._spare_ids:
            self._id_chunk *= 2
            self._spare_ids = list(nodes.new_directory_ids(self._id_chunk))
            self._spare_ids.reverse()
        return self._spare_ids.pop()


def _path_length(row: Any) -> int:
    return len(row[1])
