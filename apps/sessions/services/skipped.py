"""Audits and sentinels that were due while nobody could run them: on record, one job per outage, so their absence is explained.

Called by a task every other second. A skipped job has no task: nobody ever had it. It keeps nothing waiting once somebody leads.
"""

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, QuerySet, Subquery, When

from apps.pipes.models import Pipe, PipeView
from apps.runtime import hints
from apps.runtime.clock import now, now_datetime
from apps.sessions.models import Job, Leadership
from apps.sessions.services import phases
from apps.sessions.services.trees import scope_of
from apps.views.models import Suspect, Tree

NOBODY_LEADS = "Not run: no session led when it was due."
PAUSED = "Not run: the pipe was paused when it was due."
# what counts as a turn of a kind: a snapshot stands for an audit
_TURNS = {Job.Kind.AUDIT: (Job.Kind.SNAPSHOT, Job.Kind.AUDIT), Job.Kind.SENTINEL: (Job.Kind.SENTINEL,)}


def record() -> int:
    """Note every phase that is due and cannot be run; how many. A constant number of queries while none is due."""
    return sum(
        _skip_if_due(tree, pipe, kind, interval, reason)
        for tree, pipe, reason in _unserved()
        for kind, interval in ((Job.Kind.AUDIT, pipe.audit_interval_sec), (Job.Kind.SENTINEL, pipe.sentinel_interval_sec))
        if _is_due(tree, kind, interval)
    )


def _unserved() -> Iterator[tuple[Tree, Pipe, str]]:
    """Trees with something to audit that nobody leads, or whose leader's pipe is paused, each with a pipe that feeds it."""
    known = _with_turns(Tree.objects.filter(snapshot_complete_at__isnull=False, view__enabled=True))
    led = Leadership.objects.filter(session__ended_at__isnull=True, session__isnull=False)
    alone = list(known.exclude(pk__in=led.values("tree")).order_by("pk"))
    feeding = _first_pipes(alone)
    for tree in alone:
        if (pipe := feeding.get(tree.pk)) is not None:
            yield tree, pipe, PAUSED if pipe.paused else NOBODY_LEADS
    paused = {term.tree_id: term.session for term in led.filter(session__pipe__paused=True).select_related("session__pipe")}
    for tree in known.filter(pk__in=paused).order_by("pk"):
        leader = paused[tree.pk]
        assert leader is not None
        yield tree, leader.pipe, PAUSED


def _first_pipes(trees: list[Tree]) -> dict[int, Pipe]:
    """By tree: the first of the pipes that feed it (as `trees.pipes_feeding`)."""
    links = PipeView.objects.filter(view__in={tree.view_id for tree in trees}, pipe__enabled=True, pipe__receiver__enabled=True)
    by_scope: dict[tuple[int, str], Pipe] = {}
    for link in links.select_related("pipe", "view").order_by("pipe_id"):
        by_scope.setdefault((link.view_id, scope_of(link.view.driver, link.pipe)), link.pipe)
    return {tree.pk: pipe for tree in trees if (pipe := by_scope.get((tree.view_id, tree.scope))) is not None}


def _with_turns(trees: QuerySet[Tree]) -> QuerySet[Tree]:
    """The trees with what `_is_due` asks: per kind whether a job is open, and when the last turn was; of a job that stands for
    several skipped turns (`Job.was_skipped`), the last of them."""
    skipped = When(state=Job.State.EXPIRED, task_id="", finished_at__isnull=False, then=F("finished_at"))
    found: dict[str, Any] = {"has_suspects": Exists(Suspect.objects.filter(tree=OuterRef("pk"), until__lte=now()))}
    for kind, kinds in _TURNS.items():
        jobs = Job.objects.filter(tree=OuterRef("pk"), kind__in=kinds)
        last = jobs.annotate(turn=Case(skipped, default=F("created_at"))).order_by("-created_at").values("turn")[:1]
        found |= {f"turn_{kind.lower()}": Subquery(last), f"open_{kind.lower()}": Exists(jobs.filter(finished_at=None))}
    return trees.annotate(**found)


def _is_due(tree: Any, kind: Job.Kind, interval: float) -> bool:
    """Whether a phase's turn has come and nothing is under way, by what came with the tree (`_with_turns`)."""
    if getattr(tree, f"open_{kind.lower()}") or (kind == Job.Kind.SENTINEL and not tree.has_suspects):
        return False
    return phases.is_due(getattr(tree, f"turn_{kind.lower()}"), interval, tree.pk, now_datetime())


def _skip_if_due(tree: Tree, pipe: Pipe, kind: Job.Kind, interval: float, reason: str) -> bool:
    with transaction.atomic():
        # another worker may have found it too
        Tree.objects.select_for_update(of=("self",), no_key=True).get(pk=tree.pk)
        if not _is_due(_with_turns(Tree.objects.filter(pk=tree.pk)).get(), kind, interval):
            return False
        _note(tree, pipe, kind, reason)
    return True


def _last(tree: Tree, kind: Job.Kind) -> Job | None:
    return Job.objects.filter(tree=tree, kind__in=_TURNS[kind]).order_by("-created_at").first()


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
