"""Read models for the API: pipes with their sessions, sessions of a view, jobs of a view. Session ids masked (R50)."""

from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from apps.pipes.models import Pipe
from apps.pipes.principals import KeyPrincipal
from apps.runtime.clock import now
from apps.sessions.models import Job, Leadership, Session
from apps.sessions.services import liveness
from apps.views.models import View
from fustor_schema.pipestate import PipeState, label
from fustor_schema.sources import Role


def live_sessions_of_view(view: View) -> list[dict[str, Any]]:
    """The sessions that feed the view, silent ones left out, the leaders first."""
    sessions = list(
        Session.objects.filter(pipe__views=view, ended_at__isnull=True).select_related("pipe").order_by("number").distinct()
    )
    leading = dict(Leadership.objects.filter(tree__view=view, session__isnull=False).values_list("session_id", "epoch"))
    seen = liveness.last_seen(sessions)
    living = [session for session in sessions if now() - seen[session.number] <= session.timeout_seconds]
    rows = [_session_row(session, seen[session.number], leading.get(session.number)) for session in living]
    return sorted(rows, key=lambda row: row["role"] != Role.LEADER)


def _session_row(session: Session, seen: float, epoch: int | None) -> dict[str, Any]:
    return {
        "session_id": session.masked_id,
        "task_id": session.task_id,
        "agent_id": session.agent_name,
        "pipe_id": session.pipe.slug,
        "role": Role.LEADER if epoch else Role.FOLLOWER,
        "epoch": epoch or 0,
        "protocol": session.protocol,
        "source_uri": session.source_uri,
        "can_realtime": session.can_realtime,
        "state": label(PipeState(session.state)),
        "session_timeout_seconds": session.timeout_seconds,
        "created_at": session.created_at.timestamp(),
        "last_activity": seen,
        "idle_seconds": max(0.0, now() - seen),
        "events": session.events,
        "rows": session.rows,
    }


def pipe_rows(pipes: QuerySet[Pipe]) -> list[dict[str, Any]]:
    """What the key may know of its pipes."""
    live = Count("sessions", filter=Q(sessions__ended_at__isnull=True), distinct=True)
    found = pipes.select_related("receiver").prefetch_related("views").annotate(live=live).order_by("slug")
    leaders = Leadership.objects.filter(session__pipe__in=pipes, session__ended_at__isnull=True)
    leader_of = dict(leaders.values_list("session__pipe_id", "session__task_id"))
    return [_pipe_row(pipe, leader_of.get(pipe.pk)) for pipe in found]


def _pipe_row(pipe: Pipe, leader: str | None) -> dict[str, Any]:
    on = pipe.enabled and pipe.receiver.enabled
    live: int = pipe.live  # type: ignore[attr-defined]  # annotated by pipe_rows
    return {
        "id": pipe.slug,
        "pipe_id": pipe.slug,
        "name": pipe.name,
        "receiver_id": pipe.receiver.slug,
        "view_ids": sorted(view.slug for view in pipe.views.all()),
        "state": "STOPPED" if not on else "PAUSED" if pipe.paused else "RUNNING",
        "active_sessions": live,
        "leader": leader,
        "session_timeout_seconds": pipe.session_timeout_seconds,
        "audit_interval_sec": pipe.audit_interval_sec,
        "sentinel_interval_sec": pipe.sentinel_interval_sec,
        "allow_concurrent_push": pipe.allow_concurrent_push,
    }


def push_totals(principal: KeyPrincipal) -> dict[str, Any]:
    """Sums over all sessions, living and ended, of the key's pipes."""
    sessions = Session.objects.filter(pipe__in=principal.pipes())
    names = ("batches", "events", "rows", "rejected", "duplicates")
    totals = sessions.aggregate(**{name: Sum(name) for name in names})
    return {
        "pipes": principal.pipes().count(),
        "active_sessions": sessions.filter(ended_at__isnull=True).count(),
        **{name: totals[name] or 0 for name in names},
        "server_time": now(),
    }


def jobs_of_view(view: View) -> QuerySet[Job]:
    """The jobs that work on the view: asked for on one of its trees, or phases of a pipe that feeds it."""
    phases = (Job.Kind.SNAPSHOT, Job.Kind.AUDIT, Job.Kind.SENTINEL)
    mine = Q(tree__view=view) | Q(pipe__views=view, kind__in=phases)
    return Job.objects.filter(mine).distinct()


def request_rows(view: View, limit: int, request: object | None = None) -> list[dict[str, Any]]:
    """The newest requests of the view, each with the jobs that it became; `request` (or a job's id): only that one."""
    found = jobs_of_view(view).select_related("tree").order_by("-created_at")
    if request is not None:
        found = found.filter(Q(request=request) | Q(id=request))
    grouped: dict[object, list[Job]] = {}
    for job in found[:limit]:
        grouped.setdefault(job.request, []).append(job)
    return [_request_row(view, group) for group in grouped.values()]


def _request_row(view: View, group: list[Job]) -> dict[str, Any]:
    first = group[0]
    done = sum(job.state in Job.ENDED for job in group)
    finished = [job.finished_at for job in group if job.finished_at is not None]
    return {
        "job_id": str(first.request),
        "view_id": view.slug,
        "kind": first.kind,
        "path": first.path,
        "recursive": first.recursive,
        "status": status_of(group),
        "trigger": first.trigger,
        "actor": first.actor,
        "progress": {
            "completed_pipes": done,
            "total_pipes": len(group),
            "percentage": round(100 * done / len(group)),
            "found": sum(job.found for job in group),
        },
        "error": "; ".join(job.error for job in group if job.error),
        "created_at": min(job.created_at for job in group).timestamp(),
        "completed_at": max(finished).timestamp() if len(finished) == len(group) else None,
    }


def status_of(group: list[Job]) -> str:
    """One word for a request over several trees: RUNNING until all ended, then the worst of their ends."""
    states = {job.state for job in group}
    if states & set(Job.OPEN):
        return str(Job.State.QUEUED if states == {Job.State.QUEUED} else Job.State.RUNNING)
    worst_first = (Job.State.FAILED, Job.State.EXPIRED, Job.State.CANCELLED, Job.State.DONE)
    return str(next(state for state in worst_first if state in states))
