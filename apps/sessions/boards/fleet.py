"""The board of the overview: every pipe with who feeds it and what it feeds, counts, what runs now."""

from dataclasses import dataclass

from apps.pipes.models import Pipe
from apps.runtime import clock
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import JobLine, SessionLine, job_line, jobs, live_sessions, session_line
from apps.views.models import Directory, Tree, View
from fustor_schema import paths

JOBS_SHOWN = 6


@dataclass(frozen=True)
class PipeLine:
    """One pipe and its ends."""

    slug: str
    name: str
    enabled: bool
    paused: bool
    receiver: str
    views: tuple[str, ...]
    sessions: tuple[SessionLine, ...]


@dataclass(frozen=True)
class ViewLine:
    """One view with its totals. Times are Unix seconds."""

    slug: str
    name: str
    enabled: bool
    complete: bool
    live_sessions: int
    files: int
    octets: int
    last_event_at: float | None


@dataclass(frozen=True)
class FleetState:
    """What the overview shows."""

    pipes: tuple[PipeLine, ...]
    views: tuple[ViewLine, ...]
    jobs: tuple[JobLine, ...]
    open_jobs: int

    @property
    def sessions(self) -> int:
        """Live sessions."""
        return sum(len(pipe.sessions) for pipe in self.pipes)

    @property
    def leaders(self) -> int:
        """Live sessions that lead something."""
        return sum(bool(line.leads) for pipe in self.pipes for line in pipe.sessions)

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
        return FleetState(
            pipes=pipe_lines(),
            views=view_lines(),
            jobs=tuple(job_line(job, now) for job in jobs()[:JOBS_SHOWN]),
            open_jobs=jobs().filter(finished_at=None).count(),
        )


def pipe_lines() -> tuple[PipeLine, ...]:
    """Every pipe, in four queries."""
    by_pipe: dict[str, list[SessionLine]] = {}
    for session in live_sessions():
        by_pipe.setdefault(session.pipe.slug, []).append(session_line(session))
    return tuple(
        PipeLine(
            slug=pipe.slug,
            name=pipe.name,
            enabled=pipe.enabled,
            paused=pipe.paused,
            receiver=pipe.receiver.slug,
            views=tuple(view.slug for view in pipe.views.all()),
            sessions=tuple(sorted(by_pipe.get(pipe.slug, ()), key=lambda line: (not line.leads, line.number))),
        )
        for pipe in Pipe.objects.select_related("receiver").prefetch_related("views")
    )


def view_lines() -> tuple[ViewLine, ...]:
    """Every view with the totals of its trees, in three queries."""
    trees: dict[int, list[Tree]] = {}
    for tree in Tree.objects.all():
        trees.setdefault(tree.view_id, []).append(tree)
    roots = {root.tree_id: root for root in Directory.objects.filter(path=paths.ROOT)}
    return tuple(_view_line(view, trees.get(view.pk, []), roots) for view in View.objects.all())


def _view_line(view: View, trees: list[Tree], roots: dict[int, Directory]) -> ViewLine:
    present = [roots[tree.pk] for tree in trees if tree.pk in roots]
    return ViewLine(
        slug=view.slug,
        name=view.name,
        enabled=view.enabled,
        complete=any(tree.snapshot_complete_at for tree in trees),
        live_sessions=sum(tree.live_sessions for tree in trees),
        files=sum(root.total_files for root in present),
        octets=sum(root.total_bytes for root in present),
        last_event_at=max((tree.last_event_at for tree in trees if tree.last_event_at), default=None),
    )
