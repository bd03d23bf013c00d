"""The board of one rollout: how it stands, its waves, and what each agent made of the revision, the worst first."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, IntegerField, Value, When

from apps.pipes.models import MemberState, Rollout, RolloutMember, RolloutState
from apps.pipes.rollouts import service
from apps.runtime.problems import NotFound
from apps.sessions import status
from apps.sessions.boards.base import Board, Part
from apps.sessions.services import facts
from apps.sessions.status import Status

AGENTS_SHOWN = 200
WORST_FIRST = (
    MemberState.FAILED,
    MemberState.SENT,
    MemberState.AWAY,
    MemberState.WAITING,
    MemberState.SKIPPED,
    MemberState.RUNNING,
)


@dataclass(frozen=True)
class WaveLine:
    """One wave. `settled`: how many of its agents are neither waiting nor yet to report."""

    number: int
    name: str
    agents: int
    settled: int
    is_out: bool


@dataclass(frozen=True)
class MemberLine:
    """One agent. `runs`: the revision that it reported last."""

    agent: str
    hostname: str
    wave: int
    status: Status
    previous: int
    runs: int
    sent_at: datetime | None
    settled_at: datetime | None


@dataclass(frozen=True)
class RolloutBoardState:
    """What the page of a rollout shows."""

    number: int
    summary: str
    message: str
    status: Status
    is_open: bool
    can_roll_back: bool
    halted_because: str
    waves: tuple[WaveLine, ...]
    counts: tuple[tuple[str, int], ...]
    agents: tuple[MemberLine, ...]
    more: int
    tolerated: int
    patience_seconds: float
    pause_seconds: float
    started_by: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class RolloutBoard(Board):
    """The rollout of the revision with this number; it belongs to no single view."""

    number: int
    parts = (
        Part("rollout-summary", "rollouts/parts/summary.html"),
        Part("rollout-agents", "rollouts/parts/agents.html"),
    )

    @property
    def socket(self) -> str:
        """`/ws/rollout/<number>`."""
        return f"/ws/rollout/{self.number}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Hints of this rollout."""
        return (f"rollout.{self.number}",)

    def read(self) -> RolloutBoardState:
        """The state of now, in a constant number of queries. Raises NotFound, also for a restricted viewer."""
        if self.sight.view_ids is not None:
            raise NotFound(f"There is no rollout {self.number}.")
        rollout = service.find(self.number)
        by_wave = Counter(rollout.members.values_list("wave", "state"))
        states = Counter[str]()
        for (_wave, state), count in by_wave.items():
            states[state] += count
        shown = tuple(_member_line(member) for member in _worst_first(rollout))
        return RolloutBoardState(
            number=rollout.pk,
            summary=rollout.revision.summary,
            message=rollout.revision.message,
            status=facts.rollout_status(rollout),
            is_open=rollout.is_open,
            can_roll_back=rollout.state != RolloutState.ROLLED_BACK,
            halted_because=rollout.halted_because,
            waves=tuple(_wave_line(rollout, number, name, by_wave) for number, name in enumerate(rollout.waves, 1)),
            counts=tuple((status.MEMBERS[state].label, states[state]) for state in WORST_FIRST if states[state]),
            agents=shown,
            more=max(0, sum(states.values()) - len(shown)),
            tolerated=rollout.tolerated,
            patience_seconds=rollout.patience_seconds,
            pause_seconds=rollout.pause_seconds,
            started_by=rollout.started_by,
            started_at=rollout.started_at,
            ended_at=rollout.ended_at,
        )


def _worst_first(rollout: Rollout) -> list[RolloutMember]:
    ranks = (When(state=state, then=Value(rank)) for rank, state in enumerate(WORST_FIRST))
    found = rollout.members.select_related("agent").annotate(rank=Case(*ranks, output_field=IntegerField()))
    return list(found.order_by("rank", "wave", "agent__slug")[:AGENTS_SHOWN])


def _wave_line(rollout: Rollout, number: int, name: str, by_wave: Counter[tuple[int, str]]) -> WaveLine:
    own = {state: count for (wave, state), count in by_wave.items() if wave == number}
    open_states = (MemberState.WAITING, MemberState.SENT)
    settled = sum(count for state, count in own.items() if state not in open_states)
    return WaveLine(number, name, sum(own.values()), settled, number <= rollout.wave)


def _member_line(member: RolloutMember) -> MemberLine:
    return MemberLine(
        agent=member.agent.slug,
        hostname=member.agent.hostname,
        wave=member.wave,
        status=status.of_member(member.state, member.reason),
        previous=member.previous_revision,
        runs=member.agent.reported_revision,
        sent_at=member.sent_at,
        settled_at=member.settled_at,
    )
