"""Audits and sentinels that were due while nobody could run them: on record, one job per outage, so their absence is explained.

Called by a task every other second. A skipped job has no task: nobody ever had it. It keeps nothing waiting once somebody leads.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from apps.pipes.models import Pipe
from apps.runtime import hints
from apps.runtime.clock import now, now_datetime
from apps.sessions.models import Job, Leadership
from apps.sessions.services import phases
from apps.sessions.services.trees import pipes_feeding
from apps.views.models import Suspect, Tree

NOBODY_LEADS = "Not run: no session led when it was due."
PAUSED = "Not run: the pipe was paused when it was due."


def record() -> int:
    """Note every phase that is due and cannot be run; how many."""
    return sum(
        _skip_if_due(tree, pipe, kind, interval, reason)
        for tree, pipe, reason in _unserved()
        for kind, interval in ((Job.Kind.AUDIT, pipe.audit_interval_sec), (Job.Kind.SENTINEL, pipe.sentinel_interval_sec))
    )


def _unserved() -> Iterator[tuple[Tree, Pipe, str]]:
    """Trees with something to audit that nobody leads, or whose leader's pipe is paused, each with a pipe that feeds it."""
    known = Tree.objects.filter(snapshot_complete_at__isnull=False, view__enabled=True).order_by("pk")
    led = Leadership.objects.filter(session__ended_at__isnull=True, session__isnull=False)
    for tree in known.exclude(pk__in=led.values("tree")):
        pipe = Pipe.objects.filter(pk__in=pipes_feeding(tree), enabled=True).order_by("pk").first()
        if pipe is not None:
            yield tree, pipe, PAUSED if pipe.paused else NOBODY_LEADS
    for term in led.filter(session__pipe__paused=True, tree__in=known).select_related("session__pipe", "tree"):
        assert term.session is not None
        yield term.tree, term.session.pipe, PAUSED


def _skip_if_due(tree: Tree, pipe: Pipe, kind: Job.Kind, interval: float, reason: str) -> bool:
    if not _is_due(tree, kind, interval) or (kind == Job.Kind.SENTINEL and not _has_suspects(tree)):
        return False
    with transaction.atomic():
        # another worker may have found it too
        Tree.objects.select_for_update(of=("self",), no_key=True).get(pk=tree.pk)
        if not _is_due(tree, kind, interval):
            return False
        _note(tree, pipe, kind, reason)
    return True


def _is_due(tree: Tree, kind: Job.Kind, interval: float) -> bool:
    if _jobs(tree, kind).filter(finished_at=None).exists():
        return False
    last = _last(tree, kind)
    return phases.is_due(_turn_of(last) if last else None, interval, tree.pk, now_datetime())


def _last(tree: Tree, kind: Job.Kind) -> Job | None:
    return _jobs(tree, kind).order_by("-created_at").first()


def _jobs(tree: Tree, kind: Job.Kind) -> QuerySet[Job]:
    """What counts as a turn of this kind: a snapshot stands for an audit."""
    kinds = (Job.Kind.SNAPSHOT, Job.Kind.AUDIT) if kind == Job.Kind.AUDIT else (kind,)
    return Job.objects.filter(tree=tree, kind__in=kinds)


def _turn_of(job: Job) -> datetime:
    """When this job's turn was: of one that stands for several skipped ones, the last."""
    return job.finished_at if job.was_skipped and job.finished_at is not None else job.created_at


def _has_suspects(tree: Tree) -> bool:
    return Suspect.objects.filter(tree=tree, until__lte=now()).exists()


def _note(tree: Tree, pipe: Pipe, kind: Job.Kind, reason: str) -> None:
    last, moment = _last(tree, kind), now_datetime()
    if last is not None and last.was_skipped and last.error == reason:
        last.finished_at, last.result = moment, {"turns": last.result.get("turns", 1) + 1}
        last.save(update_fields=["finished_at", "result"])
    else:
        last = Job.objects.create(
            kind=kind,
            state=Job.State.EXPIRED,
            trigger=Job.Trigger.SCHEDULE,
            pipe=pipe,
            tree=tree,
            epoch=tree.epoch,
            created_at=moment,
            finished_at=moment,
            result={"turns": 1},
            error=reason,
        )
    hints.changed("fleet", f"pipe.{pipe.pk}", f"view.{tree.view_id}", f"job.{last.pk}")
