"""The bound that the trees of a forest share, over batches that run side by side (R54). Called at the end of an ingestion.

A batch sees what others committed before it began, so two of two members could fill the same room. Whoever added nodes waits here,
last of all, until the others that did so are committed, and counts once more.
"""

from collections.abc import Iterable
from typing import NamedTuple

from apps.runtime.problems import Busy
from apps.views.models import Tree
from apps.views.store import trees
from apps.views.store.dialect import dialect


class Bound(NamedTuple):
    """At most so many nodes in all trees of a view."""

    view_id: int
    most: int


def shared_bound(tree: Tree) -> Bound | None:
    """The bound that a tree shares with others; None when there is none, or it is the tree's alone."""
    most = tree.view.max_nodes
    return Bound(tree.view_id, most) if tree.scope and most is not None else None


def hold(bounds: Iterable[Bound]) -> None:
    """Check bounds that this transaction's batch added to. Raises Busy: others filled the room meanwhile, so send it again.

    It waits while it holds the locks of its trees: last of all, and in the order of views, so no two wait for each other.
    """
    for bound in sorted(set(bounds)):
        dialect().take_turn(bound.view_id)
        if trees.nodes_of(bound.view_id) > bound.most:
            raise Busy(
                "The forest filled up while this batch was applied, so nothing of it was applied.",
                code="filled_meanwhile",
                fix="Send the same batch again.",
                retry_after=1,
            )
