"""Figures of a subtree. The totals are one stored row; nothing here counts nodes (R47, R49)."""

from typing import Any

from apps.views import clock as watermark
from apps.views import freshness
from apps.views.models import Audit, BlindSpot, Gap, Suspect, Tree
from apps.views.ports import ports
from apps.views.queries import lookup
from apps.views.queries.oldest import oldest_below
from apps.views.queries.within import within
from fustor_schema import paths


def freshness_of(tree: Tree, now: float) -> freshness.Freshness:
    """The freshness of a tree, its open gaps counted."""
    return freshness.of_tree(tree, Gap.objects.filter(tree=tree, closed_at=None).count(), now)


def stats_answer(tree: Tree, key: str, now: float) -> dict[str, Any]:
    """`stats` with the freshness of the tree."""
    return {**stats(tree, key, now), "freshness": freshness_of(tree, now).payload()}


def stats(tree: Tree, key: str, now: float) -> dict[str, Any]:
    """What `stats` answers for the directory at a path (its subtree, itself excluded). Raises NotFound, Invalid.

    `staleness_seconds`: now − last verification of the scope. `latency_ms`: event observed → visible.
    """
    row = lookup.directory_at(tree, key)
    _, _, _, files, directories, size, _ = row[:7]
    open_spots = within(BlindSpot.objects.filter(tree=tree, closed_at=None), key)
    return {
        "path": paths.display(key),
        "item_count": files + directories,
        "total_files": files,
        "total_directories": directories,
        "total_size": size,
        "latency_ms": tree.last_event_latency_ms or 0.0,
        "staleness_seconds": staleness(tree, key, now),
        "oldest_item_path": oldest_below(tree, key, directories),
        "has_blind_spot": open_spots.exists(),
        "suspect_file_count": within(Suspect.objects.filter(tree=tree), key).count(),
        "logical_now": watermark.logical_now(tree.clock, now),
        "last_audit_finished_at": tree.last_audit_finished_at,
        "audit_cycle_count": tree.audit_cycle_count,
        "is_auditing": Audit.objects.filter(tree=tree, state=Audit.State.OPEN).exists(),
        "unverified": unverified_scopes(tree, key),
        "capacity_exceeded": tree.capacity_exceeded,
        "as_of_seq": tree.change_seq,
    }


def staleness(tree: Tree, key: str, now: float) -> float | None:
    """Seconds since a path was last verified (R49); None when it never was.

    A live leader that hears changes verifies all the time; what an open gap touches counts from before the gap.
    """
    verified = freshness.as_of(tree)
    if tree.leader_session is not None and not tree.source_lost:
        watched = ports.watched_until(tree.leader_session)
        verified = max((time for time in (verified, watched) if time is not None), default=None)
    gaps = [gap.opened_at / 1000 for gap in _gaps_touching(tree, key)]
    if verified is None:
        return None
    return max(0.0, now - min([verified, *gaps]))


def unverified_scopes(tree: Tree, key: str) -> list[dict[str, Any]]:
    """Open gaps that lie in the subtree or cover it, at most 100 (R37)."""
    return [
        {"path": paths.display(gap.path), "reason": gap.reason, "since": gap.opened_at / 1000}
        for gap in _gaps_touching(tree, key)[:100]
    ]


def _gaps_touching(tree: Tree, key: str) -> list[Gap]:
    gaps = Gap.objects.filter(tree=tree, closed_at=None).order_by("opened_at")[:1000]
    return [gap for gap in gaps if paths.is_within(gap.path, key) or paths.is_within(key, gap.path)]
