"""What became of an agent in a rollout, and what the rollout does next. Pure; `service.advance` gathers the facts and obeys."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from apps.pipes.models.rollouts import MemberState

# an agent that was seen this lately is there: it could have reported
PRESENT_SECONDS = 90.0


@dataclass(frozen=True)
class MemberFacts:
    """One agent. Times are Unix seconds; `seen_at` and `reported_at` 0: never."""

    desired_revision: int
    reported_revision: int
    reported_error: str
    reported_at: float
    seen_at: float
    sent_at: float


def of_member(facts: MemberFacts, revision: int, patience_seconds: float, now: float) -> tuple[MemberState, str]:
    """The state of an agent that was sent the revision, and why."""
    has_reported = facts.reported_at >= facts.sent_at
    if has_reported and facts.reported_error:
        return MemberState.FAILED, facts.reported_error
    if facts.reported_revision >= revision:
        return MemberState.RUNNING, ""
    if facts.desired_revision > revision:
        return MemberState.SKIPPED, f"revision {facts.desired_revision} came before it reported"
    waited = now - facts.sent_at
    if waited <= patience_seconds:
        return MemberState.SENT, ""
    if now - facts.seen_at <= PRESENT_SECONDS:
        return MemberState.FAILED, f"connected, and did not report within {patience_seconds:.0f} s"
    return MemberState.AWAY, "not connected; it gets the revision when it comes back"


class Next(StrEnum):
    """What a running rollout does now."""

    WAIT = "wait"
    HALT = "halt"
    SEND = "send the next wave"
    FINISH = "finish"


def next_step(states: Iterable[MemberState], *, waves_left: bool, tolerated: int, settled_seconds: float, pause: float) -> Next:
    """`settled_seconds`: how long nothing changed; the next wave goes out when everyone settled and `pause` is over.

    Agents that are away hold nobody up.
    """
    present = list(states)
    if sum(state == MemberState.FAILED for state in present) > tolerated:
        return Next.HALT
    if MemberState.SENT in present:
        return Next.WAIT
    if not waves_left:
        return Next.FINISH
    return Next.SEND if settled_seconds >= pause else Next.WAIT
