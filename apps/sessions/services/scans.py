"""On-demand scans: asked for by people, readers of the API and the rules (rechecks); coalesced, bounded, routed (R45, R52, R54)."""

import uuid

from django.db import transaction

from apps.runtime.clock import now_ms
from apps.runtime.problems import Busy, Unavailable
from apps.sessions.models import Job, Leadership, Session
from apps.sessions.services import jobs
from apps.views.models import Recheck, Tree, View
from fustor_schema.paths import is_within

MOST_OPEN_PER_TREE = 50
RECHECKS_AT_ONCE = 20
RECHECK_AGAIN_MS = 60_000


def request_scan(view: View, path: str, recursive: bool, actor: str, trigger: Job.Trigger = Job.Trigger.API) -> str:
    """Have the leader of every tree of the view scan `path`; the id of the request, for /views/{id}/jobs/{id}.

    Where a scan that covers the path is under way on every tree, its request is used. Raises Unavailable when no agent that
    could scan is connected, and Busy when too many scans wait (429).
    """
    with transaction.atomic():
        trees = Tree.objects.select_for_update(of=("self",), no_key=True).select_related("view").filter(view=view).order_by("pk")
        scanners = [(tree, leader) for tree in trees if (leader := leader_of(tree)) is not None]
        if not scanners:
            raise Unavailable(
                f"No agent of {view.slug} is connected, so nobody can scan.",
                code="no_leader",
                fix="Start an agent.",
                retry_after=10,
            )
        uncovered = [(tree, leader) for tree, leader in scanners if covering(tree, path, recursive) is None]
        if not uncovered:
            known = covering(scanners[0][0], path, recursive)
            assert known is not None
            return str(known.request)
        request = uuid.uuid4()
        for tree, leader in uncovered:
            _create(tree, leader, jobs.Order(Job.Kind.SCAN, trigger, actor, path, recursive, request))
    return str(request)


def pending_scan(view: View, path: str) -> str | None:
    """The request of a scan under way that covers the path; None when there is none."""
    under_way = Job.objects.filter(tree__view=view, kind=Job.Kind.SCAN, state__in=Job.OPEN).order_by("tree", "created_at")
    known = next((job for job in under_way if _covers(job, path, recursive=False)), None)
    return None if known is None else str(known.request)


def covering(tree: Tree, path: str, recursive: bool) -> Job | None:
    """A scan job under way on the tree that will answer for the path (and, if `recursive`, for all below it)."""
    under_way = Job.objects.filter(tree=tree, kind=Job.Kind.SCAN, state__in=Job.OPEN).order_by("created_at")
    return next((job for job in under_way if _covers(job, path, recursive)), None)


def _covers(job: Job, path: str, recursive: bool) -> bool:
    same = job.path == path and (job.recursive or not recursive)
    # one that has begun may have passed the path already
    return same or (job.recursive and job.state == Job.State.QUEUED and is_within(path, job.path))


def leader_of(tree: Tree) -> Session | None:
    """The live session that leads the tree."""
    leadership = Leadership.objects.filter(tree=tree, session__ended_at__isnull=True).select_related("session__pipe").first()
    return leadership.session if leadership else None


def _is_full(tree: Tree) -> bool:
    return Job.objects.filter(tree=tree, kind=Job.Kind.SCAN, state__in=Job.OPEN).count() >= MOST_OPEN_PER_TREE


def _create(tree: Tree, leader: Session, order: jobs.Order) -> Job:
    if _is_full(tree):
        raise Busy(
            f"{MOST_OPEN_PER_TREE} scans of {tree.view.slug} wait already.",
            code="too_many_scans",
            fix="Wait for them, or scan a directory above.",
            retry_after=10,
        )
    return jobs.create(tree, leader, order)


def ask_rechecks() -> int:
    """Turn what the rules want looked at again into scans, a few at a time; how many were asked for."""
    due = Recheck.objects.filter(wanted_at__lte=now_ms()).exclude(asked_at__gt=now_ms() - RECHECK_AGAIN_MS)
    trees = Tree.objects.filter(pk__in=due.values("tree"), leader_session__isnull=False).select_related("view")
    return sum(_ask_for_tree(tree) for tree in trees)


def _ask_for_tree(tree: Tree) -> int:
    leader = leader_of(tree)
    if leader is None:
        return 0
    wanted = Recheck.objects.filter(tree=tree, wanted_at__lte=now_ms()).exclude(asked_at__gt=now_ms() - RECHECK_AGAIN_MS)
    asked = 0
    with transaction.atomic():
        for recheck in _broadest_first(list(wanted.order_by("wanted_at")[: 10 * RECHECKS_AT_ONCE]))[:RECHECKS_AT_ONCE]:
            if covering(tree, recheck.path, recheck.recursive) is None:
                if _is_full(tree):
                    continue  # it stays due, and other trees have their turn
                actor = f"rules: {recheck.reason}"[:200]
                _create(tree, leader, jobs.Order(Job.Kind.SCAN, Job.Trigger.GAP, actor, recheck.path, recheck.recursive))
            Recheck.objects.filter(pk=recheck.pk).update(asked_at=now_ms())
            asked += 1
    return asked


def _broadest_first(rechecks: list[Recheck]) -> list[Recheck]:
    """Without those that a recursive one of the list covers."""
    broad = [recheck for recheck in rechecks if recheck.recursive]
    return [
        recheck
        for recheck in rechecks
        if not any(other is not recheck and other.path != recheck.path and is_within(recheck.path, other.path) for other in broad)
    ]
