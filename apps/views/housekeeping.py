"""What time alone changes: suspects that expire, tombstones that are collected, history that is trimmed.

Called by the periodic tasks of `tasks`; every function takes the server time in seconds and returns how much it did.
"""

from django.db import transaction
from django.db.models import Count, Min

from apps.runtime import server_settings
from apps.views import blind_spots
from apps.views.context import DOUBT
from apps.views.models import Audit, BlindSpot, ChangeBatch, Gap, Refusal, Suspect, Tombstone, Tree

DAY_SECONDS = 86_400
FEED_KEPT_BATCHES = 200_000
REFUSALS_KEPT = 10_000
_EXPIRED_AT_ONCE = 2_000


def expire_suspects(now: float) -> int:
    """Suspects that were quiet for the threshold are suspect no longer. A partial write waits for a confirming stat (R40)."""
    expired = 0
    due = Suspect.objects.filter(partial=False, until__lte=now)
    for tree_id in due.order_by("tree").values_list("tree", flat=True).distinct():
        with transaction.atomic():
            tree = Tree.objects.select_for_update(of=("self",)).get(pk=tree_id)
            quiet = list(due.filter(tree=tree).order_by("until")[:_EXPIRED_AT_ONCE].values_list("pk", "path"))
            blind_spots.mark(tree, [path for _, path in quiet], int(now * 1000), clear=DOUBT)
            Suspect.objects.filter(pk__in=[pk for pk, _ in quiet]).delete()
            expired += len(quiet)
    return expired


def collect_tombstones(now: float) -> int:
    """Remove tombstones that are past the floor and older than every scan under way (R8)."""
    collected = 0
    for tree in Tree.objects.filter(tombstone_count__gt=0).select_related("view"):
        with transaction.atomic():
            locked = Tree.objects.select_for_update(of=("self",)).select_related("view").get(pk=tree.pk)
            gone, _ = Tombstone.objects.filter(tree=locked, created_at__lt=_horizon(locked, now)).delete()
            locked.tombstone_count = Tombstone.objects.filter(tree=locked).count()
            locked.save(update_fields=("tombstone_count",))
        collected += gone
    return collected


def _horizon(tree: Tree, now: float) -> int:
    """Server ms before which no tombstone is needed."""
    horizon = int((now - tree.view.tombstone_floor) * 1000)
    bound = int(tree.view.attr_cache_bound * 1000)
    oldest_audit = Audit.objects.filter(tree=tree, state=Audit.State.OPEN).aggregate(oldest=Min("started_at"))["oldest"]
    if oldest_audit is not None:
        horizon = min(horizon, oldest_audit - bound)
    if tree.snapshot_started_at is not None:
        horizon = min(horizon, int(tree.snapshot_started_at * 1000) - bound)
    return horizon


def trim(now: float) -> int:
    """Keep feed, refusals, closed gaps and blind spots, and old audits bounded. Who reads a trimmed feed is told `reset`."""
    feed = now - server_settings.number("feed_days") * DAY_SECONDS
    evidence = now - server_settings.number("evidence_days") * DAY_SECONDS
    at, old = int(feed * 1000), int(evidence * 1000)
    trimmed = ChangeBatch.objects.filter(at__lt=at).delete()[0]
    trimmed += Refusal.objects.filter(at__lt=at).delete()[0]
    trimmed += Gap.objects.filter(closed_at__lt=old).delete()[0]
    trimmed += BlindSpot.objects.filter(closed_at__lt=evidence).delete()[0]
    trimmed += Audit.objects.filter(finished_at__lt=old).exclude(state=Audit.State.HELD).delete()[0]
    trimmed += _trim_crowded(now)
    return trimmed


def _trim_crowded(now: float) -> int:
    trimmed = 0
    for model, most in ((Refusal, REFUSALS_KEPT), (ChangeBatch, FEED_KEPT_BATCHES)):
        crowded = model._base_manager.values("tree").annotate(rows=Count("pk")).filter(rows__gt=most)
        for group in crowded:
            rows = model._base_manager.filter(tree=group["tree"]).order_by("-pk")
            oldest_kept = rows.values_list("pk", flat=True)[most - 1]
            trimmed += rows.filter(pk__lt=oldest_kept).delete()[0]
    for tree_id in Tree.objects.values_list("pk", flat=True):
        trimmed += blind_spots.aggregate(tree_id, int(now * 1000))
        _note_blind_deletions(tree_id)
    return trimmed


def _note_blind_deletions(tree_id: int) -> None:
    """While no deletion that only a scan saw is open, batches need not look for one."""
    with transaction.atomic():
        tree = Tree.objects.select_for_update(of=("self",)).get(pk=tree_id)
        spots = BlindSpot.objects.filter(tree=tree, closed_at=None, change=BlindSpot.Change.DELETED, aggregate=False)
        if tree.blind_deletions and not spots.exists():
            tree.blind_deletions = False
            tree.save(update_fields=("blind_deletions",))
