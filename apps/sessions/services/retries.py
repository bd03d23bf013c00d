"""Run a job again. Called by the console and the management API."""

from apps.runtime.problems import Conflict
from apps.sessions.models import Job
from apps.sessions.services import jobs
from apps.sessions.services.scans import leader_of


def retry(job: Job, actor: str) -> Job:
    """A new job like this one, for whoever leads now. Raises Conflict when the old one is open, or nobody leads."""
    if job.is_open:
        raise Conflict(f"The job is {job.get_state_display()}.", code="job_is_open", fix="Wait for it, or cancel it first.")
    leader = leader_of(job.tree) if job.tree is not None else None
    if leader is None or job.tree is None:
        raise Conflict("Nobody leads, so nobody can run it.", code="no_leader", fix="Start an agent and try again.")
    order = jobs.Order(Job.Kind(job.kind), Job.Trigger.PERSON, actor, job.path, job.recursive, retry_of=job)
    return jobs.create(job.tree, leader, order)
