"""The life of a job: created, leased, in progress, ended. The only place that changes the state of a Job.

A job holds a lease; whoever has not the lease cannot report on it, so delivering it twice runs it once. Delivery is
services.delivery, what has to run when is services.phases and services.scans, what was lost is found by services.leases.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from apps.runtime import hints
from apps.runtime.clock import now_datetime
from apps.runtime.problems import Conflict, NotFound
from apps.sessions.models import Job, Session
from apps.sessions.services import commands, delivery
from apps.views.models import Tree
from fustor_schema.sources import PROTOCOL_V3

LEASE_SECONDS = 30
LOG_TAIL_CHARACTERS = 20_000
DEADLINES = {
    Job.Kind.SNAPSHOT: timedelta(hours=48),
    Job.Kind.AUDIT: timedelta(hours=48),
    Job.Kind.SENTINEL: timedelta(minutes=30),
    Job.Kind.SCAN: timedelta(hours=24),
}


@dataclass(frozen=True)
class Order:
    """What is to be run, why, and on whose word."""

    kind: Job.Kind
    trigger: Job.Trigger
    actor: str = ""
    path: str = "/"
    recursive: bool = True
    request: uuid.UUID | None = None
    retry_of: Job | None = None


def create(tree: Tree, session: Session, order: Order) -> Job:
    """A new job for this session, on its way to the agent once the transaction commits.

    Raises Conflict when a phase of this kind is open on the tree already (never two at once).
    """
    job = Job(
        kind=order.kind,
        trigger=order.trigger,
        actor=order.actor,
        pipe=session.pipe,
        tree=tree,
        session=session,
        task_id=session.task_id,
        epoch=tree.epoch,
        path=order.path,
        recursive=order.recursive,
        config_version=session.pipe.version,
        retry_of=order.retry_of,
        previous_total=_total_of_last(tree, order),
        created_at=now_datetime(),
        deadline=now_datetime() + DEADLINES[order.kind],
    )
    job.request = order.request or job.id
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(
            f"A {order.kind} of {tree.view.slug} is under way already.", code="job_is_open", fix="Wait for it, or cancel it."
        ) from error
    _hint(job)
    delivery.send_after_commit(job)
    return job


def _total_of_last(tree: Tree, order: Order) -> int | None:
    done = Job.objects.filter(tree=tree, kind=order.kind, path=order.path, state=Job.State.DONE)
    return done.order_by("-finished_at").values_list("found", flat=True).first()


def find(job_id: str) -> Job:
    """The job. Raises NotFound."""
    key = parsed_id(job_id)
    job = Job.objects.select_related("pipe", "tree__view", "session").filter(id=key).first() if key else None
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.", fix="It may have been removed by retention.")
    return job


def parsed_id(job_id: object) -> uuid.UUID | None:
    """The id that a client wrote; None when it is none."""
    try:
        return uuid.UUID(job_id) if isinstance(job_id, str) else None
    except ValueError:
        return None


def lease(job: Job, worker: str, session_id: str | None = None) -> Job:
    """Give the job to a worker of the agent. Raises Conflict when it is leased, ended, or its session no longer counts."""
    if job.session is None or job.session.ended_at is not None:
        raise Conflict("The session of this job has ended.", code="session_ended", extra={"state": job.state})
    if session_id is not None and parsed_id(session_id) != job.session.id:
        raise Conflict("This job belongs to another session.", code="job_not_yours", extra={"state": job.state})
    taken = Job.objects.filter(id=job.id, state=Job.State.QUEUED, cancel_requested=False).update(
        state=Job.State.LEASED,
        worker=worker[:255],
        lease_until=now_datetime() + timedelta(seconds=LEASE_SECONDS),
        started_at=now_datetime(),
    )
    job.refresh_from_db()
    if not taken:
        raise Conflict(
            f"The job is {job.get_state_display()}; there is nothing to take.", code="job_not_free", extra={"state": job.state}
        )
    commands.job_taken(job)
    _hint(job)
    return job


@dataclass(frozen=True)
class Progress:
    """What a worker says while it runs: rows found, rows per second, depth, current directory, new lines of its log."""

    found: int = 0
    per_second: float = 0.0
    depth: int = 0
    directory: str = ""
    log: str = ""


def progress(job: Job, said: Progress, attempt: int | None = None) -> bool:
    """Renew the lease and keep the progress; True when the worker must stop. Raises Conflict when the job is not its any more.

    `attempt`: the one that the worker was given; a worker that does not say is believed.
    """
    running = Job.objects.filter(_is_attempt(attempt), id=job.id, state__in=(Job.State.LEASED, Job.State.RUNNING))
    kept = running.update(
        state=Job.State.RUNNING,
        lease_until=now_datetime() + timedelta(seconds=LEASE_SECONDS),
        found=said.found,
        progress={"per_second": said.per_second, "depth": said.depth, "directory": said.directory},
        log_tail=(job.log_tail + said.log)[-LOG_TAIL_CHARACTERS:],
    )
    job.refresh_from_db()
    if not kept and not (job.cancel_requested and attempt in (None, job.attempt)):
        raise _not_yours(job)
    _hint(job)
    return job.cancel_requested


def finish(
    job: Job, state: Job.State, *, counts: dict[str, Any] | None = None, error: str = "", attempt: int | None = None
) -> bool:
    """End the job, once. False when it had ended before: reporting again does no harm.

    Raises Conflict when another attempt than the worker's `attempt` is under way.
    """
    ended = Job.objects.filter(_is_attempt(attempt), id=job.id, state__in=Job.OPEN).update(
        state=state,
        result=counts or {},
        error=error[:2000],
        finished_at=now_datetime(),
        lease_until=None,
        **_found_by(counts),
    )
    job.refresh_from_db()
    if not ended and job.is_open:
        raise _not_yours(job)
    if ended:
        commands.job_ended(job)
        _hint(job)
    return bool(ended)


def _is_attempt(attempt: int | None) -> Q:
    return Q() if attempt is None else Q(attempt=attempt)


def _not_yours(job: Job) -> Conflict:
    return Conflict(
        f"The job is {job.get_state_display()} by now, in attempt {job.attempt}.", code="job_not_yours", extra={"state": job.state}
    )


def _found_by(counts: dict[str, Any] | None) -> dict[str, int]:
    rows = (counts or {}).get("rows")
    return {"found": rows} if isinstance(rows, int) and 0 <= rows < 2**63 else {}


def cancel(job: Job, actor: str) -> Job:
    """Ask for the end of a job. At once when nobody runs it; a worker hears of it with its next progress (≤ 2 s).

    An old agent cannot be told: its job is closed here and what it still sends is taken as ever.
    """
    if not job.is_open:
        raise Conflict(f"The job is {job.get_state_display()} already.", code="job_has_ended")
    Job.objects.filter(id=job.id).update(cancel_requested=True)
    nobody_runs_it = job.state == Job.State.QUEUED or job.session is None or job.session.protocol < PROTOCOL_V3
    if nobody_runs_it:
        finish(job, Job.State.CANCELLED, error=f"Cancelled by {actor}.")
    job.refresh_from_db()
    _hint(job)
    return job


def requeue(job: Job, session: Session, reason: str) -> bool:
    """Give the job a second attempt, with this session. Its lease must have been lost. False when another process did meanwhile."""
    unchanged = Job.objects.filter(id=job.id, state=job.state, attempt=job.attempt, lease_until=job.lease_until)
    moved = unchanged.update(
        state=Job.State.QUEUED,
        session=session,
        task_id=session.task_id,
        pipe=session.pipe,
        attempt=F("attempt") + 1,
        lease_until=None,
        worker="",
        delivery=Job.Delivery.NONE,
        delivered_at=None,
        error=reason,
    )
    if not moved:
        return False
    job.refresh_from_db()
    commands.job_ended(job)
    _hint(job)
    delivery.send_after_commit(job)
    return True


def _hint(job: Job) -> None:
    view = [f"view.{job.tree.view_id}"] if job.tree is not None else []
    hints.changed(f"job.{job.id}", f"pipe.{job.pipe_id}", "fleet", *view)
