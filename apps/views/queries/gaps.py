"""Open gaps of a tree: parts that are unverified until they are scanned again (R37). Read once per tree object."""

from typing import NamedTuple

from apps.views.models import Tree
from apps.views.queries import sql
from fustor_schema import paths

MOST_SHOWN = 100
_KEPT = "open_gaps"


class OpenGap(NamedTuple):
    """A part that is unverified. `opened_at` in server ms."""

    path: str
    reason: str
    opened_at: int


def open_gaps(tree: Tree) -> list[OpenGap]:
    """All open gaps, oldest first. The first call reads them; a tree object, which keeps them, lives as long as one request."""
    kept: list[OpenGap] | None = tree.__dict__.get(_KEPT)
    if kept is None:
        rows = sql.fetch(
            f"SELECT path, reason, opened_at FROM {sql.GAP} WHERE tree_id = %s AND closed_at IS NULL ORDER BY opened_at", (tree.pk,)
        )
        kept = tree.__dict__[_KEPT] = [OpenGap(*row) for row in rows]
    return kept


def touching(tree: Tree, key: str) -> list[OpenGap]:
    """Open gaps at a path, below it, or above it."""
    return [gap for gap in open_gaps(tree) if paths.is_within(gap.path, key) or paths.is_within(key, gap.path)]


def shown(tree: Tree, key: str) -> list[dict[str, object]]:
    """The gaps that touch a path as answers show them, at most 100. `since` in Unix seconds."""
    return [
        {"path": paths.display(gap.path), "reason": gap.reason, "since": gap.opened_at / 1000}
        for gap in touching(tree, key)[:MOST_SHOWN]
    ]
