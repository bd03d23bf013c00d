"""`/pipe/session`: open, heartbeat, close (PROTOCOL: Sessions)."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.pipes.principals import KeyPrincipal
from apps.runtime.clock import now, now_ms
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Forbidden
from apps.sessions.api.answers import as_json
from apps.sessions.api.callers import pusher
from apps.sessions.models import Session
from apps.sessions.schemas import (
    AuthorizedAnswer,
    HeartbeatAnswer,
    HeartbeatRequest,
    SessionAnswer,
    SessionRequest,
    TerminatedAnswer,
)
from apps.sessions.services import commands, heartbeats, leadership, sessions
from fustor_schema.sources import Role

router = Router()


@router.get("/session", response=AuthorizedAnswer)
async def authorized(request: HttpRequest) -> dict[str, Any]:
    """What this key is good for."""
    return await run(Lane.CONTROL, _authorized, pusher(request))


def _authorized(principal: KeyPrincipal) -> dict[str, Any]:
    pipe = principal.pipes().order_by("pk").first()
    if pipe is None:
        raise Forbidden("This key serves no pipe.", fix="Bind the key to a pipe.")
    view_ids = _view_ids(pipe.pk, principal)
    return {
        "view_id": view_ids[0] if view_ids else None,
        "status": "authorized",
        "pipe_id": pipe.slug,
        "view_ids": view_ids,
        "server_time": now(),
    }


def _view_ids(pipe_pk: int, principal: KeyPrincipal) -> list[str]:
    return list(
        principal.pipes().filter(pk=pipe_pk, views__enabled=True).order_by("views__pk").values_list("views__slug", flat=True)
    )


@router.post("/session", response=SessionAnswer)
async def open_session(request: HttpRequest, wish: SessionRequest) -> dict[str, Any]:
    """Open a session."""
    return await run(Lane.CONTROL, _open, pusher(request), wish)


def _open(principal: KeyPrincipal, wish: SessionRequest) -> dict[str, Any]:
    client_info = dict(wish.client_info or {})
    if wish.host is not None:
        client_info["host"] = wish.host
    session = sessions.open_session(
        principal,
        sessions.Wish(
            task_id=wish.task_id,
            timeout_seconds=wish.session_timeout_seconds,
            client_info=client_info,
            protocol=wish.protocol,
            sent_at=wish.sent_at,
            root_id=wish.root_id or "",
            job_queue=wish.job_queue,
            pipe_id=wish.pipe_id,
        ),
    )
    return _opened(principal, session)


def _opened(principal: KeyPrincipal, session: Session) -> dict[str, Any]:
    epochs = leadership.epochs_of(session)
    role = Role.LEADER if epochs else Role.FOLLOWER
    return {
        "session_id": str(session.id),
        "role": role,
        "session_timeout_seconds": session.timeout_seconds,
        "heartbeat_interval": session.timeout_seconds / 2,
        "audit_interval_sec": session.pipe.audit_interval_sec,
        "sentinel_interval_sec": session.pipe.sentinel_interval_sec,
        "message": f"Session opened as {role}.",
        "protocol": session.protocol,
        "epoch": max(epochs.values(), default=0),
        "pipe_id": session.pipe.slug,
        "view_ids": _view_ids(session.pipe_id, principal),
        "committed_seq": 0,
        "resume_index": sessions.resume_index(session),
        "offset_probe": {"server_ms": now_ms()},
        "commands": commands.deliver(session),
    }


@router.post("/session/{session_id}/heartbeat", response=HeartbeatAnswer)
async def heartbeat(request: HttpRequest, session_id: str, said: HeartbeatRequest) -> HttpResponse:
    """I am alive."""
    return as_json(await run(Lane.CONTROL, _heartbeat, pusher(request), session_id, said))


def _heartbeat(principal: KeyPrincipal, session_id: str, said: HeartbeatRequest) -> dict[str, Any]:
    pulse = heartbeats.heartbeat(
        principal,
        session_id,
        heartbeats.Beat(
            can_realtime=said.can_realtime,
            agent_status=said.agent_status or {},
            job_queue=said.job_queue,
            acknowledged=tuple((report.id, report.state, report.result, report.error) for report in said.command_reports),
        ),
    )
    return {
        "status": "ok",
        "role": pulse.role,
        "message": f"Session is alive, as {pulse.role}.",
        "can_realtime": pulse.can_realtime,
        "epoch": pulse.epoch,
        "commands": pulse.commands,
    }


@router.delete("/session/{session_id}", response=TerminatedAnswer)
async def close_session(request: HttpRequest, session_id: str) -> dict[str, Any]:
    """Close a session."""
    await run(Lane.CONTROL, _close, pusher(request), session_id)
    return {"status": "terminated", "session_id": session_id}


def _close(principal: KeyPrincipal, session_id: str) -> None:
    session = sessions.find(session_id, principal)
    if session is not None:
        sessions.end(session, Session.EndCause.CLOSED)
