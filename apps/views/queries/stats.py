"""Figures of a subtree. The totals are one stored row; nothing here counts nodes (R47, R49)."""

from typing import Any

from apps.views import clock as watermark
from apps.views import freshness
from apps.views.models import Tree
from apps.views.ports import ports
from apps.views.queries import gaps, lookup, sql
from apps.views.queries.oldest import oldest_below
from fustor_schema import paths


def freshness_of(tree: Tree, now: float) -> freshness.Freshness:
    """The freshness of a tree, its open gaps counted."""
    return freshness.of_tree(tree, len(gaps.open_gaps(tree)), now)


def stats_answer(tree: Tree, key: str, now: float) -> dict[str, Any]:
    """`stats` with the freshness of the tree."""
    fresh = freshness_of(tree, now)
    return {**stats(tree, key, now), "max_unverified_age": fresh.max_unverified_age, "freshness": fresh.payload()}


def stats(tree: Tree, key: str, now: float) -> dict[str, Any]:
    """What `stats` answers for the directory at a path (its subtree, itself excluded). Raises NotFound, Invalid.

    `staleness_seconds`: now − last verification of the scope. `latency_ms`: event observed → visible.
    """
    directories, files, size, suspects, is_blind, is_auditing = _figures(tree, key)
    return {
        "path": paths.display(key),
        "item_count": files + directories,
        "total_files": files,
        "total_directories": directories,
        "total_size": size,
        "latency_ms": tree.last_event_latency_ms or 0.0,
        "staleness_seconds": staleness(tree, key, now),
        "oldest_item_path": oldest_below(tree, key, directories),
        "has_blind_spot": bool(is_blind),
        "suspect_file_count": suspects,
        "logical_now": watermark.logical_now(tree.clock, now),
        "last_audit_finished_at": tree.last_audit_finished_at,
        "audit_cycle_count": tree.audit_cycle_count,
        "is_auditing": bool(is_auditing),
        "unverified": gaps.shown(tree, key),
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
    if verified is None:
        return None
    lost = (gap.opened_at / 1000 for gap in gaps.touching(tree, key))
    return max(0.0, now - min((verified, *lost)))


def _figures(tree: Tree, key: str) -> sql.Row:
    """(directories, files, bytes, suspects, blind spot?, audit?) of a directory, in one statement. Raises NotFound, Invalid."""
    low, high = sql.below(key)
    within = "path >= %s AND path < %s AND (path = %s OR path > %s)"
    row = sql.fetch_one(
        "SELECT total_directories, total_files, total_bytes, "
        f"(SELECT COUNT(*) FROM {sql.SUSPECT} WHERE tree_id = %s AND {within}), "
        f"EXISTS (SELECT 1 FROM {sql.BLIND_SPOT} WHERE tree_id = %s AND closed_at IS NULL AND {within}), "
        f"EXISTS (SELECT 1 FROM {sql.AUDIT} WHERE tree_id = %s AND state = 'OPEN') "
        f"FROM {sql.DIRECTORY} WHERE tree_id = %s AND path = %s",
        (*((tree.pk, key, high, key, low) * 2), tree.pk, tree.pk, key),
    )
    if row is None:
        raise lookup.no_directory(tree, key)
    return row
