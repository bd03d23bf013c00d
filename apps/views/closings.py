"""Judges `dir_close`: the proof that a directory's listing is complete, or why it is not (R11, R12). Native agents only."""

from collections import defaultdict
from collections.abc import Iterable

from apps.views import removals, repeats, roots
from apps.views.claims import Origin, Said
from apps.views.context import Context
from apps.views.folder import Folder
from apps.views.repeats import Run
from apps.views.store import listings, nodes
from apps.views.upsert_directories import confirm
from fustor_schema import paths
from fustor_schema.listing import names_hash
from fustor_schema.sources import MessageSource
from fustor_schema.wire import FsRow


class Closings:
    """The closed directories of one batch. `proven`: directory → (names listed, start of the listing in server ms)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.proven: dict[Folder, tuple[set[str], int]] = {}
        self._said: Said | None = None

    def close(self, said: Said, path: str, row: FsRow, run: Run | None = None) -> None:
        """A listing ended. A failed one deletes nothing and says why; one whose names do not add up is no proof. `run`: the
        event, when that is the whole listing."""
        context, audit = self._context, self._context.audit
        folder = context.working.folders.get(path)
        context.outcome.applied += 1
        if folder is None:
            return
        if not row.ok:
            folder.unscanned, folder.dirty = (row.reason or "unknown")[:100], True
            if audit is not None:
                audit.errors += 1
            return
        names = self._names(folder, row.count)
        if row.count != len(names) or row.names_hash != names_hash(paths.to_bytes(name) for name in names):
            if audit is not None:
                audit.rejected += 1
                audit.reason = f"the listing of {paths.display(path)} does not add up"[:300]
            return
        started = self._note_listed(folder, said, row)
        self.proven[folder] = (names, started)
        self._said = said
        if run is not None and run.close is not None:
            repeats.remember(folder, run)

    def repeat(self, said: Said, run: Run) -> None:
        """Rows that tell just what is stored: nothing in them is new, nothing is absent."""
        context, folder = self._context, self._context.working.folders.get(run.directory)
        if folder is None or folder.listing_digest != run.digest:
            # something else in this batch says otherwise; a scan will tell
            context.outcome.ignored += run.rows
            context.recheck(run.directory, "a scan lists what it changed itself", recursive=True)
            return
        context.outcome.applied += run.rows
        confirm(folder, said)
        # whoever looks at another storage proves that something is there, never that there is nothing else (R20)
        if run.close is not None and not roots.is_foreign(context.tree, context.origin):
            self._note_listed(folder, said, run.close)

    def _note_listed(self, folder: Folder, said: Said, row: FsRow) -> int:
        """A directory was listed as a whole; when that began, in server ms."""
        started = scan_start(row, said, self._context.origin)
        folder.unscanned, folder.listed_at, folder.listed_session, folder.dirty = "", started, said.session, True
        return started

    def _names(self, folder: Folder, count: int | None) -> set[str]:
        names = set(self._context.remains.listed.get(folder, ()))
        if len(names) != count and self._context.audit is not None and not folder.is_new:
            names.update(listings.staged_names(self._context.audit.pk, folder.id))
        return names

    def settle(self) -> None:
        """Find what the proven listings lack. In an audit it is noted until the end; an on-demand scan removes it now."""
        if self._said is None or self._said.source is MessageSource.SNAPSHOT:
            return
        missing = list(self._missing())
        if self._context.audit is not None:
            listings.note_absent(
                self._context.audit.pk, [(folder.id, name, started, is_dir) for folder, name, started, is_dir in missing]
            )
        elif self._said.source is MessageSource.ON_DEMAND:
            self._remove(missing)

    def _missing(self) -> Iterable[tuple[Folder, str, int, bool]]:
        stored = {folder.id: folder for folder in self.proven if not folder.is_new}
        if not stored:
            return
        removed = {folder.id: folder.removed or set() for folder in stored.values()}
        for directory_id, name, is_directory in nodes.child_names(list(stored)):
            folder = stored[directory_id]
            names, started = self.proven[folder]
            if name not in names and name not in removed[directory_id]:
                yield folder, name, started, bool(is_directory)

    def _remove(self, missing: list[tuple[Folder, str, int, bool]]) -> None:
        """What an on-demand scan lacks goes at once; more than the brake allows waits for an audit (R21)."""
        context, said = self._context, self._said
        if said is None or not missing:
            return
        working = context.working
        working.load_exactly([paths.join(folder.path, name) for folder, name, _, is_dir in missing if is_dir])
        files: defaultdict[Folder, list[str]] = defaultdict(list)
        for folder, name, _, is_dir in missing:
            if not is_dir:
                files[folder].append(name)
        working.load_files(files)
        going = sum(self._weight(folder, name) for folder, name, _, _ in missing)
        if going > context.tree.view.brake_rows:
            context.recheck(missing[0][0].path, f"a scan lacks {going} nodes: too many for a scan, an audit decides")
            return
        for folder, name, started, _ in missing:
            removals.absent(context, Said(said.source, said.session, started, said.error_ms), folder.path, name)

    def _weight(self, folder: Folder, name: str) -> int:
        below = self._context.working.folders.get(paths.join(folder.path, name))
        return 1 + below.total_files + below.total_directories if below is not None else 1

    def to_stage(self, *, native: bool) -> Iterable[tuple[int, str, int, bool]]:
        """What an audit must remember of this batch: all that an old client listed, or what has not been closed yet."""
        remains = self._context.remains
        for folder, names in remains.listed.items():
            if not native or folder not in self.proven:
                yield from ((folder.id, name, observed_at, False) for name, observed_at in names.items())
        if not native:
            yield from ((folder.id, "", observed_at, skipped) for folder, (observed_at, skipped) in remains.own_rows.items())


def scan_start(row: FsRow, said: Said, origin: Origin) -> int:
    """Start of a directory's listing in server ms (R3); without one, when its close was observed."""
    if row.scan_start is None or not 0 < row.scan_start < 1e15:
        return said.observed_at
    return min(int(row.scan_start + origin.clock_offset_ms), said.observed_at)
