"""The life of a snapshot: under way, complete. Called by `apply` with the tree locked."""

from apps.views.claims import Origin
from apps.views.models import Tree
from apps.views.store import memory


def note_progress(tree: Tree, now_ms: int) -> None:
    """A snapshot is under way: tombstones that it may still contradict are kept (R8)."""
    if tree.snapshot_started_at is None:
        tree.snapshot_started_at = now_ms / 1000
        tree.save(update_fields=("snapshot_started_at",))


def complete(tree: Tree, origin: Origin, now_ms: int) -> None:
    """A snapshot ended. The first makes the view readable for ever (R25), and tells followers of the feed to start over."""
    now = now_ms / 1000
    if tree.snapshot_complete_at is None:
        tree.snapshot_complete_at = now
        tree.change_seq += 1
        entry = ("reset", "/", True, 0, None, 25)
        memory.append_changes(tree.pk, tree.change_seq, now_ms, origin.session, "snapshot", [entry])
        tree.reset_seq = tree.change_seq
    tree.deep_verified_at = tree.snapshot_started_at or now
    tree.last_snapshot_at, tree.snapshot_started_at = now, None
    tree.save(
        update_fields=(
            "snapshot_complete_at",
            "last_snapshot_at",
            "snapshot_started_at",
            "deep_verified_at",
            "change_seq",
            "reset_seq",
        )
    )
