"""`/pipe/jobs/{id}`: what the worker that runs a job says: lease, progress, finish. With the key of the job's pipe."""

from typing import Any, Literal

from django.db import transaction
from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.pipes.principals import KeyPrincipal
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import NotFound
from apps.sessions.api.callers import pusher
from apps.sessions.models import Job
from apps.sessions.schemas import Request
from apps.sessions.services import jobs
from apps.sessions.storable import Record, Text

router = Router()


class LeaseRequest(Request):
    """Who wants to run the job."""

    worker: Text = Field(min_length=1, max_length=255)
    session_id: str | None = None


class LeaseAnswer(Schema):
    """The job is yours for `lease_seconds`; progress renews it."""

    job_id: str
    kind: str
    path: str
    recursive: bool
    attempt: int
    lease_seconds: int
    session_id: str
    task_id: str
    epoch: int
    audit_id: str


class ProgressRequest(Request):
    """How far it is."""

    found: int = Field(default=0, ge=0, lt=2**63)
    per_second: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    depth: int = Field(default=0, ge=0, lt=2**31)
    directory: Text = Field(default="", max_length=8192)
    log: Text = Field(default="", max_length=65_536)
    attempt: int | None = Field(default=None, ge=1, lt=2**15)


class ProgressAnswer(Schema):
    """`cancel`: stop now and finish as CANCELLED."""

    cancel: bool
    lease_seconds: int


class FinishRequest(Request):
    """How it ended."""

    state: Literal["DONE", "FAILED", "CANCELLED"]
    counts: Record = {}
    error: Text = ""
    attempt: int | None = Field(default=None, ge=1, lt=2**15)


class FinishAnswer(Schema):
    """The state that the job has now."""

    job_id: str
    state: str


@router.post("/jobs/{job_id}/lease", response=LeaseAnswer)
async def lease(request: HttpRequest, job_id: str, wish: LeaseRequest) -> dict[str, Any]:
    """Take a job."""
    return await run(Lane.CONTROL, _lease, pusher(request), job_id, wish)


def _lease(principal: KeyPrincipal, job_id: str, wish: LeaseRequest) -> dict[str, Any]:
    with transaction.atomic():
        job = jobs.lease(_own_job(principal, job_id), wish.worker, wish.session_id)
    assert job.session is not None
    return {
        "job_id": str(job.id),
        "kind": job.kind,
        "path": job.path,
        "recursive": job.recursive,
        "attempt": job.attempt,
        "lease_seconds": jobs.LEASE_SECONDS,
        "session_id": str(job.session.id),
        "task_id": job.task_id,
        "epoch": job.epoch,
        "audit_id": f"{job.id.hex}-{job.attempt}",
    }


@router.post("/jobs/{job_id}/progress", response=ProgressAnswer)
async def progress(request: HttpRequest, job_id: str, said: ProgressRequest) -> dict[str, Any]:
    """How far a job is."""
    return await run(Lane.CONTROL, _progress, pusher(request), job_id, said)


def _progress(principal: KeyPrincipal, job_id: str, said: ProgressRequest) -> dict[str, Any]:
    with transaction.atomic():
        report = jobs.Progress(**said.model_dump(exclude={"attempt"}))
        cancel = jobs.progress(_own_job(principal, job_id), report, said.attempt)
    return {"cancel": cancel, "lease_seconds": jobs.LEASE_SECONDS}


@router.post("/jobs/{job_id}/finish", response=FinishAnswer)
async def finish(request: HttpRequest, job_id: str, said: FinishRequest) -> dict[str, Any]:
    """A job is over."""
    return await run(Lane.CONTROL, _finish, pusher(request), job_id, said)


def _finish(principal: KeyPrincipal, job_id: str, said: FinishRequest) -> dict[str, Any]:
    with transaction.atomic():
        job = _own_job(principal, job_id)
        jobs.finish(job, Job.State(said.state), counts=said.counts, error=said.error, attempt=said.attempt)
    return {"job_id": str(job.id), "state": job.state}


def _own_job(principal: KeyPrincipal, job_id: str) -> Job:
    job = jobs.find(job_id)
    if not principal.may_push(job.pipe):
        raise NotFound(f"There is no job {job_id!r}.")
    return job
