"""How fresh a tree is: `live`, `degraded(reason)`, `offline(since)`. Pure.

Said in a header and in `stats`, never by refusing (R25).
"""

from dataclasses import dataclass
from enum import StrEnum

from apps.views.models import Tree


class State(StrEnum):
    """The three words of the freshness header."""

    LIVE = "live"
    DEGRADED = "degraded"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Freshness:
    """Times in Unix seconds of the server, ages in seconds. `as_of`: when the last claim was applied or scan completed."""

    state: State
    reason: str
    since: float | None
    as_of: float | None
    max_unverified_age: float | None

    @property
    def degraded(self) -> bool:
        """True unless live."""
        return self.state is not State.LIVE

    def header(self) -> str:
        """The value of `X-Fustor-Freshness`."""
        parts = [self.state.value]
        if self.since is not None:
            parts.append(f"since={self.since:.3f}")
        if self.reason:
            parts.append(f'reason="{self.reason}"')
        return "; ".join(parts)

    def payload(self) -> dict[str, object]:
        """The `freshness` field of an answer."""
        return {
            "state": self.state.value,
            "degraded": self.degraded,
            "degraded_reason": self.reason or None,
            "since": self.since,
            "as_of": self.as_of,
            "max_unverified_age": self.max_unverified_age,
        }


def of_tree(tree: Tree, open_gaps: int, now: float) -> Freshness:
    """The freshness of one tree at `now` (Unix seconds)."""
    state, reason, since = _state(tree, open_gaps)
    return Freshness(state, reason, since, as_of(tree), _age(tree.deep_verified_at, now))


def of_view(members: list[Freshness]) -> Freshness:
    """The freshness of several trees together: as bad as the worst."""
    order = [State.LIVE, State.DEGRADED, State.OFFLINE]
    worst = max(members, key=lambda member: order.index(member.state))
    ages = [member.max_unverified_age for member in members]
    known = [member.as_of for member in members if member.as_of is not None]
    age = None if None in ages else max(age for age in ages if age is not None)
    return Freshness(worst.state, worst.reason, worst.since, min(known, default=None), age)


def as_of(tree: Tree) -> float | None:
    """When anything last confirmed what the tree says."""
    times = (tree.last_event_at, tree.last_audit_finished_at, tree.last_snapshot_at)
    return max((time for time in times if time is not None), default=None)


def _state(tree: Tree, open_gaps: int) -> tuple[State, str, float | None]:
    if tree.live_sessions == 0:
        return State.OFFLINE, "no agent is connected", tree.offline_since
    if tree.source_lost:
        return State.DEGRADED, f"source lost: {tree.source_lost}", None
    if tree.leader_session is None:
        return State.DEGRADED, "no session leads, so nothing scans", tree.leaderless_since
    if open_gaps:
        return State.DEGRADED, f"{open_gaps} parts are unverified since events were lost", None
    if tree.capacity_exceeded:
        return State.DEGRADED, "the view is full, new nodes are refused", None
    return State.LIVE, "", None


def _age(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(0.0, now - moment)
