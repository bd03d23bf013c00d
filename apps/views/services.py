"""The verbs that change what a view knows, apart from claims. The console, the API, commands and tasks call them."""

from django.db import transaction

from apps.runtime import clock
from apps.views import audits
from apps.views.models import Audit, BlindSpot, ChangeBatch, Gap, Recheck, Refusal, Suspect, Tree, View
from apps.views.store import memory, nodes
from fustor_schema import paths


def ensure_tree(view: View, scope: str = "") -> Tree:
    """The tree of a view (of one pipe of a forest, by its slug), with its root; made when it is not there yet."""
    with transaction.atomic():
        tree, made = Tree.objects.get_or_create(view=view, scope=scope, defaults={"offline_since": clock.now()})
        if made:
            nodes.insert_root(tree.pk)
    return tree


def reset_view(view: View, actor: str) -> None:
    """Forget everything that the view knows: it answers 503 until the next complete snapshot. Sessions stay as they are (R25)."""
    with transaction.atomic():
        for tree in Tree.objects.select_for_update(of=("self",)).filter(view=view).order_by("pk"):
            empty_tree(tree, f"reset by {actor}", clock.now_ms())


def empty_tree(tree: Tree, reason: str, now_ms: int) -> None:
    """Forget a tree's nodes and memory; followers of its feed are told to start over. Needs the tree locked."""
    audits.abort_open(tree.pk, reason, now_ms)
    _forget(tree)
    nodes.insert_root(tree.pk)
    tree.change_seq += 1
    tree.reset_seq, tree.deep_verified_at = tree.change_seq, None
    tree.snapshot_complete_at = tree.last_snapshot_at = tree.snapshot_started_at = tree.last_audit_finished_at = None
    tree.tombstone_count, tree.capacity_exceeded, tree.source_lost, tree.clock = 0, False, "", {}
    tree.last_event_at = tree.last_event_latency_ms = None
    tree.save()
    memory.append_changes(tree.pk, tree.change_seq, now_ms, 0, "reset", [("reset", paths.ROOT, True, 0, None, 25)])


def drop_view_trees(view: View) -> None:
    """Remove all trees of a view, before the view itself is deleted."""
    with transaction.atomic():
        for tree in Tree.objects.select_for_update(of=("self",)).filter(view=view).order_by("pk"):
            drop_tree(tree)


def drop_tree(tree: Tree) -> None:
    """Remove a tree with all it holds. Needs a transaction."""
    for audit in Audit.objects.filter(tree=tree):
        audits.forget_listing(audit)
    _forget(tree)
    tree.delete()


def _forget(tree: Tree) -> None:
    nodes.delete_all(tree.pk)
    for model in (Suspect, BlindSpot, Gap, Recheck, Refusal, ChangeBatch):
        model._base_manager.filter(tree=tree).delete()
