"""Open gaps of a tree: parts that are unverified until they are scanned again (R37). Read once per tree object."""

from django.db.models import Prefetch, prefetch_related_objects

from apps.views.models import Gap, Tree
from fustor_schema import paths

MOST_SHOWN = 100


def open_gaps(tree: Tree) -> list[Gap]:
    """All open gaps, oldest first. The first call reads them; a tree object lives as long as one request."""
    prefetch_related_objects([tree], Prefetch("gaps", Gap.objects.filter(closed_at=None).order_by("opened_at")))
    return list(tree.gaps.all())


def touching(tree: Tree, key: str) -> list[Gap]:
    """Open gaps at a path, below it, or above it."""
    return [gap for gap in open_gaps(tree) if paths.is_within(gap.path, key) or paths.is_within(key, gap.path)]


def shown(tree: Tree, key: str) -> list[dict[str, object]]:
    """The gaps that touch a path as answers show them, at most 100. `since` in Unix seconds."""
    return [
        {"path": paths.display(gap.path), "reason": gap.reason, "since": gap.opened_at / 1000}
        for gap in touching(tree, key)[:MOST_SHOWN]
    ]
