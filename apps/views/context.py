"""What the decisions of one batch share: the tree and its limits, the working set, tombstones, and what remains beside nodes.

Made by `arbiter` and `audits`; `upserts`, `removals`, `moves` and `closings` decide with it.
"""

from apps.views import clock as view_clock
from apps.views.claims import Origin, Said
from apps.views.folder import FLAGS, OBSERVED, SESSION, FileRow, Folder
from apps.views.graves import Graves
from apps.views.intake import Claim
from apps.views.models import Audit, BlindSpot, Flag, NodeKind, Tree
from apps.views.outcome import Outcome, Remains
from apps.views.rules import Decision, Known
from apps.views.store import nodes, trees
from apps.views.working import WorkingSet
from fustor_schema import paths
from fustor_schema.sources import MessageSource
from fustor_schema.wire import Reject

KIND_NUMBER = {kind.label: kind.value for kind in NodeKind}
SUSPECT, PARTIAL, BLIND, REALTIME = int(Flag.SUSPECT), int(Flag.PARTIAL), int(Flag.BLIND), int(Flag.REALTIME)
PLACEHOLDER, SKIPPED = int(Flag.PLACEHOLDER), int(Flag.AUDIT_SKIPPED)
DOUBT = SUSPECT | PARTIAL
COUNTED = {int(Flag.COUNTED_ADDED): BlindSpot.Change.ADDED.value, int(Flag.COUNTED_MODIFIED): BlindSpot.Change.MODIFIED.value}
BLIND_MARKS = BLIND | sum(COUNTED)
FINDS_BLIND_SPOTS = {MessageSource.AUDIT, MessageSource.ON_DEMAND, MessageSource.SENTINEL}
_MAX_REFUSALS = 200
_MAX_RECHECKS = 200


