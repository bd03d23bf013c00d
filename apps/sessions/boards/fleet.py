"""The board of the overview: what needs attention, every pipe with who feeds it and what it feeds, counts, what runs now."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Count, Q
from django.urls import reverse

from apps.pipes.models import OPEN_STATES, Pipe, Rollout
from apps.runtime import clock
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import JobLine, SessionLine, first_of_each, job_line, jobs, live_sessions, session_lines
from apps.sessions.services import facts
from apps.sessions.sight import Sight
from apps.sessions.status import Level, Status
from apps.views.models import Directory, Tree, View
from fustor_schema import paths

JOBS_SHOWN = 6
SESSIONS_SHOWN = 8
CONCERNS_SHOWN = 50


@dataclass(frozen=True)
class PipeLine:
    """One pipe and its ends. `sessions`: the first of its `live_sessions`, of whom `leaders` lead, these before the others."""

    slug: str
    name: str
    status: Status
    receiver: str
    views: tuple[str, ...]
    live_sessions: int
    leaders: int
    sessions: tuple[SessionLine, ...]


@dataclass(frozen=True)
class ViewLine:
    """One view with its totals. Times are Unix seconds."""

    slug: str
    name: str
    status: Status
    files: int
    octets: int
    last_event_at: float | None


@dataclass(frozen=True)
class Concern:
    """Something that needs attention: which object, where its page is, and what is the matter."""

    kind: str
    name: str
    url: str
    status: Status


@dataclass(frozen=True)
class FleetState:
    """What the overview shows. `concerns`: the worst of all `concern_count`."""

    concerns: tuple[Concern, ...]
    concern_count: int
    pipes: tuple[PipeLine, ...]
    views: tuple[ViewLine, ...]
    jobs: tuple[JobLine, ...]
    open_jobs: int

    @property
    def sessions(self) -> int:
        """Live sessions."""
        return sum(pipe.live_sessions for pipe in self.pipes)

    @property
    def leaders(self) -> int:
        """Live sessions that lead something."""
        return sum(pipe.leaders for pipe in self.pipes)

    @property
    def sessions_left_out(self) -> int:
        """Live sessions that no line of a pipe shows."""
        return sum(pipe.live_sessions - len(pipe.sessions) for pipe in self.pipes)

    @property
    def files(self) -> int:
        """Files known in all views."""
        return sum(view.files for view in self.views)

    @property
    def octets(self) -> int:
        """Bytes known in all views."""
        return sum(view.octets for view in self.views)


@dataclass(frozen=True)
class FleetBoard(Board):
    """Everything at a glance."""

    parts = (
        Part("fleet-concerns", "overview/parts/concerns.html"),
        Part("fleet-counts", "overview/parts/counts.html"),
        Part("fleet-lanes", "overview/parts/lanes.html"),
        Part("fleet-jobs", "overview/parts/jobs.html"),
    )

    @property
    def socket(self) -> str:
        """`/ws/fleet`."""
        return "/ws/fleet"

    @property
    def groups(self) -> tuple[str, ...]:
        """Hints of everything."""
        return ("fleet",)

    def read(self) -> FleetState:
        """The state of now, in a constant number of queries."""
        now = clock.now_datetime()
        pipes, views = pipe_lines(self.sight), view_lines(self.sight)
        latest = tuple(job_line(job, self.sight, now) for job in jobs(self.sight)[:JOBS_SHOWN])
        others = [*agent_concerns(self.sight), *rollout_concerns(self.sight)]
        worrying = concerns(pipes, views, others, latest)
        return FleetState(
            concerns=worrying[:CONCERNS_SHOWN],
            concern_count=len(worrying),
            pipes=pipes,
            views=views,
            jobs=latest,
            open_jobs=self.sight.jobs().filter(finished_at=None).count(),
        )


def agent_concerns(sight: Sight) -> list[Concern]:
    """The agents that are known and enabled, as candidates for attention."""
    agents = list(sight.agents().filter(enabled=True))
    statuses, url = facts.agent_statuses(agents, sight), reverse("agents")
    return [Concern("agent", agent.slug, url, statuses[agent.pk]) for agent in agents]


def rollout_concerns(sight: Sight) -> list[Concern]:
    """The rollouts that are open; they belong to no single view, so a restricted viewer sees none."""
    if sight.view_ids is not None:
        return []
    found = Rollout.objects.filter(state__in=OPEN_STATES)
    return [
        Concern("rollout", f"revision {rollout.pk}", reverse("rollout", args=[rollout.pk]), facts.rollout_status(rollout))
        for rollout in found
    ]


def concerns(
    pipes: Iterable[PipeLine], views: Iterable[ViewLine], agents: Iterable[Concern], latest: Iterable[JobLine]
) -> tuple[Concern, ...]:
    """What needs attention, the worst first: every view, pipe, agent and recent job that is in a warning or bad state."""
    candidates = [
        *(Concern("view", view.slug, reverse("view", args=[view.slug]), view.status) for view in views),
        *(Concern("pipe", pipe.slug, reverse("pipe", args=[pipe.slug]), pipe.status) for pipe in pipes),
        *agents,
        *(Concern("job", f"{job.kind_label} {job.path}", reverse("job", args=[job.id]), job.status) for job in latest),
    ]
    worrying = [concern for concern in candidates if concern.status.level in (Level.BAD, Level.WARN)]
    return tuple(sorted(worrying, key=lambda concern: concern.status.level != Level.BAD))


def pipe_lines(sight: Sight, some: Collection[Pipe] | None = None) -> tuple[PipeLine, ...]:
    """Every pipe in sight (or these of them), in a constant number of queries."""
    live = live_sessions(sight) if some is None else live_sessions(sight).filter(pipe__in=[pipe.pk for pipe in some])
    by_pipe: dict[str, list[SessionLine]] = {}
    for line in session_lines(first_of_each(live, "pipe", SESSIONS_SHOWN), sight):
        by_pipe.setdefault(line.pipe, []).append(line)
    grouped = live.order_by().values("pipe").annotate(sessions=Count("pk"), leaders=Count("pk", filter=Q(led=True)))
    counts = {pipe: (sessions, leaders) for pipe, sessions, leaders in grouped.values_list("pipe", "sessions", "leaders")}
    pipes = list(sight.pipes().select_related("receiver").prefetch_related("views") if some is None else some)
    statuses = facts.pipe_statuses(pipes, sight)
    return tuple(
        PipeLine(
            slug=pipe.slug,
            name=pipe.name,
            status=statuses[pipe.pk],
            receiver=pipe.receiver.slug,
            views=sight.slugs(pipe.views.all()),
            live_sessions=counts.get(pipe.pk, (0, 0))[0],
            leaders=counts.get(pipe.pk, (0, 0))[1],
            sessions=tuple(by_pipe.get(pipe.slug, ())),
        )
        for pipe in pipes
    )


def view_lines(sight: Sight, some: Collection[View] | None = None) -> tuple[ViewLine, ...]:
    """Every view in sight (or these of them) with the totals of its trees, in a constant number of queries."""
    within = sight if some is None else Sight(frozenset(view.pk for view in some))
    trees: dict[int, list[Tree]] = {}
    for tree in Tree.objects.filter(within.within("view")):
        trees.setdefault(tree.view_id, []).append(tree)
    roots = {root.tree_id: root for root in Directory.objects.filter(within.within("tree__view"), path=paths.ROOT)}
    views = list(sight.views() if some is None else some)
    statuses = facts.view_statuses(views)
    return tuple(_view_line(view, statuses[view.pk], trees.get(view.pk, []), roots) for view in views)


def _view_line(view: View, status: Status, trees: list[Tree], roots: dict[int, Directory]) -> ViewLine:
    present = [roots[tree.pk] for tree in trees if tree.pk in roots]
    return ViewLine(
        slug=view.slug,
        name=view.name,
        status=status,
        files=sum(root.total_files for root in present),
        octets=sum(root.total_bytes for root in present),
        last_event_at=max((tree.last_event_at for tree in trees if tree.last_event_at), default=None),
    )
