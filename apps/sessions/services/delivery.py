"""Carry jobs to agents: by the agent's Celery queue where it listens to one, else as a command on its heartbeat.

Both carry ids only, and the worker must lease the job before it runs it, so carrying it twice does no harm. A broker that is away,
or a queue that nobody empties, turns the job into a command (R45).
"""

from datetime import timedelta

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.runtime.clock import now_datetime
from apps.sessions.models import Job, Session
from apps.sessions.services import commands

log = structlog.get_logger(__name__)

TASK = "agent_runner.run_job"
QUEUE_PATIENCE = timedelta(seconds=15)
COMMAND_OF = {
    Job.Kind.SNAPSHOT: "run_snapshot",
    Job.Kind.AUDIT: "run_audit",
    Job.Kind.SENTINEL: "run_sentinel",
    Job.Kind.SCAN: "scan",
}


def send_after_commit(job: Job) -> None:
    """Send the job when the running transaction has committed; before that no worker could find it."""
    transaction.on_commit(lambda: send(job))


def send(job: Job) -> None:
    """Send a queued job to its session's agent."""
    if job.session is None:
        return
    if not (job.session.job_queue and _by_queue(job, job.session)):
        by_command(job)


def _by_queue(job: Job, session: Session) -> bool:
    try:
        current_app.send_task(TASK, args=[str(job.id)], queue=f"agent.{session.agent_name}", retry=False)
    except (OperationalError, OSError) as error:
        log.warning("broker is away; the job goes out as a command", job=str(job.id), error=str(error))
        return False
    Job.objects.filter(id=job.id).update(delivery=Job.Delivery.QUEUE, delivered_at=now_datetime())
    return True


def by_command(job: Job) -> None:
    """Put the job on the session's next heartbeat answer."""
    assert job.session is not None
    commands.send(
        job.session, COMMAND_OF[Job.Kind(job.kind)], {"path": job.path, "recursive": job.recursive}, actor=job.actor, job=job
    )
    Job.objects.filter(id=job.id).update(delivery=Job.Delivery.COMMAND, delivered_at=now_datetime())


def send_again() -> int:
    """Jobs that no worker took from the queue in time go out as commands; so do jobs whose sending was cut short. How many."""
    old = Job.objects.filter(state=Job.State.QUEUED, created_at__lte=now_datetime() - QUEUE_PATIENCE)
    waiting = old.filter(session__isnull=False, session__ended_at__isnull=True).select_related("session__pipe")
    overdue = [job for job in waiting.exclude(delivery=Job.Delivery.COMMAND) if _is_overdue(job)]
    for job in overdue:
        by_command(job)
    return len(overdue)


def _is_overdue(job: Job) -> bool:
    return job.delivered_at is None or job.delivered_at <= now_datetime() - QUEUE_PATIENCE
