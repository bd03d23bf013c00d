"""What was lost: jobs whose lease ran out, whose agent went, whose deadline passed. Called by tasks every second or so.

The broker took 95 s to give back a killed worker's message; so our leases decide, and the broker only carries.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from apps.runtime.clock import now_datetime
from apps.sessions.models import Command, Job
from apps.sessions.services import jobs
from apps.sessions.services.scans import leader_of

MOST_ATTEMPTS = 2
CANCEL_PATIENCE = timedelta(seconds=10)


def recover() -> int:
    """Requeue or end every job that nobody runs any more; how many were touched."""
    touched = 0
    for job in _lost():
        with transaction.atomic():
            touched += _recover_one(job)
    return touched


def give_back(worker: str, silence: timedelta = timedelta()) -> int:
    """The worker is gone: its leases end now and not when they would run out; how many jobs were touched.

    `silence`: only jobs that it has not reported on for so long. One that seems gone and is not is told so with its next report.
    """
    moment = now_datetime()
    unreported = moment + timedelta(seconds=jobs.LEASE_SECONDS) - silence
    held = Job.objects.filter(worker=worker, state__in=(Job.State.LEASED, Job.State.RUNNING), lease_until__lte=unreported)
    return recover() if held.update(lease_until=moment) else 0


def _lost() -> list[Job]:
    moment = now_datetime()
    lease_lost = Q(state__in=(Job.State.LEASED, Job.State.RUNNING), lease_until__lte=moment)
    too_late = Q(deadline__lte=moment)
    orphaned = Q(session__isnull=True) | Q(session__ended_at__isnull=False)
    # its command is over and the job was never taken: the agent could not start it
    dropped = Q(state=Job.State.QUEUED, delivery=Job.Delivery.COMMAND) & ~Exists(
        Command.objects.filter(job=OuterRef("pk"), finished_at__isnull=True)
    )
    lost = Job.objects.filter(lease_lost | too_late | orphaned | dropped, state__in=Job.OPEN)
    return list(lost.select_related("session__pipe", "tree__view", "pipe"))


def _recover_one(job: Job) -> bool:
    moment = now_datetime()
    if job.cancel_requested:
        return jobs.finish(job, Job.State.CANCELLED, error="Cancelled; its worker did not answer any more.")
    if job.deadline is not None and job.deadline <= moment:
        return jobs.finish(job, Job.State.EXPIRED, error="Not finished before its deadline.")
    if job.session is None or job.session.ended_at is not None:
        return _without_session(job)
    reason = _why_lost(job)
    if job.attempt >= MOST_ATTEMPTS:
        return jobs.finish(job, Job.State.FAILED, error=f"{reason} It was the second attempt.")
    return jobs.requeue(job, job.session, reason)


def _why_lost(job: Job) -> str:
    if job.state != Job.State.QUEUED:
        return f"The worker {job.worker or '(unnamed)'} was lost."
    said = job.commands.exclude(error="").values_list("error", flat=True).first()
    return f"The agent never took it: {said}" if said else "The agent never took it."


def _without_session(job: Job) -> bool:
    """A scan goes to whoever leads now; a phase ends, for the new leader gets its own where one is needed."""
    successor = leader_of(job.tree) if job.tree is not None else None
    if job.kind == Job.Kind.SCAN and successor is not None and job.attempt < MOST_ATTEMPTS:
        return jobs.requeue(job, successor, f"{job.task_id} went away before it was done.")
    why = f"The session of {job.task_id} ended before it was done"
    return jobs.finish(job, Job.State.EXPIRED, error=why + (", and nobody else can do it." if successor is None else "."))
