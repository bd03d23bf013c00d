"""The board of one view: what it holds, how fresh that is, and per tree who leads and what was verified when."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Sum

from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board, Part
from apps.sessions.models import Session
from apps.sessions.services import facts
from apps.sessions.status import Status
from apps.views.models import BlindSpot, Directory, Suspect, Tree, View
from fustor_schema import paths


@dataclass(frozen=True)
class TreeLine:
    """One source scope of a view. Times are Unix seconds of the server, `lag` seconds from observed to visible."""

    scope: str
    files: int
    directories: int
    octets: int
    complete: bool
    snapshot_at: float | None
    audit_at: float | None
    audits: int
    last_event_at: float | None
    lag: float | None
    live_sessions: int
    leader: str
    epoch: int
    offline_since: float | None
    source_lost: str
    suspects: int
    blind_spots: int
    tombstones: int
    change_seq: int


@dataclass(frozen=True)
class ViewBoardState:
    """What the page of a view shows."""

    slug: str
    name: str
    driver: str
    status: Status
    live_mode: bool
    pipes: tuple[str, ...]
    trees: tuple[TreeLine, ...]

    @property
    def files(self) -> int:
        """Files of all trees."""
        return sum(tree.files for tree in self.trees)

    @property
    def directories(self) -> int:
        """Directories of all trees, without the roots."""
        return sum(tree.directories for tree in self.trees)

    @property
    def octets(self) -> int:
        """Bytes of all trees."""
        return sum(tree.octets for tree in self.trees)

    @property
    def suspects(self) -> int:
        """Files that may still be being written."""
        return sum(tree.suspects for tree in self.trees)

    @property
    def blind_spots(self) -> int:
        """Open blind spots."""
        return sum(tree.blind_spots for tree in self.trees)

    @property
    def tombstones(self) -> int:
        """Remembered deletes."""
        return sum(tree.tombstones for tree in self.trees)

    @property
    def last_event_at(self) -> float | None:
        """When the last claim was applied."""
        return max((tree.last_event_at for tree in self.trees if tree.last_event_at), default=None)


@dataclass(frozen=True)
class ViewBoard(Board):
    """The view of this slug."""

    slug: str
    for_query_keys = True
    parts = (
        Part("view-counters", "views/parts/counters.html"),
        Part("view-trees", "views/parts/trees.html"),
    )

    @property
    def socket(self) -> str:
        """`/ws/view/<slug>`."""
        return f"/ws/view/{self.slug}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Hints of this view."""
        return (f"view.{self._view().pk}",)

    def read(self) -> ViewBoardState:
        """The state of now. Raises NotFound."""
        view = self._view()
        return ViewBoardState(
            slug=view.slug,
            name=view.name,
            driver=view.get_driver_display(),
            status=facts.view_statuses([view])[view.pk],
            live_mode=view.live_mode,
            pipes=tuple(view.pipes.values_list("slug", flat=True)),
            trees=_tree_lines(view),
        )

    def _view(self) -> View:
        view = self.sight.views().filter(slug=self.slug).first()
        if view is None:
            raise NotFound(f"There is no view {self.slug}.")
        return view


def _tree_lines(view: View) -> tuple[TreeLine, ...]:
    trees = list(view.trees.order_by("scope"))
    roots = {root.tree_id: root for root in Directory.objects.filter(tree__in=trees, path=paths.ROOT)}
    suspects = _counts(Suspect.objects.filter(tree__in=trees).values_list("tree").annotate(Count("pk")))
    blind = _counts(BlindSpot.objects.filter(tree__in=trees, closed_at=None).values_list("tree").annotate(Sum("count")))
    leaders = dict(Session.objects.filter(number__in=[tree.leader_session for tree in trees]).values_list("number", "task_id"))
    return tuple(
        _tree_line(
            tree, roots.get(tree.pk), suspects.get(tree.pk, 0), blind.get(tree.pk, 0), leaders.get(tree.leader_session or 0, "")
        )
        for tree in trees
    )


def _counts(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    return dict(pairs)


def _tree_line(tree: Tree, root: Directory | None, suspects: int, blind_spots: int, leader: str) -> TreeLine:
    return TreeLine(
        scope=tree.scope,
        files=root.total_files if root else 0,
        directories=root.total_directories if root else 0,
        octets=root.total_bytes if root else 0,
        complete=tree.snapshot_complete_at is not None,
        snapshot_at=tree.last_snapshot_at,
        audit_at=tree.last_audit_finished_at,
        audits=tree.audit_cycle_count,
        last_event_at=tree.last_event_at,
        lag=tree.last_event_latency_ms / 1000 if tree.last_event_latency_ms is not None else None,
        live_sessions=tree.live_sessions,
        leader=leader,
        epoch=tree.epoch,
        offline_since=tree.offline_since,
        source_lost=tree.source_lost,
        suspects=suspects,
        blind_spots=blind_spots,
        tombstones=tree.tombstone_count,
        change_seq=tree.change_seq,
    )
