"""The board of one pipe: its sessions with role and phases, its jobs, who led when, which states of the state machine are lit."""

from dataclasses import dataclass
from datetime import datetime

from apps.pipes.models import Pipe
from apps.runtime import clock
from apps.runtime.problems import NotFound
from apps.sessions import arrival
from apps.sessions.arrival import Step
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import JobLine, SessionLine, job_line, jobs, leaders_first, live_sessions, session_lines
from apps.sessions.models import LeadershipChange
from apps.sessions.services import facts, phases
from apps.sessions.sight import Sight
from apps.sessions.status import Status

JOBS_SHOWN = 8
CHANGES_SHOWN = 12


@dataclass(frozen=True)
class Failover:
    """One change of leader."""

    view: str
    scope: str
    epoch: int
    leader: str
    cause: str
    actor: str
    at: datetime


@dataclass(frozen=True)
class PipeBoardState:
    """What the page of a pipe shows. `lit`: names of states that any live session is in; `unplanned`: why no phase is planned."""

    slug: str
    name: str
    status: Status
    paused: bool
    receiver: str
    views: tuple[str, ...]
    session_timeout_seconds: int
    audit_interval_sec: float
    sentinel_interval_sec: float
    allow_concurrent_push: bool
    sessions: tuple[SessionLine, ...]
    jobs: tuple[JobLine, ...]
    failovers: tuple[Failover, ...]
    arrival: tuple[Step, ...]
    lit: frozenset[str]
    unplanned: str

    @property
    def leaders(self) -> tuple[SessionLine, ...]:
        """Sessions that lead at least one scope."""
        return tuple(line for line in self.sessions if line.leads)


@dataclass(frozen=True)
class PipeBoard(Board):
    """The pipe of this slug."""

    slug: str
    parts = (
        Part("pipe-summary", "pipes/parts/summary.html"),
        Part("pipe-sessions", "pipes/parts/sessions.html"),
        Part("pipe-arrival", "pipes/parts/arrival.html"),
        Part("pipe-jobs", "pipes/parts/jobs.html"),
        Part("pipe-machine", "pipes/parts/machine.html"),
        Part("pipe-failovers", "pipes/parts/failovers.html"),
    )

    @property
    def socket(self) -> str:
        """`/ws/pipe/<slug>`."""
        return f"/ws/pipe/{self.slug}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Hints of this pipe."""
        return (f"pipe.{self._pipe().pk}",)

    def read(self) -> PipeBoardState:
        """The state of now. Raises NotFound."""
        pipe = self._pipe()
        now = clock.now_datetime()
        sessions = leaders_first(session_lines(live_sessions(self.sight).filter(pipe=pipe), self.sight))
        return PipeBoardState(
            slug=pipe.slug,
            name=pipe.name,
            status=facts.pipe_statuses([pipe], self.sight)[pipe.pk],
            paused=pipe.paused,
            receiver=pipe.receiver.slug,
            views=self.sight.slugs(pipe.views.all()),
            session_timeout_seconds=pipe.session_timeout_seconds,
            audit_interval_sec=pipe.audit_interval_sec,
            sentinel_interval_sec=pipe.sentinel_interval_sec,
            allow_concurrent_push=pipe.allow_concurrent_push,
            sessions=sessions,
            arrival=arrival.steps(arrival.facts_of(pipe, [line.status for line in sessions], self.sight)),
            jobs=tuple(job_line(job, self.sight, now) for job in jobs(self.sight).filter(pipe=pipe)[:JOBS_SHOWN]),
            failovers=_failovers(pipe, self.sight),
            unplanned=phases.why_waiting([line.protocol for line in sessions if line.leads], pipe.paused),
            lit=frozenset(name for line in sessions for name in (line.lifecycle, *line.phases, *line.overlays)),
        )

    def _pipe(self) -> Pipe:
        pipe = self.sight.pipes().select_related("receiver").filter(slug=self.slug).first()
        if pipe is None:
            raise NotFound(f"There is no pipe {self.slug}.")
        return pipe


def _failovers(pipe: Pipe, sight: Sight) -> tuple[Failover, ...]:
    changes = LeadershipChange.objects.filter(sight.within("tree__view"), tree__view__pipes=pipe, tree__scope__in=("", pipe.slug))
    return tuple(
        Failover(
            view=change.tree.view.slug,
            scope=change.tree.scope,
            epoch=change.epoch,
            leader=change.task_id,
            cause=change.get_cause_display(),
            actor=change.actor,
            at=change.at,
        )
        for change in changes.select_related("tree__view")[:CHANGES_SHOWN]
    )
