"""Lines of tables: sessions and jobs as plain values, the same on every board that lists them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef, QuerySet, Window
from django.db.models.functions import RowNumber

from apps.sessions.boards.told import RunningScan, running_scans
from apps.sessions.models import Job, Leadership, Session
from apps.sessions.services import facts, liveness
from apps.sessions.sight import Sight
from apps.sessions.status import Status
from apps.views.models import Tree
from fustor_schema import pipestate
from fustor_schema.pipestate import PipeState

_PHASES = (PipeState.SNAPSHOT, PipeState.MESSAGE, PipeState.AUDIT)
_OVERLAYS = (PipeState.CONF_OUTDATED, PipeState.RECONNECTING)


@dataclass(frozen=True)
class SessionLine:
    """One session. `leads`: the scopes it leads, as `view` or `view / scope`; `last_heard`: Unix seconds; `scans`: what it said
    with its last heartbeat."""

    number: int
    status: Status
    masked_id: str
    pipe: str
    agent: str
    task_id: str
    live: bool
    leads: tuple[str, ...]
    lifecycle: str
    phases: tuple[str, ...]
    overlays: tuple[str, ...]
    protocol: int
    can_realtime: bool
    created_at: datetime
    last_heard: float
    ended_at: datetime | None
    end_cause: str
    timeout_seconds: int
    events: int
    rows: int
    scans: tuple[RunningScan, ...]

    @property
    def role(self) -> str:
        """`leader` when it leads at least one scope."""
        return "leader" if self.leads else "follower"


@dataclass(frozen=True)
class JobLine:
    """One job. `percentage` is known only when an earlier run of the same kind says how much there is; never over 99."""

    id: str
    status: Status
    kind: str
    kind_label: str
    state: str
    open: bool
    trigger: str
    actor: str
    pipe: str
    view: str
    path: str
    found: int | None
    per_second: float | None
    directory: str
    percentage: int | None
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None


def live_sessions(sight: Sight) -> QuerySet[Session]:
    """Live sessions with what a line needs, in two queries; those that lead something in sight first, each by age."""
    led = Leadership.objects.filter(sight.within("tree__view"), session=OuterRef("pk"))
    return sessions(sight).filter(ended_at=None).annotate(led=Exists(led)).order_by("-led", "number")


def first_of_each(of: QuerySet[Session], group: str, most: int) -> QuerySet[Session]:
    """The first `most` live sessions (of `live_sessions`) of each pipe, or each agent: whatever the column `group` says."""
    place = Window(RowNumber(), partition_by=F(group), order_by=("-led", "number"))
    return of.annotate(place=place).filter(place__lte=most)


def sessions(sight: Sight) -> QuerySet[Session]:
    """Sessions with what a line needs, in two queries."""
    return sight.sessions().select_related("pipe").prefetch_related("leaderships__tree__view")


def session_lines(of: Iterable[Session], sight: Sight) -> list[SessionLine]:
    """The lines of sessions that came from `sessions()`; one query and one look into Redis for all of them."""
    found = list(of)
    heard = liveness.last_seen([session for session in found if session.ended_at is None])
    statuses = facts.session_statuses(found, sight, heard)
    return [
        _session_line(session, sight, statuses[session.number], heard.get(session.number, session.last_active_at.timestamp()))
        for session in found
    ]


def _session_line(session: Session, sight: Sight, status: Status, heard: float) -> SessionLine:
    state = PipeState(session.state)
    return SessionLine(
        number=session.number,
        status=status,
        masked_id=session.masked_id,
        pipe=session.pipe.slug,
        agent=session.agent_name,
        task_id=session.task_id,
        live=session.ended_at is None,
        leads=tuple(_scope(term.tree) for term in session.leaderships.all() if sight.sees(term.tree.view_id)),
        lifecycle=pipestate.label(pipestate.lifecycle(state)),
        phases=_names(state, _PHASES),
        overlays=_names(state, _OVERLAYS),
        protocol=session.protocol,
        can_realtime=session.can_realtime,
        created_at=session.created_at,
        last_heard=heard,
        ended_at=session.ended_at,
        end_cause=session.get_end_cause_display(),
        timeout_seconds=session.timeout_seconds,
        events=session.events,
        rows=session.rows,
        scans=running_scans(session) if session.ended_at is None else (),
    )


def _names(state: PipeState, flags: Sequence[PipeState]) -> tuple[str, ...]:
    return tuple(pipestate.label(flag) for flag in flags if state & flag)


def names_of_states(states: Iterable[int]) -> frozenset[str]:
    """The names of all life cycles, phases and overlays in these states."""
    seen = [PipeState(state) for state in states]
    lit = {pipestate.label(pipestate.lifecycle(state)) for state in seen}
    return frozenset(lit.union(*(_names(state, (*_PHASES, *_OVERLAYS)) for state in seen)))


def _scope(tree: Tree) -> str:
    return f"{tree.view.slug} / {tree.scope}" if tree.scope else tree.view.slug


def jobs(sight: Sight) -> QuerySet[Job]:
    """Jobs with what a line needs, newest first, in one query."""
    return sight.jobs().select_related("pipe", "tree__view").order_by("-created_at")


def job_line(job: Job, sight: Sight, now: datetime) -> JobLine:
    """The line of a job that came from `jobs()`."""
    found = job.progress.get("found", job.result.get("rows"))
    return JobLine(
        id=str(job.pk),
        status=facts.job_status(job),
        kind=job.kind,
        kind_label=job.get_kind_display(),
        state=job.state,
        open=job.is_open,
        trigger=job.get_trigger_display(),
        actor=job.actor,
        pipe=job.pipe.slug,
        view=job.tree.view.slug if job.tree and sight.sees(job.tree.view_id) else "",
        path=job.path,
        found=found,
        per_second=job.progress.get("per_second"),
        directory=job.progress.get("directory", ""),
        percentage=percentage(found, job.previous_total) if job.is_open else None,
        error=job.error,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        seconds=((job.finished_at or now) - job.started_at).total_seconds() if job.started_at else None,
    )


def percentage(found: int | None, previous_total: int | None) -> int | None:
    """How far a job probably is, judged by the count of the run before; capped at 99, None when there is nothing to judge by."""
    if found is None or not previous_total:
        return None
    return min(99, found * 100 // previous_total)
