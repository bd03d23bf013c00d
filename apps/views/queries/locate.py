"""Where is it? A name or a path, looked for in every view that the asker may read, each hit with its verdict (settled or not)."""

import time
from collections.abc import Iterator

import msgspec

from apps.views.access import Principal
from apps.views.models import Tree
from apps.views.queries import search
from apps.views.queries.evidence import evidence_of_many
from apps.views.queries.lookup import nodes_at
from apps.views.queries.nodes import DirectoryNode, Node
from apps.views.queries.search import SearchQuestion
from apps.views.queries.settled import Judgement, judge

BUDGET_SECONDS = 2.0


class Hit(msgspec.Struct, kw_only=True):
    """One place where it is. `member`: the pipe, in a forest."""

    view_id: str
    member: str | None
    node: Node | DirectoryNode
    state: str
    quiet_for_seconds: float
    reasons: list[dict[str, str]]


class Unsearched(msgspec.Struct, kw_only=True):
    """A tree whose hits are not all here: why, in a stable code. Not finding it there means nothing."""

    view_id: str
    member: str | None
    reason: str


class Places(msgspec.Struct, kw_only=True):
    """All hits of one look, views by name. `complete`: every readable tree was searched to its end."""

    hits: list[Hit]
    count: int
    complete: bool
    unsearched: list[Unsearched]


def locate(principal: Principal, question: SearchQuestion | str, limit: int, quiet_seconds: float | None, now: float) -> Places:
    """Look for a pattern, or for exactly one path (a key), in all readable views; at most `limit` hits per tree."""
    deadline = time.monotonic() + BUDGET_SECONDS
    places = Places(hits=[], count=0, complete=True, unsearched=[])
    views = principal.readable_views().filter(enabled=True)
    for tree in Tree.objects.filter(view__in=views).select_related("view").order_by("view__slug", "scope"):
        left = deadline - time.monotonic()
        if tree.snapshot_complete_at is None:
            _miss(places, tree, "snapshot_incomplete")
        elif left <= 0:
            _miss(places, tree, "time_is_up")
        else:
            nodes, more = _found(tree, question, limit, left)
            places.hits += _hits(tree, nodes, quiet_seconds, now)
            if more:
                _miss(places, tree, "more_hits" if len(nodes) == limit else "time_is_up")
    places.count, places.complete = len(places.hits), not places.unsearched
    return places


def _found(
    tree: Tree, question: SearchQuestion | str, limit: int, seconds: float
) -> tuple[list[tuple[str, Node | DirectoryNode]], bool]:
    if isinstance(question, str):
        return list(nodes_at(tree, [question]).items()), False
    hits = search.search(tree, question, None, limit, seconds)
    return hits.placed, hits.next_cursor is not None


def _hits(tree: Tree, nodes: list[tuple[str, Node | DirectoryNode]], quiet_seconds: float | None, now: float) -> Iterator[Hit]:
    wanted = tree.view.hot_file_threshold if quiet_seconds is None else quiet_seconds
    known = evidence_of_many(tree, [key for key, _ in nodes], now)
    for key, node in nodes:
        if key in known:  # else it went between the two reads
            yield _hit(tree, node, judge(known[key], wanted, now))


def _hit(tree: Tree, node: Node | DirectoryNode, judgement: Judgement) -> Hit:
    return Hit(
        view_id=tree.view.slug,
        member=tree.scope or None,
        node=node,
        state=judgement.verdict.value,
        quiet_for_seconds=judgement.quiet_for,
        reasons=[{"code": reason.code, "detail": reason.detail} for reason in judgement.reasons],
    )


def _miss(places: Places, tree: Tree, reason: str) -> None:
    places.unsearched.append(Unsearched(view_id=tree.view.slug, member=tree.scope or None, reason=reason))
