"""What agents do on their own account, recorded as jobs. Called by services.ingest inside the batch's transaction.

Protocol 2 agents start their phases themselves; and any agent's scan rows show that a job it was given is under way.
"""

import uuid
from typing import Any

import structlog
from django.db import connection
from django.db.models import F, QuerySet

from apps.runtime import hints
from apps.runtime.clock import now_datetime, now_ms
from apps.runtime.problems import Conflict
from apps.sessions.models import Job, Session
from apps.sessions.services import commands, jobs
from apps.sessions.services.leadership import epochs_of
from apps.sessions.services.ledger import Sender
from apps.sessions.services.origins import origin_of
from apps.sessions.services.trees import trees_of
from apps.views import services as views
from apps.views.models import Tree
from fustor_schema.sources import PROTOCOL_V3, SourceType
from fustor_schema.wire import Envelope

log = structlog.get_logger(__name__)

SELF_RUN = (Job.Kind.SNAPSHOT, Job.Kind.AUDIT)
_COUNT_ROWS = "UPDATE fustor_sessions_job SET found = found + %s WHERE session_id = %s AND kind = %s AND state = 'RUNNING'"

KIND_OF = {
    SourceType.SNAPSHOT: Job.Kind.SNAPSHOT,
    SourceType.AUDIT: Job.Kind.AUDIT,
    SourceType.ON_DEMAND: Job.Kind.SCAN,
    SourceType.SENTINEL: Job.Kind.SENTINEL,
}


def note_rows(sender: Sender, source: SourceType, envelope: Envelope, rows: int) -> None:
    """Count a scan batch for the job it belongs to; the end marker of a phase ends the job of an old agent."""
    if sender.protocol >= PROTOCOL_V3:
        return  # its worker reports progress by itself
    kind = KIND_OF[source]
    if not envelope.is_end and _count_rows(sender.number, kind, rows):
        return
    session = Session.objects.select_related("pipe").get(number=sender.number)
    _note_rows_slowly(session, kind, jobs.parsed_id((envelope.metadata or {}).get("job_id")), rows)
    if envelope.is_end and kind in SELF_RUN:
        end(session, kind)


def _count_rows(number: int, kind: Job.Kind, rows: int) -> bool:
    """Add to the one phase that runs; False when there is none, or it is not clear which job the rows belong to."""
    if kind not in SELF_RUN:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_ROWS, [rows, number, kind.value])
        return bool(cursor.rowcount == 1)


def _note_rows_slowly(session: Session, kind: Job.Kind, job_id: uuid.UUID | None, rows: int) -> None:
    open_jobs = Job.objects.filter(session=session, kind=kind, state__in=Job.OPEN)
    if kind == Job.Kind.SCAN and job_id is not None:
        open_jobs = open_jobs.filter(id=job_id)
    counted = open_jobs.update(state=Job.State.RUNNING, found=F("found") + rows)
    if not counted and kind in SELF_RUN and rows:
        begin(session, kind, rows)
    for job in open_jobs.filter(started_at__isnull=True):
        _started(job)


def begin(session: Session, kind: Job.Kind, rows: int = 0) -> None:
    """Record that an old leader began a phase on its own; nothing when the phase is recorded, or the session leads nothing."""
    tree = next((tree for tree in trees_of(session.pipe) if tree.leader_session == session.number), None)
    if tree is None or Job.objects.filter(tree=tree, kind=kind, state__in=Job.OPEN).exists():
        return
    moment = now_datetime()
    job = Job.objects.create(
        kind=kind,
        trigger=Job.Trigger.AGENT,
        state=Job.State.RUNNING,
        delivery=Job.Delivery.AGENT,
        pipe=session.pipe,
        tree=tree,
        session=session,
        task_id=session.task_id,
        epoch=tree.epoch,
        found=rows,
        config_version=session.pipe.version,
        created_at=moment,
        started_at=moment,
        deadline=moment + jobs.DEADLINES[kind],
    )
    hints.changed("fleet", f"job.{job.id}", f"pipe.{job.pipe_id}")


def end(session: Session, kind: Job.Kind) -> None:
    """The session's phase of this kind is over."""
    for job in _open(session, kind):
        jobs.finish(job, Job.State.DONE, counts={"rows": job.found})


def _open(session: Session, kind: Job.Kind) -> QuerySet[Job]:
    return Job.objects.filter(session=session, kind=kind, state__in=Job.OPEN).select_related("tree__view")


def _started(job: Job) -> None:
    Job.objects.filter(id=job.id, started_at__isnull=True).update(started_at=now_datetime())
    commands.job_taken(job)
    hints.changed(f"job.{job.id}", f"pipe.{job.pipe_id}")


def complete(session: Session, metadata: dict[str, Any]) -> None:
    """Take a `job_complete`: the scan of `metadata.job_id` is done and all its rows are in.

    A job that is not known (any more) is nothing to complain about: old clients take a 404 for the end of their session.
    Raises Conflict when the job belongs to another session (R45).
    """
    key = jobs.parsed_id(metadata.get("job_id"))
    job = Job.objects.select_related("tree__view", "session", "pipe").filter(id=key).first() if key else None
    if job is None:
        log.info("job_complete for a job that is not known", session=session.masked_id)
        return
    if job.session_id != session.number:
        raise Conflict("This job belongs to another session.", code="job_not_yours", extra={"state": job.state})
    if job.is_open and job.tree is not None:
        _scan_completed(session, job, job.tree)
    jobs.finish(job, Job.State.DONE, counts={"rows": job.found})


def _scan_completed(session: Session, job: Job, tree: Tree) -> None:
    started = job.started_at or job.created_at
    views.scan_completed(
        tree.pk,
        origin_of(session, epochs_of(session).get(tree.pk, 0)),
        path=job.path,
        recursive=job.recursive,
        started_ms=int(started.timestamp() * 1000),
        now_ms=now_ms(),
    )
