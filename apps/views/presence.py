"""Which sessions a tree has: told by apps.sessions, in the transaction in which a session opens, ends or leads."""

from apps.views import audits, services
from apps.views.models import Tree


def update(tree_id: int, *, live_sessions: int, leader_session: int | None, epoch: int, now: float) -> None:
    """Record who is there (`now`: server seconds).

    A new term aborts the open audit (R14); the last one out empties a `live_mode` view (R25).
    """
    tree = Tree.objects.select_for_update(of=("self",)).select_related("view").get(pk=tree_id)
    if epoch != tree.epoch:
        audits.abort_open(tree_id, "the leader changed", int(now * 1000))
        tree.snapshot_started_at = None
    had_sessions = tree.live_sessions > 0
    tree.epoch, tree.leader_session, tree.live_sessions = epoch, leader_session, live_sessions
    tree.offline_since = None if live_sessions else (tree.offline_since or now)
    tree.leaderless_since = None if leader_session is not None else (tree.leaderless_since or now)
    tree.save(
        update_fields=("epoch", "leader_session", "live_sessions", "offline_since", "leaderless_since", "snapshot_started_at")
    )
    if had_sessions and not live_sessions and tree.view.live_mode:
        services.empty_tree(tree, "the last session of a live view ended", int(now * 1000))
