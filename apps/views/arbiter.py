"""Decides the claims of one batch, in order, over a working set. Called by `apply` (and by `audits` for what it removes).

Each method takes one kind of claim: asks `rules`, changes the working set, notes what remains beside the nodes.
"""

from typing import Any

from apps.views import clock as view_clock
from apps.views import rules
from apps.views.claims import Origin, Said
from apps.views.intake import Intake, Op
from apps.views.models import Audit, BlindSpot, Flag, NodeKind, Tree
from apps.views.outcome import Outcome, Remains
from apps.views.rules import Decision, Grave, Known, Rule
from apps.views.store import memory, nodes
from apps.views.working import CTIME, FLAGS, INODE, KIND, META, MTIME, OBSERVED, SESSION, SIZE, FileRow, Folder, WorkingSet
from fustor_schema import paths
from fustor_schema.sources import MessageSource
from fustor_schema.wire import FsRow, Reject

_KIND_NUMBER = {kind.label: kind.value for kind in NodeKind}
_FINDS_BLIND_SPOTS = {MessageSource.AUDIT, MessageSource.ON_DEMAND, MessageSource.SENTINEL}
_MAX_REFUSALS = 200
_MAX_RECHECKS = 200
_SUSPECT, _PARTIAL, _BLIND, _REALTIME = int(Flag.SUSPECT), int(Flag.PARTIAL), int(Flag.BLIND), int(Flag.REALTIME)
_PLACEHOLDER, _SKIPPED = int(Flag.PLACEHOLDER), int(Flag.AUDIT_SKIPPED)
_DOUBT = _SUSPECT | _PARTIAL


