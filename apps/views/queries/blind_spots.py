"""Changes that only scans saw: exact counts, bounded pages (R41, R46, R54)."""

from typing import Any

import msgspec
from django.db.models import Sum

from apps.views.models import BlindSpot, Tree
from apps.views.queries import cursors
from apps.views.queries.lookup import nodes_at
from apps.views.queries.nodes import DirectoryNode, Node
from apps.views.queries.within import within
from fustor_schema import paths

QUESTION = "blind-spots"


class BlindSpots(msgspec.Struct):
    """The open blind spots. Counts are of all; the lists hold one page. `records` says of each what, when and by which audit.

    `as_of_seq`: None over a whole forest, whose members count each for itself.
    """

    additions_count: int
    additions: list[Node | DirectoryNode]
    deletion_count: int
    deletions: list[str]
    modified_count: int
    modified: list[Node | DirectoryNode]
    records: list[dict[str, Any]]
    next_cursor: str | None
    as_of_seq: int | None


def blind_spots(tree: Tree, key: str, cursor_text: str | None, limit: int) -> BlindSpots:
    """Open blind spots at a path or below it, oldest record first. Raises Invalid, Gone."""
    cursor = cursors.resume(cursor_text, tree, cursors.question_of(QUESTION, key))
    spots = within(BlindSpot.objects.filter(tree=tree, closed_at=None), key)
    after = int(cursor.position[0]) if cursor.position else 0
    found = list(spots.filter(pk__gt=after).order_by("pk")[: limit + 1])
    page = found[:limit]
    counts = counts_of(tree, key)
    nodes = nodes_at(tree, [spot.path for spot in page if _is_of_a_node(spot)])
    return BlindSpots(
        additions_count=counts.get(BlindSpot.Change.ADDED, 0),
        additions=_of(page, BlindSpot.Change.ADDED, nodes),
        deletion_count=counts.get(BlindSpot.Change.DELETED, 0),
        deletions=[paths.display(spot.path) for spot in page if spot.change == BlindSpot.Change.DELETED and not spot.aggregate],
        modified_count=counts.get(BlindSpot.Change.MODIFIED, 0),
        modified=_of(page, BlindSpot.Change.MODIFIED, nodes),
        records=[{**record(spot), "member": tree.scope or None} for spot in page],
        next_cursor=cursors.after(cursor, str(page[-1].pk)).text() if len(found) > limit else None,
        as_of_seq=cursor.as_of_seq,
    )


def counts_of(tree: Tree, key: str) -> dict[str, int]:
    """How many changes of each kind are open at a path or below it; a kind without any is left out."""
    spots = within(BlindSpot.objects.filter(tree=tree, closed_at=None), key)
    return dict(spots.order_by().values_list("change").annotate(Sum("count")))


def record(spot: BlindSpot) -> dict[str, Any]:
    """One blind spot as answers and pages show it; an aggregate stands for `count` in the directory. Times in Unix seconds."""
    return {
        "path": paths.display(spot.path),
        "path_b64": paths.to_base64(spot.path) if paths.is_escaped(spot.path) else None,
        "aggregate": spot.aggregate,
        "type": "directory" if spot.is_directory else "file",
        "kind": spot.change,
        "count": spot.count,
        "detected_at": spot.detected_at,
        "audit": spot.audit,
        "closed_at": spot.closed_at,
        "closed_by": spot.closed_by or None,
    }


def _is_of_a_node(spot: BlindSpot) -> bool:
    """Whether a node stands at the record's path for it."""
    return not spot.aggregate and spot.change != BlindSpot.Change.DELETED


def _of(page: list[BlindSpot], change: str, nodes: dict[str, Node | DirectoryNode]) -> list[Node | DirectoryNode]:
    return [nodes[spot.path] for spot in page if spot.change == change and _is_of_a_node(spot) and spot.path in nodes]
