"""Lists, verdicts and changes over all members of a forest, as if it were one tree; figures and copies are in `forests` (R51).

Lists go through the members by pipe id. A member without a complete snapshot cannot be asked: lists name it as unsearched.
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from apps.runtime.problems import Gone, Invalid
from apps.views.forest import MemberState, state_of
from apps.views.freshness import Freshness, of_view
from apps.views.models import BlindSpot, Tree, View
from apps.views.queries import cursors, lookup, search
from apps.views.queries.blind_spots import QUESTION, BlindSpots, blind_spots, counts_of
from apps.views.queries.changes import Change, feed
from apps.views.queries.evidence import evidence_of_many
from apps.views.queries.forests import members, trusted
from apps.views.queries.scope import incomplete
from apps.views.queries.settled import Verdict, judge, payload
from apps.views.queries.stats import freshness_of
from apps.views.queries.suspects import suspects
from fustor_schema import paths


class Listed(NamedTuple):
    """One page over the members. `unsearched`: pipe ids of members that could not be asked."""

    entries: list[Any]
    next_cursor: str | None
    unsearched: list[str]
    freshness: Freshness


class _Part(NamedTuple):
    """What one member adds to a page, and where it goes on."""

    entries: list[Any]
    next_cursor: str | None


def search_all(view: View, question: search.SearchQuestion, cursor: str | None, limit: int, now: float) -> Listed:
    """A search in every member, in the time that one tree may take. Raises Invalid, Gone, Unavailable."""
    deadline = time.monotonic() + search.BUDGET_SECONDS

    def ask(tree: Tree, at: str | None, left: int) -> _Part:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            return _Part([], at or cursors.start(tree, question.digest).text())
        hits = search.search(tree, question, at, left, seconds)
        return _Part(hits.nodes, hits.next_cursor)

    return _in_turn(members(view), question.digest, cursor, limit, ask, now)


def suspects_all(view: View, key: str, cursor: str | None, limit: int, now: float) -> Listed:
    """The suspects of every member. Raises Invalid, Gone, Unavailable."""

    def ask(tree: Tree, at: str | None, left: int) -> _Part:
        page = suspects(tree, key, at, left)
        return _Part(page.entries, page.next_cursor)

    return _in_turn(members(view), cursors.question_of("suspects", key), cursor, limit, ask, now)


def blind_spots_all(view: View, key: str, cursor: str | None, limit: int, now: float) -> tuple[BlindSpots, Listed]:
    """The blind spots of every member: counts of all, one page of entries. Raises Invalid, Gone, Unavailable."""
    asked, pages = members(view), []

    def ask(tree: Tree, at: str | None, left: int) -> _Part:
        page = blind_spots(tree, key, at, left)
        pages.append(page)
        return _Part(page.records, page.next_cursor)

    listed = _in_turn(asked, cursors.question_of(QUESTION, key), cursor, limit, ask, now)
    counts: Counter[str] = Counter()
    for tree in asked:
        counts.update(counts_of(tree, key))
    spots = BlindSpots(
        additions_count=counts[BlindSpot.Change.ADDED],
        additions=[node for page in pages for node in page.additions],
        deletion_count=counts[BlindSpot.Change.DELETED],
        deletions=[path for page in pages for path in page.deletions],
        modified_count=counts[BlindSpot.Change.MODIFIED],
        modified=[node for page in pages for node in page.modified],
        records=listed.entries,
        next_cursor=listed.next_cursor,
        as_of_seq=None,
    )
    return spots, listed


def _in_turn(
    asked: list[Tree], question: str, cursor: str | None, limit: int, ask: Callable[[Tree, str | None, int], _Part], now: float
) -> Listed:
    """A page from one member after the other. The cursor is that of the member where the next page goes on."""
    complete = [tree for tree in asked if tree.snapshot_complete_at is not None]
    entries: list[Any] = []
    following: str | None = None
    for tree in from_cursor(complete, cursor):
        if len(entries) == limit:
            following = cursors.start(tree, question).text()
            break
        part = ask(tree, cursor, limit - len(entries))
        entries += part.entries
        if part.next_cursor is not None:
            following = part.next_cursor
            break
        cursor = None
    unsearched = [tree.scope for tree in asked if tree.snapshot_complete_at is None]
    return Listed(entries, following, unsearched, forest_freshness(asked, now))


def from_cursor(complete: list[Tree], cursor: str | None) -> list[Tree]:
    """The members from the one that a cursor belongs to. Raises Invalid, Gone."""
    if not cursor:
        return complete
    tree = cursors.tree_of(cursor)
    position = next((number for number, member in enumerate(complete) if member.pk == tree), None)
    if position is None:
        raise Gone("The member where this cursor goes on is gone.", code="cursor_expired", fix="Start again without a cursor.")
    return complete[position:]


def forest_freshness(asked: list[Tree], now: float) -> Freshness:
    """How fresh the members are together: as bad as the worst."""
    return of_view([freshness_of(tree, now) for tree in asked])


_WORST_FIRST = (Verdict.CHANGING, Verdict.UNKNOWN, Verdict.SETTLED)


def settled_all(view: View, key: str, quiet_seconds: float | None, now: float) -> dict[str, Any]:
    """The verdict on a path in every member, and on all: settled only where every member that has it, or might, says so.

    Raises NotFound when every member knows that the path is not there, Unavailable.
    """
    asked = members(view)
    wanted = view.hot_file_threshold if quiet_seconds is None else quiet_seconds
    verdicts = [_member_verdict(tree, key, wanted, now) for tree in asked]
    states = {verdict["state"] for verdict in verdicts if verdict["status"] != MemberState.MISSING}
    if not states:
        raise lookup.absent(key)
    return {
        "view_id": view.slug,
        "path": paths.display(key),
        "state": next(verdict.value for verdict in _WORST_FIRST if verdict.value in states),
        "quiet_seconds": wanted,
        "reasons": [{**reason, "member": verdict["pipe_id"]} for verdict in verdicts for reason in verdict["reasons"]],
        "members": verdicts,
        "freshness": forest_freshness(asked, now).payload(),
    }


def _member_verdict(tree: Tree, key: str, quiet_seconds: float, now: float) -> dict[str, Any]:
    """What one member says: `status` present, missing or unknown; without the path its `state` is unknown."""
    known = evidence_of_many(tree, [key], now) if tree.snapshot_complete_at is not None else {}
    if key in known:
        answer = payload(known[key], judge(known[key], quiet_seconds, now), quiet_seconds)
        return {"pipe_id": tree.scope, "status": MemberState.PRESENT.value, **answer}
    if tree.snapshot_complete_at is None:
        state, reason = MemberState.UNKNOWN, {"code": "snapshot_incomplete", "detail": incomplete(tree.view, tree).detail}
    else:
        state = state_of(None, trusted=trusted(tree, key, freshness_of(tree, now)))
        reason = {"code": "path_not_found", "detail": lookup.absent(key).detail}
    reasons = [] if state is MemberState.MISSING else [reason]
    return {"pipe_id": tree.scope, "status": state.value, "state": Verdict.UNKNOWN.value, "reasons": reasons}


class MemberReset(msgspec.Struct, kw_only=True):
    """What was known of one member is void: read its tree anew. `seq`: where its feed stands."""

    member: str
    seq: int
    reason: str


class ForestFeed(msgspec.Struct, kw_only=True):
    """Changes of all members behind `since`, each member's in order. Ask again with `since=next_seq`.

    `since`, `next_seq`: `pipe:seq,pipe:seq`. `reset` true: read anew what `resets` names.
    """

    view_id: str
    since: str
    next_seq: str
    changes: list[Change]
    more: bool
    reset: bool
    resets: list[MemberReset]


def feed_all(view: View, since: str | None, key: str, limit: int) -> ForestFeed:
    """The change feeds of all members in one, mingled by time. Without `since`: only where they stand. Raises Invalid."""
    asked = members(view)
    positions = {tree.scope: tree.change_seq for tree in asked} if since is None else _parsed(since)
    following: dict[str, int] = {}
    resets = [
        MemberReset(member=member, seq=0, reason="this pipe is no member of the forest any more")
        for member in positions
        if member not in {tree.scope for tree in asked}
    ]
    more, heard = False, []
    for tree in asked:
        # a member that the reader never heard of begins at its beginning: it is told to read it anew
        found = feed(tree, positions.get(tree.scope, 0), key, limit)
        following[tree.scope], more = found.next_seq, more or found.more
        heard.append([(change.at, tree.scope, change.seq, change) for change in found.changes])
        if found.reset:
            resets.append(MemberReset(member=tree.scope, seq=found.next_seq, reason=found.reset_reason or ""))
    merged = [(member, change) for _, member, _, change in heapq.merge(*heard)]
    for member, change in reversed(merged[limit:]):
        following[member], more = change.seq - 1, True
    return ForestFeed(
        view_id=view.slug,
        since=_text(positions),
        next_seq=_text(following),
        changes=[change for _, change in merged[:limit]],
        more=more,
        reset=bool(resets),
        resets=resets,
    )


def _text(positions: dict[str, int]) -> str:
    return ",".join(f"{member}:{seq}" for member, seq in positions.items())


def _parsed(since: str) -> dict[str, int]:
    return dict(_pairs(since))


def _pairs(since: str) -> Iterator[tuple[str, int]]:
    for part in since.split(","):
        member, _, seq = part.rpartition(":")
        if not member or not (seq.isascii() and seq.isdigit() and len(seq) < 19):
            raise Invalid(
                "This is no position in the feed of a forest.",
                field="since",
                fix="Send `next_seq` of the answer before, or nothing.",
            )
        yield member, int(seq)