class Arbiter:
    """The decisions of one batch on one tree."""

    def __init__(
        self, tree: Tree, working: WorkingSet, origin: Origin, checked: Intake, outcome: Outcome, audit: Audit | None
    ) -> None:
        view = tree.view
        self.tree, self.working, self.origin, self.checked = tree, working, origin, checked
        self.outcome, self.audit, self.remains = outcome, audit, Remains()
        self.now_ms, self.now = working.now_ms, working.now_ms / 1000
        self.bound_ms = int(view.attr_cache_bound * 1000)
        self.threshold = view.hot_file_threshold
        self.logical_now = view_clock.logical_now(tree.clock, self.now)
        self.complete = tree.snapshot_complete_at is not None
        self.room = _room(view.max_nodes, working.root)
        self.graves: dict[str, Grave] = {}
        self.subtree_graves: dict[str, Grave] = {}
        self.last_said: Said | None = None
        if tree.tombstone_count:
            self._load_graves()

    def run(self) -> None:
        """Decide every claim of the batch."""
        for op, said, directory, name, row, number, index in self.checked.claims:
            self.last_said = said
            if op is Op.FILE:
                self._put_file(said, directory, name, row, number, index)
            elif op is Op.DELETE:
                self._delete(said, directory, name)
            elif op is Op.DIRECTORY:
                self._put_directory(said, directory, name, row, number, index)
        self.outcome.changed = bool(self.remains.changes) or bool(self.working.touched)

    # --- upserts -----------------------------------------------------------------------------------------------------

    def _put_file(self, said: Said, directory: str, name: str, row: FsRow, number: int, index: int) -> None:
        folder = self.working.folders.get(directory) or self._make_folder(directory, said)
        if folder is None:
            return
        if self.audit is not None:
            self.remains.listed[folder.id, name] = (said.observed_at, False)
        stored = folder.files.get(name)
        if stored is not None:
            self._update_file(said, folder, name, row, stored)
        elif not self._blocked_by_directory(said, folder, name):
            self._create_file(said, folder, name, row, number, index)

    def _create_file(self, said: Said, folder: Folder, name: str, row: FsRow, number: int, index: int) -> None:
        grave = self._grave(folder, name) if self.graves else None
        decision = rules.upsert(None, grave, said, self.bound_ms)
        if not decision.apply:
            self._refuse(paths.join(folder.path, name), said, decision)
            return
        if self.room <= 0:
            self._reject_for_room(number, index)
            return
        self.room -= 1
        if grave is not None:
            self._lift_grave(paths.join(folder.path, name))
        flags = _REALTIME if said.realtime else 0
        mtime = row.modified_time
        if decision.doubtful or (not row.is_atomic_write if said.realtime else self._is_hot(mtime)):
            flags |= self._suspect(paths.join(folder.path, name), said, row, mtime, row.size or 0)
        if self.complete and said.source in _FINDS_BLIND_SPOTS:
            flags |= self._blind(paths.join(folder.path, name), False, BlindSpot.Change.ADDED)
        kind = _KIND_NUMBER[row.kind] if row.kind else 0
        self.working.put_file(
            folder,
            name,
            (
                folder.id, name, kind, row.size or 0, mtime, row.created_time, row.mode, row.uid, row.gid, row.inode, row.nlink,
                flags, said.observed_at, self.now_ms, said.session, int(decision.rule),
            ),
            None,
        )  # fmt: skip
        self.outcome.applied += 1
        if self.complete:
            self._changed("created", paths.join(folder.path, name), False, row.size or 0, mtime, decision.rule)
        if decision.recheck:
            self._recheck(paths.join(folder.path, name), decision.reason)

    def _update_file(self, said: Said, folder: Folder, name: str, row: FsRow, stored: FileRow) -> None:
        same = _is_same(stored, row)
        if same and not said.realtime and said.source is not MessageSource.ON_DEMAND:
            self._confirm(folder, said)
            self.outcome.applied += 1
            return
        known = Known(stored[OBSERVED], stored[SESSION], bool(stored[FLAGS] & _REALTIME))
        decision = rules.upsert(known, None, said, self.bound_ms)
        path = paths.join(folder.path, name)
        if not decision.apply:
            if same:
                self.outcome.applied += 1
            else:
                self._refuse(path, said, decision)
            return
        flags = self._flags_after_update(said, path, row, stored, same, decision)
        merged = _merged(stored, row)
        self.working.put_file(
            folder,
            name,
            (folder.id, name, *merged, flags, said.observed_at, self.now_ms, said.session, int(decision.rule)),
            stored,
        )
        self.outcome.applied += 1
        if self.complete and not same:
            self._changed("modified", path, False, merged[1], merged[2], decision.rule)

    def _flags_after_update(self, said: Said, path: str, row: FsRow, stored: FileRow, same: bool, decision: Decision) -> int:
        flags: int = stored[FLAGS]
        size = stored[SIZE] if row.size is None else row.size
        if said.realtime:
            if flags & _BLIND:
                self.remains.blind_spots[path] = None
            flags = (flags & ~_BLIND) | _REALTIME
            if not row.is_atomic_write or decision.doubtful:
                flags |= self._suspect(path, said, row, row.modified_time, size)
            elif flags & _DOUBT:
                self.remains.suspects[path] = None
                flags &= ~_DOUBT
        else:
            flags &= ~_REALTIME
            if not same and self.complete and said.source in _FINDS_BLIND_SPOTS:
                flags |= self._blind(path, False, BlindSpot.Change.MODIFIED)
            if not same and (decision.doubtful or flags & _DOUBT or self._is_hot(row.modified_time)):
                flags |= self._suspect(path, said, row, row.modified_time, size)
        if decision.recheck:
            self._recheck(path, decision.reason)
        return flags

    def _put_directory(self, said: Said, directory: str, name: str, row: FsRow, number: int, index: int) -> None:
        path = paths.join(directory, name) if name else paths.ROOT
        folder = self.working.folders.get(path)
        if folder is None:
            folder = self._create_directory(said, directory, name, row, number, index)
        else:
            self._update_directory(said, folder, row)
        if self.audit is not None:
            if folder is not None:
                self.remains.listed[folder.id, ""] = (said.observed_at, row.audit_skipped)
            parent = self.working.folders.get(directory)
            if parent is not None and name:
                self.remains.listed[parent.id, name] = (said.observed_at, False)

    def _create_directory(self, said: Said, directory: str, name: str, row: FsRow, number: int, index: int) -> Folder | None:
        parent = self.working.folders.get(directory) or self._make_folder(directory, said)
        if parent is None:
            return None
        stored = parent.files.get(name)
        path = paths.join(directory, name)
        grave = self._grave(parent, name) if self.graves else None
        if stored is not None:
            known = Known(stored[OBSERVED], stored[SESSION], bool(stored[FLAGS] & _REALTIME))
            decision = rules.retype(known, said, self.bound_ms)
        else:
            decision = rules.upsert(None, grave, said, self.bound_ms)
        if not decision.apply:
            self._refuse(path, said, decision)
            return None
        if stored is not None:
            self._remove_file(said, parent, name, stored, Rule.TYPE)
        elif self.room <= 0:
            self._reject_for_room(number, index)
            return None
        self.room -= 1
        self._lift_grave(path)
        folder = self.working.add_folder(path)
        self._describe(folder, said, row, Rule.TYPE if stored is not None else decision.rule)
        if self.complete and said.source in _FINDS_BLIND_SPOTS:
            folder.flags |= self._blind(path, True, BlindSpot.Change.ADDED)
        self.outcome.applied += 1
        if self.complete:
            self._changed("created", path, True, 0, row.modified_time, Rule(folder.rule))
        if decision.recheck:
            self._recheck(path, decision.reason)
        return folder

    def _update_directory(self, said: Said, folder: Folder, row: FsRow) -> None:
        self.outcome.applied += 1
        if row.audit_skipped and not said.realtime:
            if not folder.flags & _SKIPPED:  # R17: evidence only
                folder.flags |= _SKIPPED
                folder.dirty = True
            return
        same = _is_same_directory(folder, row)
        if same and not said.realtime:
            if folder.flags & _SKIPPED:
                folder.flags &= ~_SKIPPED
                folder.dirty = True
            self._confirm(folder, said)
            return
        decision = rules.upsert(_known_of(folder), None, said, self.bound_ms)
        if not decision.apply:
            self.outcome.applied -= 1
            if same or folder.flags & _PLACEHOLDER:
                self.outcome.applied += 1
            else:
                self._refuse(folder.path, said, decision)
            if not folder.flags & _PLACEHOLDER:
                return
        if said.realtime and folder.flags & _BLIND:
            self.remains.blind_spots[folder.path] = None
            folder.flags &= ~_BLIND
        self._describe(folder, said, row, decision.rule)
        self.working.touched.add(folder)
        if self.complete and not same:
            self._changed("modified", folder.path, True, 0, row.modified_time, decision.rule)

    def _describe(self, folder: Folder, said: Said, row: FsRow, rule: Rule) -> None:
        size, mtime, ctime, mode, uid, gid, inode, nlink = folder.meta
        folder.meta = (
            size if row.size is None else row.size,
            mtime if row.modified_time is None else row.modified_time,
            ctime if row.created_time is None else row.created_time,
            mode if row.mode is None else row.mode,
            uid if row.uid is None else row.uid,
            gid if row.gid is None else row.gid,
            inode if row.inode is None else row.inode,
            nlink if row.nlink is None else row.nlink,
        )
        folder.flags &= ~(_PLACEHOLDER | _SKIPPED | _REALTIME)
        if said.realtime:
            folder.flags |= _REALTIME
        if row.audit_skipped:
            folder.flags |= _SKIPPED
        folder.observed_at, folder.decided_at, folder.session, folder.rule = said.observed_at, self.now_ms, said.session, int(rule)
        folder.dirty = True

    def _make_folder(self, path: str, said: Said) -> Folder | None:
        """The missing parent of a claim, with its missing parents, as placeholders. None: a rule forbids it; it is logged."""
        missing = [path]
        while (above := paths.parent(missing[-1])) not in self.working.folders:
            missing.append(above)
        folder = self.working.folders[above]
        for wanted in reversed(missing):
            made = self._make_placeholder(folder, wanted, said)
            if made is None:
                return None
            folder = made
        return folder

    def _make_placeholder(self, parent: Folder, path: str, said: Said) -> Folder | None:
        name = paths.name(path)
        stored = parent.files.get(name)
        grave = self._grave(parent, name) if self.graves else None
        if stored is not None:
            known = Known(stored[OBSERVED], stored[SESSION], bool(stored[FLAGS] & _REALTIME))
            decision = rules.retype(known, said, self.bound_ms)
        else:
            decision = rules.upsert(None, grave, said, self.bound_ms)
        if not decision.apply:
            self._refuse(path, said, decision)
            return None
        if stored is not None:
            self._remove_file(said, parent, name, stored, Rule.TYPE)
        folder = self.working.add_folder(path)
        folder.observed_at, folder.decided_at, folder.session = said.observed_at, self.now_ms, said.session
        folder.rule = int(decision.rule)
        if said.realtime:
            folder.flags |= _REALTIME
        self.room -= 1
        if self.complete:
            self._changed("created", path, True, 0, None, decision.rule)
        return folder

    def _blocked_by_directory(self, said: Said, folder: Folder, name: str) -> bool:
        """True when a directory stands where the claim says file, and stays. When the file wins, the directory goes (R36)."""
        if not (folder.total_directories or folder.delta_directories):
            return False
        standing = self.working.folders.get(paths.join(folder.path, name))
        if standing is None:
            return False
        decision = rules.retype(self._known_of_subtree(standing, said), said, self.bound_ms)
        if not decision.apply:
            self._refuse(standing.path, said, decision)
            return True
        self._remove_directory(said, standing, Rule.TYPE)
        return False

    # --- deletes -----------------------------------------------------------------------------------------------------

    def _delete(self, said: Said, directory: str, name: str) -> None:
        path = paths.join(directory, name)
        folder = self.working.folders.get(path)
        if folder is not None:
            decision = rules.delete(self._known_of_subtree(folder, said), said, self.bound_ms)
            if self._may_delete(path, said, decision):
                self._remove_directory(said, folder, decision.rule)
            return
        parent = self.working.folders.get(directory)
        stored = parent.files.get(name) if parent is not None else None
        if parent is None or stored is None:
            self._bury(path, said, subtree=True, rule=Rule.DELETED)
            self.outcome.applied += 1
            return
        known = Known(stored[OBSERVED], stored[SESSION], bool(stored[FLAGS] & _REALTIME))
        decision = rules.delete(known, said, self.bound_ms)
        if self._may_delete(path, said, decision):
            self._remove_file(said, parent, name, stored, decision.rule)

    def _may_delete(self, path: str, said: Said, decision: Decision) -> bool:
        if decision.apply:
            self.outcome.applied += 1
            return True
        self._refuse(path, said, decision)
        return False

    def _remove_file(self, said: Said, folder: Folder, name: str, stored: FileRow, rule: Rule) -> None:
        path = paths.join(folder.path, name)
        self.working.drop_file(folder, name)
        self.room += 1
        if stored[FLAGS] & _DOUBT:
            self.remains.suspects[path] = None
        self._note_removal(said, path, False, 1, bool(stored[FLAGS] & _BLIND))
        if rule is not Rule.TYPE:
            self._bury(path, said, subtree=False, rule=rule)
        if self.complete:
            self._changed("deleted", path, False, 0, None, rule)

    def _remove_directory(self, said: Said, folder: Folder, rule: Rule) -> None:
        self.working.settle()
        nodes_below = folder.total_files + folder.total_directories
        self.room += nodes_below + 1
        if nodes_below:
            self.remains.removed_subtrees.append(folder.path)
            self._forget_pending_below(folder.path)
        self._note_removal(said, folder.path, True, nodes_below + 1, bool(folder.flags & _BLIND))
        self.working.drop_folder(folder)
        self._bury(folder.path, said, subtree=True, rule=rule)
        if self.complete:
            self._changed("deleted", folder.path, True, 0, None, rule)

    def _note_removal(self, said: Said, path: str, is_directory: bool, count: int, was_blind: bool) -> None:
        if said.realtime:
            if was_blind:
                self.remains.blind_spots[path] = None
        elif self.complete and said.source in _FINDS_BLIND_SPOTS:
            self._blind(path, is_directory, BlindSpot.Change.DELETED, count)

    def _forget_pending_below(self, path: str) -> None:
        for pending in (self.remains.suspects, self.remains.blind_spots):
            for key in [key for key in pending if key != path and paths.is_within(key, path)]:
                del pending[key]

    def remove_absent(self, said: Said, directory: str, name: str) -> bool:
        """Remove a child that a complete listing lacks, unless somebody confirmed it since (R11, R13)."""
        parent = self.working.folders.get(directory)
        if parent is None:
            return False
        listing = rules.Listing(said.session, said.observed_at)
        confirmed = parent.confirmed_at, parent.confirmed_session
        folder = self.working.folders.get(paths.join(directory, name))
        stored = parent.files.get(name)
        if folder is not None:
            if not rules.absent(self._known_of_subtree(folder, said), *confirmed, listing, self.bound_ms):
                return self._keep_absent(said, folder.path)
            self._remove_directory(said, folder, Rule.ABSENT)
        elif stored is not None:
            known = Known(stored[OBSERVED], stored[SESSION], bool(stored[FLAGS] & _REALTIME))
            if not rules.absent(known, *confirmed, listing, self.bound_ms):
                return self._keep_absent(said, paths.join(directory, name))
            self._remove_file(said, parent, name, stored, Rule.ABSENT)
        else:
            return False
        self.last_said = said
        return True

    def _keep_absent(self, said: Said, path: str) -> bool:
        self._refuse(path, said, Decision(False, Rule.WINDOW, "confirmed after the listing that lacks it began", recheck=True))
        return False

    # --- tombstones --------------------------------------------------------------------------------------------------

    def _load_graves(self) -> None:
        wanted: set[str] = set()
        for _, _, directory, name, _, _, _ in self.checked.claims:
            if name:
                wanted.add(paths.join(directory, name))
                wanted.add(directory)
                wanted.update(paths.ancestors(directory))
        for movement in self.checked.moves.values():
            wanted.update(movement)
        for path, subtree, observed_at, error_ms, session, source in memory.tombstones(self.tree.pk, list(wanted)):
            grave = Grave(observed_at, error_ms, session, source == MessageSource.REALTIME)
            self.graves[path] = grave
            if subtree:
                self.subtree_graves[path] = grave

    def _grave(self, folder: Folder, name: str) -> Grave | None:
        """The newest tombstone that covers a path: its own, or one with subtree on a directory above (R6)."""
        found = self.graves.get(paths.join(folder.path, name))
        if self.subtree_graves:
            for above in (folder.path, *paths.ancestors(folder.path)):
                candidate = self.subtree_graves.get(above)
                if candidate is not None and (found is None or candidate.observed_at > found.observed_at):
                    found = candidate
        return found

    def _bury(self, path: str, said: Said, *, subtree: bool, rule: Rule) -> None:
        """Leave a tombstone (R7); an older one at the same path never replaces a newer."""
        before = self.graves.get(path)
        if before is not None and before.observed_at > said.observed_at:
            return
        if before is None:
            self.tree.tombstone_count += 1
        grave = Grave(said.observed_at, said.error_ms, said.session, said.realtime)
        self.graves[path] = grave
        if subtree:
            self.subtree_graves[path] = grave
        else:
            self.subtree_graves.pop(path, None)
        self.remains.tombstones[path] = (
            subtree, said.observed_at, said.error_ms, self.now_ms, said.session, said.source.value, int(rule),
        )  # fmt: skip

    def _lift_grave(self, path: str) -> None:
        """The path lives again. A tombstone with subtree stays for what was below: narrowed to older children (scenario 71)."""
        if path in self.graves and path not in self.subtree_graves:
            del self.graves[path]
            self.remains.tombstones[path] = None
            self.tree.tombstone_count = max(0, self.tree.tombstone_count - 1)

    # --- what remains ------------------------------------------------------------------------------------------------

    def _known_of_subtree(self, folder: Folder, said: Said) -> Known:
        """What decided a directory, or a later realtime event below it: a scan cannot remove what somebody just made there."""
        known = _known_of(folder)
        if said.realtime and said.session == known.session:
            return known
        latest = nodes.latest_realtime_below(self.tree.pk, folder.path)
        if latest is not None and latest[0] > known.observed_at:
            return Known(latest[0], latest[1], True)
        return known

    def _confirm(self, folder: Folder, said: Said) -> None:
        if said.observed_at > folder.confirmed_at:
            folder.confirmed_at, folder.confirmed_session, folder.dirty = said.observed_at, said.session, True

    def _is_hot(self, mtime: float | None) -> bool:
        return mtime is not None and self.logical_now - mtime < self.threshold

    def _suspect(self, path: str, said: Said, row: FsRow, mtime: float | None, size: int) -> int:
        """Mark suspect; the flag bits. `until`: when the node has been quiet for the threshold (R40)."""
        partial = said.realtime
        quiet = self.threshold if partial or mtime is None else min(self.threshold, self.threshold - (self.logical_now - mtime))
        self.remains.suspects[path] = (partial, self.now, self.now + max(0.0, quiet), mtime, size)
        return _SUSPECT | _PARTIAL if partial else _SUSPECT

    def _blind(self, path: str, is_directory: bool, change: str, count: int = 1) -> int:
        audit = self.audit.pk if self.audit is not None else None
        self.remains.blind_spots[path] = (is_directory, str(change), count, self.now, audit)
        return _BLIND

    def _changed(self, kind: str, path: str, is_directory: bool, size: int, mtime: float | None, rule: Rule) -> None:
        self.remains.changes.append((kind, path, is_directory, size, mtime, int(rule)))

    def _refuse(self, path: str, said: Said, decision: Decision) -> None:
        self.outcome.ignored += 1
        if len(self.remains.refusals) < _MAX_REFUSALS:
            refusal = (path, self.now_ms, said.observed_at, said.session, said.source.value, int(decision.rule), decision.reason)
            self.remains.refusals.append(refusal)
        if decision.recheck:
            self._recheck(path, decision.reason)

    def _recheck(self, path: str, reason: str) -> None:
        if len(self.remains.rechecks) < _MAX_RECHECKS:
            self.remains.rechecks[path] = reason

    def _reject_for_room(self, number: int, index: int) -> None:
        self.outcome.over_capacity = True
        self.tree.capacity_exceeded = True
        reason = f"the view is full: max_nodes is {self.tree.view.max_nodes} (R54)"
        self.outcome.rejected.append(Reject(number, index, "path", reason))

    def save_tree(self) -> None:
        """Write the tree's own row, and the change feed."""
        tree, said, changes = self.tree, self.last_said, self.remains.changes
        if said is None:
            return
        if changes:
            tree.change_seq += len(changes)
            memory.append_changes(tree.pk, tree.change_seq, self.now_ms, said.session, said.source.value, changes)
        tree.last_event_at = self.now
        if said.realtime:
            tree.last_event_latency_ms = max(0.0, float(self.now_ms - said.observed_at))
        if tree.capacity_exceeded and self.room > 0:
            tree.capacity_exceeded = False
        tree.save(
            update_fields=("change_seq", "last_event_at", "last_event_latency_ms", "capacity_exceeded", "tombstone_count", "clock")
        )


