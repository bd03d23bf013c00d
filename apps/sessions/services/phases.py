"""Which phase has to run when: the first snapshot, the audit of a new term, due audits and sentinels, and phases run by hand.

Only for agents of protocol 3; an old agent runs its phases on its own account. Called when a term begins (services.leadership), by
a task every other second, and by the console.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet

from apps.pipes.models import Pipe
from apps.runtime.clock import now, now_datetime
from apps.runtime.problems import Conflict
from apps.sessions.models import Job, Leadership, LeadershipChange
from apps.sessions.models.leadership import LeadershipCause
from apps.sessions.services import jobs
from apps.views.models import Suspect, Tree
from fustor_schema.sources import PROTOCOL_V3

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0
JITTER_SHARE = 0.1
PHASES = (Job.Kind.SNAPSHOT, Job.Kind.AUDIT, Job.Kind.SENTINEL)


def plan() -> int:
    """Create every phase job that is due; how many."""
    terms = Leadership.objects.filter(session__protocol__gte=PROTOCOL_V3, session__ended_at__isnull=True)
    found = terms.select_related("session__pipe", "tree__view").order_by("tree_id")
    return sum(plan_term(term) is not None for term in found if term.session and not term.session.pipe.paused)


def plan_term(term: Leadership) -> Job | None:
    """The phase job that this term needs now, created; None when it needs none, or one is under way."""
    session, tree = term.session, term.tree
    if session is None or session.protocol < PROTOCOL_V3 or _is_covered(term):
        return None
    if Job.objects.filter(tree=tree, kind__in=PHASES, state__in=Job.OPEN).exists():
        return None
    order = _snapshot_order(term) or _audit_order(term) or _sentinel_order(term)
    return jobs.create(tree, session, order) if order is not None else None


def _is_covered(term: Leadership) -> bool:
    """One scan feeds all views of its pipe: the session's first led tree stands for the others that want nothing of their own."""
    first = Leadership.objects.filter(session=term.session).order_by("tree_id").first()
    return first is not None and first.pk != term.pk and _wants_snapshot(first.tree) == _wants_snapshot(term.tree)


def _wants_snapshot(tree: Tree) -> bool:
    return tree.snapshot_complete_at is None


def _snapshot_order(term: Leadership) -> jobs.Order | None:
    if not _wants_snapshot(term.tree) or not _may_try_again(term.tree, Job.Kind.SNAPSHOT):
        return None
    return jobs.Order(Job.Kind.SNAPSHOT, _trigger_of(term))


def _audit_order(term: Leadership) -> jobs.Order | None:
    if _wants_snapshot(term.tree) or not _may_try_again(term.tree, Job.Kind.AUDIT):
        return None
    scans = _given(term.tree, Job.Kind.SNAPSHOT, Job.Kind.AUDIT)
    if not scans.filter(epoch=term.epoch, state=Job.State.DONE).exists():
        return jobs.Order(Job.Kind.AUDIT, _trigger_of(term))  # what changed while nobody watched
    assert term.session is not None
    interval = term.session.pipe.audit_interval_sec
    last = scans.order_by("-created_at").values_list("created_at", flat=True).first()
    return jobs.Order(Job.Kind.AUDIT, Job.Trigger.SCHEDULE) if is_due(last, interval, term.tree.pk, now_datetime()) else None


def _sentinel_order(term: Leadership) -> jobs.Order | None:
    assert term.session is not None
    last = _last(term.tree, Job.Kind.SENTINEL)
    due = is_due(last.created_at if last else None, term.session.pipe.sentinel_interval_sec, term.tree.pk, now_datetime())
    if not due or not Suspect.objects.filter(tree=term.tree, until__lte=now()).exists():
        return None
    return jobs.Order(Job.Kind.SENTINEL, Job.Trigger.SCHEDULE)


def is_due(last: datetime | None, interval_seconds: float, seed: int, at: datetime) -> bool:
    """Whether a periodic phase is due. An interval of 0 means never.

    The interval is stretched by up to 10 %, differently for every tree and every run, so that many trees do not scan in step.
    """
    if interval_seconds <= 0:
        return False
    if last is None:
        return True
    spread = zlib.crc32(f"{seed}:{last.timestamp():.0f}".encode()) / 0xFFFFFFFF
    return at >= last + timedelta(seconds=interval_seconds * (1 + JITTER_SHARE * spread))


def _may_try_again(tree: Tree, kind: Job.Kind) -> bool:
    """False while a phase that failed rests: 5 s after the first failure, twice that after each further one, 5 minutes at most."""
    recent = list(_given(tree, kind).order_by("-created_at")[:8])
    failures = 0
    for job in recent:
        if job.state not in (Job.State.FAILED, Job.State.EXPIRED, Job.State.CANCELLED):
            break
        failures += 1
    if not failures or recent[0].finished_at is None:
        return True
    if recent[0].epoch != tree.epoch:  # another term, another agent: no reason to wait
        return True
    rest = min(FIRST_RETRY_SECONDS * 2 ** (failures - 1), LONGEST_RETRY_SECONDS)
    return recent[0].finished_at + timedelta(seconds=rest) <= now_datetime()


def _last(tree: Tree, kind: Job.Kind) -> Job | None:
    return _given(tree, kind).order_by("-created_at").first()


def _given(tree: Tree, *kinds: Job.Kind) -> QuerySet[Job]:
    """The jobs of these kinds that somebody had: what was skipped for want of a leader keeps nothing waiting."""
    return Job.objects.filter(tree=tree, kind__in=kinds).exclude(task_id="")


def _trigger_of(term: Leadership) -> Job.Trigger:
    change = LeadershipChange.objects.filter(tree=term.tree, epoch=term.epoch).exclude(task_id="").first()
    begun_by_itself = change is None or change.cause in (LeadershipCause.OPENED, LeadershipCause.SUPERSEDED)
    return Job.Trigger.START if begun_by_itself else Job.Trigger.FAILOVER


def run_now(pipe: Pipe, kind: Job.Kind, actor: str) -> Job:
    """Run a phase on the pipe's leader now. Raises Conflict without a leader, for an old agent, or when one is under way."""
    led_here = Leadership.objects.filter(session__pipe=pipe, session__ended_at__isnull=True)
    term = led_here.select_related("session__pipe", "tree__view").order_by("tree_id").first()
    if term is None or term.session is None:
        raise Conflict(
            f"No session of {pipe.slug} leads, so nobody can run a {kind}.",
            code="no_leader",
            fix="Start an agent, or wait for the failover.",
        )
    if term.session.protocol < PROTOCOL_V3:
        raise Conflict(
            f"{term.session.task_id} speaks protocol 2 and runs its {kind} on its own schedule.",
            code="not_supported",
            fix="Ask for a scan of / instead.",
        )
    return jobs.create(term.tree, term.session, jobs.Order(kind, Job.Trigger.PERSON, actor))


def why_waiting(leading_protocols: Sequence[int], paused: bool) -> str:
    """Why no phase is planned on a pipe, in words; empty when nothing stands in the way. `leading_protocols`: one per leader."""
    if paused:
        return "the pipe is paused"
    if not leading_protocols:
        return "no session leads"
    if max(leading_protocols) < PROTOCOL_V3:
        return "the agent speaks protocol 2 and keeps its own schedule"
    return ""
