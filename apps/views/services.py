"""The verbs that change what a view knows, apart from claims. The console, the API, commands and tasks call them."""

from collections.abc import Collection, Sequence

from django.db import transaction

from apps.runtime import clock
from apps.views import audits, blind_spots, names, sentinel
from apps.views.claims import Origin
from apps.views.models import Audit, BlindSpot, ChangeBatch, Gap, Recheck, Refusal, Suspect, Tree, View
from apps.views.sentinel import Look
from apps.views.store import memory, nodes
from fustor_schema import paths


def ensure_tree(view: View, scope: str = "") -> Tree:
    """The tree of a view (of one pipe of a forest, by its slug), with its root; made when it is not there yet."""
    with transaction.atomic():
        tree, made = Tree.objects.get_or_create(view=view, scope=scope, defaults={"offline_since": clock.now()})
        if made:
            nodes.insert_root(tree.pk)
    return tree


def put_suspects(view: View, updates: Sequence[Look], actor: str) -> int:
    """Judge looks at suspects that did not come through a session (`PUT suspect-list`); how many paths are known."""
    del actor  # looks are facts about files; who brought them changes nothing
    known = 0
    with transaction.atomic():
        for tree in Tree.objects.filter(view=view).order_by("pk"):
            known += sentinel.feedback(tree.pk, Origin(session=0), updates, clock.now_ms())
    return known


def close_blind_spots(view: View, wanted: Sequence[str] | None, actor: str, member: str | None = None) -> int:
    """A person has seen to blind spots (R41): close those at these paths, or all; of the view, or of one member of a forest."""
    closed = 0
    scopes = {} if member is None else {"scope": member}
    with transaction.atomic():
        for tree in Tree.objects.select_for_update(of=("self",)).filter(view=view, **scopes).order_by("pk"):
            closed += blind_spots.close(tree, wanted, actor, clock.now_ms())
    return closed


def scan_completed(tree_id: int, origin: Origin, *, path: str, recursive: bool, started_ms: int, now_ms: int) -> None:
    """A scan of a path ended well: what waited for it is settled. Gaps need a recursive scan that started after them (R37)."""
    del origin
    Recheck.objects.filter(tree_id=tree_id, path=path, wanted_at__lte=started_ms).delete()
    if not recursive:
        return
    for gap in Gap.objects.filter(tree_id=tree_id, closed_at=None, opened_at__lte=started_ms):
        if paths.is_within(gap.path, path):
            gap.closed_at = now_ms
            gap.save(update_fields=("closed_at",))


def reset_view(view: View, actor: str) -> None:
    """Forget everything that the view knows: it answers 503 until the next complete snapshot. Sessions stay as they are (R25)."""
    with transaction.atomic():
        for tree in Tree.objects.select_for_update(of=("self",)).filter(view=view).order_by("pk"):
            empty_tree(tree, f"reset by {actor}", clock.now_ms())


def empty_tree(tree: Tree, reason: str, now_ms: int) -> None:
    """Forget a tree's nodes and memory; followers of its feed are told to start over. Needs the tree locked."""
    audits.abort_all(tree.pk, reason, now_ms)
    _forget(tree)
    nodes.insert_root(tree.pk)
    tree.change_seq += 1
    tree.reset_seq, tree.deep_verified_at = tree.change_seq, None
    tree.snapshot_complete_at = tree.last_snapshot_at = tree.snapshot_started_at = tree.last_audit_finished_at = None
    tree.tombstone_count, tree.capacity_exceeded, tree.source_lost, tree.clock = 0, False, "", {}
    tree.blind_deletions = False
    tree.last_event_at = tree.last_event_latency_ms = None
    tree.save()
    memory.append_changes(tree.pk, tree.change_seq, now_ms, 0, "reset", [("reset", paths.ROOT, True, 0, None, 25)])


def drop_view_trees(view: View) -> None:
    """Remove all trees of a view, before the view itself is deleted."""
    with transaction.atomic():
        for tree in Tree.objects.select_for_update(of=("self",)).filter(view=view).order_by("pk"):
            drop_tree(tree)


def keep_members(view: View, scopes: Collection[str]) -> None:
    """Remove the trees of pipes that feed a forest no longer. Whoever wants to keep such a picture disables the pipe instead."""
    with transaction.atomic():
        gone = Tree.objects.select_for_update(of=("self",)).filter(view=view).exclude(scope__in=scopes)
        for tree in gone.order_by("pk"):
            drop_tree(tree)


def drop_tree(tree: Tree) -> None:
    """Remove a tree with all it holds. Needs a transaction."""
    for audit in Audit.objects.filter(tree=tree):
        audits.forget_listing(audit)
    _forget(tree)
    tree.delete()


def _forget(tree: Tree) -> None:
    nodes.delete_all(tree.pk)
    names.forget(tree.pk)
    for model in (Suspect, BlindSpot, Gap, Recheck, Refusal, ChangeBatch):
        model._base_manager.filter(tree=tree).delete()