def _room(max_nodes: int | None, root: Folder) -> int:
    return max_nodes - root.total_files - root.total_directories if max_nodes is not None else 2**62


def _known_of(folder: Folder) -> Known:
    return Known(folder.observed_at, folder.session, bool(folder.flags & _REALTIME))


def _is_same(stored: FileRow, row: FsRow) -> bool:
    """Whether a row says nothing new (R19): a field that the row lacks says nothing."""
    return (
        stored[MTIME] == row.modified_time
        and stored[SIZE] == row.size
        and (row.created_time is None or stored[CTIME] == row.created_time)
        and (row.inode is None or stored[INODE] == row.inode)
        and (row.kind is None or stored[KIND] == _KIND_NUMBER[row.kind])
        and (row.mode is None or stored[META][3:] == (row.mode, row.uid, row.gid, row.inode, row.nlink))
    )


def _is_same_directory(folder: Folder, row: FsRow) -> bool:
    if folder.flags & _PLACEHOLDER:
        return False
    meta = folder.meta
    return (
        meta[1] == row.modified_time
        and (row.created_time is None or meta[2] == row.created_time)
        and (row.mode is None or meta[3:] == (row.mode, row.uid, row.gid, row.inode, row.nlink))
    )


def _merged(stored: FileRow, row: FsRow) -> tuple[Any, ...]:
    """Kind and metadata after an update: a field that the row lacks keeps its value."""
    size, mtime, ctime, mode, uid, gid, inode, nlink = stored[META]
    return (
        _KIND_NUMBER[row.kind] if row.kind else stored[KIND],
        size if row.size is None else row.size,
        mtime if row.modified_time is None else row.modified_time,
        ctime if row.created_time is None else row.created_time,
        mode if row.mode is None else row.mode,
        uid if row.uid is None else row.uid,
        gid if row.gid is None else row.gid,
        inode if row.inode is None else row.inode,
        nlink if row.nlink is None else row.nlink,
    )
