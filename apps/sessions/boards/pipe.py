"""The board of one pipe: its sessions with role and phases, its jobs, who led when, which states of the state machine are lit."""

from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Paginator

from apps.pipes.models import Pipe
from apps.runtime import clock
from apps.runtime.problems import NotFound
from apps.sessions import arrival
from apps.sessions.arrival import Step
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import JobLine, SessionLine, job_line, jobs, live_sessions, names_of_states, session_lines
from apps.sessions.models import LeadershipChange
from apps.sessions.services import facts, phases
from apps.sessions.sight import Sight
from apps.sessions.status import Status

SESSIONS_SHOWN = 50
FIRST_SESSIONS = 8
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
    """What the page of a pipe shows. `sessions`: those of one page out of `pages`; `leaders`: those that lead at least one scope.

    `lit`: names of states that any live session is in; `unplanned`: why no phase is planned.
    """

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
    live_sessions: int
    leaders: tuple[SessionLine, ...]
    sessions: tuple[SessionLine, ...]
    page: int
    pages: int
    jobs: tuple[JobLine, ...]
    failovers: tuple[Failover, ...]
    arrival: tuple[Step, ...]
    lit: frozenset[str]
    unplanned: str


@dataclass(frozen=True)
class PipeBoard(Board):
    """The pipe of this slug, with one page of its live sessions: what a look costs does not grow with their number."""

    slug: str
    page: int = 1
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
        """`/ws/pipe/<slug>`, of a later page `/ws/pipe/<slug>/<page>`."""
        return f"/ws/pipe/{self.slug}" + (f"/{self.page}" if self.page > 1 else "")

    @property
    def groups(self) -> tuple[str, ...]:
        """Hints of this pipe."""
        return (f"pipe.{self._pipe().pk}",)

    def read(self) -> PipeBoardState:
        """The state of now. Raises NotFound."""
        pipe = self._pipe()
        now = clock.now_datetime()
        live = live_sessions(self.sight).filter(pipe=pipe)
        chunk = Paginator(live, SESSIONS_SHOWN).get_page(self.page)
        # the first say how the pipe does, whatever page is looked at
        first = live[:FIRST_SESSIONS] if chunk.number > 1 else ()
        lines = {line.number: line for line in session_lines([*first, *chunk], self.sight)}
        sessions = tuple(lines[session.number] for session in chunk)
        leading = tuple(lines.values())[:FIRST_SESSIONS]
        leaders = tuple(line for line in leading if line.leads)
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
            live_sessions=chunk.paginator.count,
            leaders=leaders,
            sessions=sessions,
            page=chunk.number,
            pages=chunk.paginator.num_pages,
            arrival=arrival.steps(arrival.facts_of(pipe, [line.status for line in leaders or leading], self.sight)),
            jobs=tuple(job_line(job, self.sight, now) for job in jobs(self.sight).filter(pipe=pipe)[:JOBS_SHOWN]),
            failovers=_failovers(pipe, self.sight),
            unplanned=phases.why_waiting([line.protocol for line in leaders], pipe.paused),
            lit=names_of_states(live.order_by().values_list("state", flat=True).distinct()),
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