class Context:
    """One batch on one tree. `room`: nodes that may still be added (R54). `complete`: the view is being served, so changes
    are told in the feed and scans find blind spots."""

    def __init__(self, tree: Tree, working: WorkingSet, origin: Origin, outcome: Outcome, audit: Audit | None) -> None:
        view = tree.view
        self.tree, self.working, self.origin, self.outcome, self.audit = tree, working, origin, outcome, audit
        self.now_ms, self.now = working.now_ms, working.now_ms / 1000
        self.bound_ms = _bound_ms(view.attr_cache_bound, origin.attr_cache_ms)
        self.threshold = view.hot_file_threshold
        self.logical_now = view_clock.logical_now(tree.clock, self.now)
        self.hot_after = self.logical_now - self.threshold
        self.complete = tree.snapshot_complete_at is not None
        self.room = _room(tree, working.root)
        self.graves = Graves(tree, working.now_ms)
        self.remains = Remains()
        self.last_said: Said | None = None
        self.last_claim: Claim | None = None

    def changed(
        self,
        kind: str,
        path: str,
        rule: int,
        *,
        is_directory: bool = False,
        size: int = 0,
        mtime: float | None = None,
        origin: str | None = None,
    ) -> None:
        """One entry of the change feed; none while the first snapshot is under way, whose end says `reset`.

        `origin`: the old path of something that moved.
        """
        if self.complete:
            entry = (kind, path, is_directory, size, mtime, int(rule))
            self.remains.changes.append(entry if origin is None else (*entry, origin))

    def refuse(self, path: str, said: Said, decision: Decision) -> None:
        """A claim was refused: counted, logged (bounded), and looked at again when the rule wants it."""
        self.outcome.ignored += 1
        if len(self.remains.refusals) < _MAX_REFUSALS:
            refusal = (path, self.now_ms, said.observed_at, said.session, said.source.value, int(decision.rule), decision.reason)
            self.remains.refusals.append(refusal)
        if decision.recheck:
            self.recheck(path, decision.reason, in_ms=self.bound_ms)

    def recheck(self, path: str, reason: str, *, recursive: bool = False, in_ms: int = 0) -> None:
        """Have a path looked at again, not before `in_ms` (a look inside the window would prove as little)."""
        if len(self.remains.rechecks) < _MAX_RECHECKS:
            self.remains.rechecks[path] = (reason, recursive, self.now_ms + in_ms)

    def reject_for_room(self, number: int, index: int) -> None:
        """A row that the view has no room for: an explicit reject, never a silent drop (R54)."""
        self.outcome.over_capacity = True
        self.tree.capacity_exceeded = True
        reason = f"the view is full: max_nodes is {self.tree.view.max_nodes} (R54)"
        self.outcome.rejected.append(Reject(number, index, "path", reason))

    def is_hot(self, mtime: float | None) -> bool:
        """Whether a file that a scan found changed less than the threshold ago in the storage's time (R40)."""
        return mtime is not None and mtime > self.hot_after

    def suspect(self, path: str, mtime: float | None, size: int, *, partial: bool) -> int:
        """Mark suspect until the node has been quiet for the threshold (R40); the flag bits."""
        quiet = self.threshold
        if not partial and mtime is not None:
            quiet = min(quiet, quiet - (self.logical_now - mtime))
        self.remains.suspects[path] = (partial, self.now, self.now + max(0.0, quiet), mtime, size)
        return DOUBT if partial else SUSPECT

    def blind(self, path: str, change: str, *, is_directory: bool, flags: int, count: int = 1) -> int:
        """Open a blind spot (R41); the node's flags with it. Nothing is blind while the view is not complete."""
        self.leave_aggregate(path, flags)
        audit = self.audit.pk if self.audit is not None else None
        self.remains.blind_spots[path] = (is_directory, change, count, self.now, audit)
        self.tree.blind_deletions |= change == BlindSpot.Change.DELETED
        return (flags & ~BLIND_MARKS) | BLIND

    def seen(self, path: str, flags: int) -> int:
        """A realtime event on the path closes its blind spot (R41); the node's flags without it."""
        if flags & BLIND:
            self.remains.blind_spots[path] = None
            self.leave_aggregate(path, flags)
        return flags & ~BLIND_MARKS

    def seen_absent(self, path: str) -> None:
        """A realtime event on a path where nothing is: it closes the blind spot of a deletion."""
        if self.tree.blind_deletions:
            self.remains.blind_spots[path] = None

    def leave_aggregate(self, path: str, flags: int) -> None:
        """A node's blind spot ends or gets a record of its own: it is counted in its directory no longer (R54)."""
        for bit, change in COUNTED.items():
            if flags & bit:
                self.remains.counted_down[paths.parent(path), change] += 1

    def remembers_listings(self, said: Said) -> bool:
        """Whether the names that a claim lists will be asked for: by the end of an audit, or by a `dir_close`."""
        return not said.realtime and (self.audit is not None or self.origin.is_native)

    def finds_blind_spots(self, said: Said) -> bool:
        """Whether what this claim brings was seen by nobody when it happened."""
        return self.complete and said.source in FINDS_BLIND_SPOTS

    def known_subtree(self, folder: Folder, said: Said) -> Known:
        """What decided a directory, or a later realtime event below it: a scan cannot remove what somebody just made there."""
        known = known_folder(folder)
        if said.realtime and said.session == known.session:
            return known
        latest = nodes.latest_realtime_below(self.tree.pk, folder.path)
        if latest is not None and latest[0] > known.observed_at:
            return Known(latest[0], latest[1], True)
        return known


def known_file(stored: FileRow) -> Known:
    """What decided a stored file last."""
    return Known(stored[OBSERVED], stored[SESSION], bool(stored[FLAGS] & REALTIME))


def known_folder(folder: Folder) -> Known:
    """What decided a directory last."""
    return Known(folder.observed_at, folder.session, bool(folder.flags & REALTIME))


def _bound_ms(of_view: float, of_mount: int | None) -> int:
    """How old a listing of this session may be: what its mount says, at most what the view allows (R13)."""
    bound = int(of_view * 1000)
    return bound if of_mount is None else min(bound, of_mount)


def _room(tree: Tree, root: Folder) -> int:
    """What `max_nodes` leaves: it counts all trees of the view. What other members add meanwhile is for `capacity.hold`."""
    most = tree.view.max_nodes
    if most is None:
        return 2**62
    elsewhere = trees.nodes_elsewhere(tree) if tree.scope else 0
    return most - elsewhere - root.total_files - root.total_directories
