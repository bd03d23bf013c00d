"""Why every member of a forest says what it says of a path, and who uses how much of it in all of them (R51)."""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from apps.views.forest import MemberState, state_of
from apps.views.freshness import Freshness, of_view
from apps.views.models import Tree, View
from apps.views.queries import cursors, lookup, sql, usage
from apps.views.queries.explain import explain
from apps.views.queries.forests import members, no_directory_in, trusted
from apps.views.queries.scope import incomplete
from apps.views.queries.stats import freshness_of
from apps.views.queries.whole_forest import from_cursor
from fustor_schema import paths


def explain_all(view: View, key: str, now: float) -> tuple[dict[str, Any], Freshness]:
    """The explanation of every member, with `status` as everywhere, and all in one `state` and `summary`. Raises Unavailable."""
    freshness = {tree: freshness_of(tree, now) for tree in members(view)}
    explained = [_explained(tree, key, fresh) for tree, fresh in freshness.items()]
    answer = {
        "view_id": view.slug,
        "path": paths.display(key),
        "path_b64": paths.to_base64(key) if paths.is_escaped(key) else None,
        "state": _state(explained),
        "summary": f"{paths.display(key)} is {_summary(explained)}.",
        "members": explained,
    }
    return answer, of_view(list(freshness.values()))


def _explained(tree: Tree, key: str, freshness: Freshness) -> dict[str, Any]:
    about = {"pipe_id": tree.scope, "freshness": freshness.payload()}
    if tree.snapshot_complete_at is None:
        why = incomplete(tree.view, tree).detail
        return {**about, "status": MemberState.UNKNOWN.value, "state": "unknown", "summary": why}
    found = explain(tree, key)
    if found["state"] == "present":
        return {**about, "status": MemberState.PRESENT.value, **found}
    return {**about, "status": state_of(None, trusted=trusted(tree, key, freshness)).value, **found}


def _state(explained: Sequence[dict[str, Any]]) -> str:
    """`present` when any member has it, `deleted` when none might and some member remembers the delete, else `unknown`."""
    statuses = {member["status"] for member in explained}
    if MemberState.PRESENT in statuses:
        return "present"
    is_gone = MemberState.UNKNOWN not in statuses and any(member["state"] == "deleted" for member in explained)
    return "deleted" if is_gone else "unknown"


def _summary(explained: Sequence[dict[str, Any]]) -> str:
    by_status: dict[str, list[str]] = defaultdict(list)
    for member in explained:
        by_status[member["status"]].append(member["pipe_id"])
    return "; ".join(f"{state} in {', '.join(by_status[state])}" for state in MemberState if state in by_status)


class _Side(NamedTuple):
    """A member that was asked about a directory. `row`: the directory; without it `about` says why."""

    tree: Tree
    row: sql.Row | None
    about: dict[str, Any]
    freshness: Freshness


def usage_by_owner(view: View, key: str, now: float) -> tuple[dict[str, Any], Freshness]:
    """Files and bytes per uid below a directory in all members together, and the totals of each.

    `complete`: no member is unknown. Raises NotFound, Invalid, Unavailable.
    """
    sides = _sides(view, key, now)
    found = [(side.row[0], side.row[3], side.row[5]) for side in sides if side.row]
    files, size = sum(row[1] for row in found), sum(row[2] for row in found)
    answer = {
        "view_id": view.slug,
        "path": paths.display(key),
        "by": usage.By.OWNER.value,
        "total_files": files,
        "total_bytes": size,
        **usage.owners_of([row[0] for row in found], files, size),
        "complete": _all_known(sides),
        "members": [{**side.about, **_totals(side)} for side in sides],
    }
    return answer, of_view([side.freshness for side in sides])


def _totals(side: _Side) -> dict[str, Any]:
    return {"total_files": side.row[3], "total_bytes": side.row[5], "as_of_seq": side.tree.change_seq} if side.row else {}


def usage_by_age(view: View, key: str, cursor: str | None, now: float) -> tuple[dict[str, Any], Freshness]:
    """Files and bytes per age below a directory, member after member, in the time that one tree may take.

    `ages` are of the members that carry `ages` in this answer; `next_cursor`: add the next answer's figures to these.
    `complete`: none follows, and no member is unknown. Raises NotFound, Invalid, Gone, Unavailable.
    """
    sides = _sides(view, key, now)
    deadline = time.monotonic() + usage.BUDGET_SECONDS
    counted: dict[str, dict[str, Any]] = {}
    following: str | None = None
    known = {side.tree.pk for side in sides if side.row}
    for tree in from_cursor([side.tree for side in sides if side.tree.snapshot_complete_at is not None], cursor):
        if tree.pk in known:
            if counted and time.monotonic() > deadline:
                following = cursors.start(tree, usage.age_question(key)).text()
                break
            part = usage.by_age(tree, key, cursor, now, deadline - time.monotonic())
            counted[tree.scope] = {name: part[name] for name in ("ages", "storage_time", "as_of_seq")}
            following = part["next_cursor"]
            if following is not None:
                break
        cursor = None
    answer = {
        "view_id": view.slug,
        "path": paths.display(key),
        "by": usage.By.AGE.value,
        "ages": usage.summed([part["ages"] for part in counted.values()]),
        "next_cursor": following,
        "complete": following is None and _all_known(sides),
        "members": [{**side.about, **counted.get(side.tree.scope, {})} for side in sides],
    }
    return answer, of_view([side.freshness for side in sides])


def _sides(view: View, key: str, now: float) -> list[_Side]:
    """Every member's directory at a path. Raises NotFound or Invalid when all of them know that there is none, Unavailable."""
    sides = [_side(tree, key, freshness_of(tree, now)) for tree in members(view)]
    if all(side.row is None and side.about["status"] != MemberState.UNKNOWN for side in sides):
        other = next((side for side in sides if side.about["status"] == MemberState.PRESENT), sides[0])
        raise lookup.no_directory(other.tree, key)
    return sides


def _side(tree: Tree, key: str, freshness: Freshness) -> _Side:
    row = lookup.directory_row(tree, key) if tree.snapshot_complete_at is not None else None
    said = {"status": MemberState.PRESENT.value} if row else no_directory_in(tree, key, freshness)
    return _Side(tree, row, {"pipe_id": tree.scope, **said, "freshness": freshness.payload()}, freshness)


def _all_known(sides: Sequence[_Side]) -> bool:
    return all(side.about["status"] != MemberState.UNKNOWN for side in sides)
