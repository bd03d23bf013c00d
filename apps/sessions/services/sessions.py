"""Open, find, end and expire sessions. Called by the API, the console, tasks and the services that need a live session.

Every change of who lives settles leadership in the same transaction (R24); a session that was silent for longer than its
timeout is ended exactly once, whoever looks at it first: a task, a heartbeat, a batch or a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q, QuerySet

from apps.pipes.models import Agent, AgentPipe, Pipe
from apps.pipes.principals import KeyPrincipal
from apps.runtime import hints, server_settings
from apps.runtime.clock import now, now_datetime, now_ms
from apps.runtime.problems import Conflict, Forbidden, NotFound, Problem, SessionObsolete
from apps.sessions import offsets
from apps.sessions.models import Session
from apps.sessions.models.leadership import LeadershipCause
from apps.sessions.services import agents, beats, leadership, liveness
from apps.sessions.services.glance import parsed_id
from apps.sessions.services.trees import ensure_trees
from fustor_schema.sources import negotiate

_CAUSE_OF = {
    Session.EndCause.CLOSED: LeadershipCause.CLOSED,
    Session.EndCause.EXPIRED: LeadershipCause.EXPIRED,
    Session.EndCause.SUPERSEDED: LeadershipCause.SUPERSEDED,
    Session.EndCause.ENDED: LeadershipCause.ENDED,
    Session.EndCause.DISABLED: LeadershipCause.DISABLED,
    Session.EndCause.REVOKED: LeadershipCause.REVOKED,
}


@dataclass(frozen=True)
class Wish:
    """What an agent asks for when it opens a session. Times in ms on the agent's monotonic clock."""

    task_id: str
    timeout_seconds: int | None = None
    client_info: dict[str, Any] = field(default_factory=dict)
    protocol: int | None = None
    sent_at: float | None = None
    root_id: str = ""
    job_queue: bool = False
    pipe_id: str | None = None


def open_session(principal: KeyPrincipal, wish: Wish) -> Session:
    """A new live session. An older one of the same task on the pipe is superseded (R27).

    Raises Forbidden (the key serves no pipe, or not this one; pipe, receiver, agent or agent pipe switched off) and Conflict
    (the pipe allows no concurrent push and another task holds it).
    """
    pipe = _chosen_pipe(principal, wish.pipe_id)
    _check_switched_on(principal, pipe, wish.task_id)
    received_ms = now_ms()
    try:
        with transaction.atomic():
            session = _open(principal, pipe, wish, received_ms)
    except IntegrityError as error:  # the same task opened another one in this very moment
        raise Conflict(
            f"{wish.task_id} is opening another session on {pipe.slug} just now.", code="session_race", retry_after=1
        ) from error
    return session


def _open(principal: KeyPrincipal, pipe: Pipe, wish: Wish, received_ms: int) -> Session:
    # the pipe's row is the lock of membership: two opens cannot both find the pipe free
    pipe = Pipe.objects.select_for_update(of=("self",), no_key=True).select_related("receiver").get(pk=pipe.pk)
    _expire_in_transaction(Session.objects.filter(pipe=pipe))
    live = Session.objects.filter(pipe=pipe, ended_at__isnull=True)
    if not pipe.allow_concurrent_push:
        _check_free(pipe, live.exclude(task_id=wish.task_id).first())
    superseded = [older for older in live.filter(task_id=wish.task_id) if _mark_ended(older, Session.EndCause.SUPERSEDED)]
    session = _created(principal, pipe, wish, received_ms)
    leadership.settle(ensure_trees(pipe), LeadershipCause.SUPERSEDED if superseded else LeadershipCause.OPENED)
    _hint(session)
    return session


def _check_free(pipe: Pipe, holder: Session | None) -> None:
    if holder is not None:
        raise Conflict(
            f"Pipe {pipe.slug} takes one session at a time and {holder.task_id} holds it.",
            code="pipe_is_held",
            fix="Close that session first, or allow concurrent push on the pipe.",
            extra={"held_by": holder.task_id, "pipe_id": pipe.slug},
        )


def _created(principal: KeyPrincipal, pipe: Pipe, wish: Wish, received_ms: int) -> Session:
    moment = now_datetime()
    agent_name = wish.task_id.partition(":")[0]
    timeout = granted_timeout(wish.timeout_seconds, pipe.session_timeout_seconds)
    return Session.objects.create(
        pipe=pipe,
        key=principal.key,
        agent_pipe=_configured_agent_pipe(pipe, wish.task_id),
        task_id=wish.task_id,
        agent_name=agents.seen(principal, agent_name, wish.client_info, moment),
        protocol=negotiate(wish.protocol),
        timeout_seconds=timeout,
        source_uri=str(wish.client_info.get("source_uri") or "")[:4096],
        root_id=wish.root_id,
        job_queue=wish.job_queue,
        client_info=wish.client_info,
        created_at=moment,
        last_active_at=moment,
        silent_after=moment + timedelta(seconds=timeout),
        clock=offsets.observe({}, received_ms, wish.sent_at) if wish.sent_at is not None else {},
    )


def granted_timeout(wished: int | None, of_pipe: int) -> int:
    """Seconds: the longer of the two, within the server's bounds (R26)."""
    shortest, longest = server_settings.number("session_timeout_least"), server_settings.number("session_timeout_most")
    return min(max(wished or 0, of_pipe, shortest), longest)


def resume_index(session: Session) -> int:
    """The newest event index (ms) that earlier sessions of the same task committed; 0 when there is none (R28)."""
    earlier = Session.objects.filter(pipe=session.pipe_id, task_id=session.task_id)
    return int(earlier.aggregate(newest=Max("last_index"))["newest"] or 0)


def _chosen_pipe(principal: KeyPrincipal, pipe_id: str | None) -> Pipe:
    pipes = list(principal.pipes().select_related("receiver").order_by("pk"))
    if pipe_id is not None:
        pipes = [pipe for pipe in pipes if pipe.slug == pipe_id]
    if not pipes:
        wanted = f"pipe {pipe_id}" if pipe_id else "any pipe"
        raise Forbidden(f"This key may not push into {wanted}.", fix="Use a receiver key that is bound to the pipe.")
    usable = [pipe for pipe in pipes if pipe.enabled and pipe.receiver.enabled]
    if not usable:
        raise Forbidden(
            f"Pipe {pipes[0].slug} or its receiver is switched off.", code="pipe_disabled", fix="Switch it on in the console."
        )
    return usable[0]


def _check_switched_on(principal: KeyPrincipal, pipe: Pipe, task_id: str) -> None:
    agent_id, _, agent_pipe_id = task_id.partition(":")
    if principal.key.agent is not None:
        agent_id = principal.key.agent.slug
    if Agent.objects.filter(slug=agent_id, enabled=False).exists():
        raise Forbidden(f"Agent {agent_id} is switched off.", code="agent_disabled", fix="Enable the agent in the configuration.")
    if AgentPipe.objects.filter(pipe=pipe, agent__slug=agent_id, slug=agent_pipe_id, enabled=False).exists():
        raise Forbidden(f"Agent pipe {task_id} is switched off.", code="agent_pipe_disabled", fix="Enable it in the configuration.")


def _configured_agent_pipe(pipe: Pipe, task_id: str) -> AgentPipe | None:
    agent_id, _, agent_pipe_id = task_id.partition(":")
    return AgentPipe.objects.filter(pipe=pipe, agent__slug=agent_id, slug=agent_pipe_id).first()


def find(session_id: str, principal: KeyPrincipal) -> Session | None:
    """The session with its pipe, or None when there is none. Raises Forbidden when the key is not one of its receiver."""
    key = parsed_id(session_id)
    session = Session.objects.select_related("pipe__receiver").filter(id=key).first() if key else None
    if session is not None and not principal.may_push(session.pipe):
        raise Forbidden("This session belongs to another receiver.", fix="Use the key that opened it.")
    return session


def require_live(session: Session | None, unknown: type[Problem] = SessionObsolete) -> Session:
    """The session, when it lives. Raises `unknown` when there is none and SessionObsolete (419) when it ended (R23)."""
    if session is None:
        raise unknown("There is no such session.", code="session_unknown", fix="Open a new session.")
    if session.ended_at is None and has_gone(session):
        end_if_gone(session)
        session.refresh_from_db(fields=["ended_at", "end_cause"])
    if session.ended_at is not None:
        cause = Session.EndCause(session.end_cause).label
        raise SessionObsolete(f"The session has ended: {cause}.", fix="Open a new session.", extra={"cause": session.end_cause})
    return session


def has_gone(session: Session) -> bool:
    """True when the session counts as ended though nobody has said so yet: silent too long, or its pipe switched off."""
    last_active = session.last_active_at.timestamp()
    return _is_switched_off(session.pipe) or liveness.is_silent(session.number, last_active, session.timeout_seconds, now())


def _is_switched_off(pipe: Pipe) -> bool:
    return not (pipe.enabled and pipe.receiver.enabled)


def end_if_gone(session: Session) -> None:
    """End the session now if it was silent too long or its pipe is switched off."""
    if _is_switched_off(session.pipe):
        end(session, Session.EndCause.DISABLED)
    else:
        expire(Session.objects.filter(number=session.number))


def end(session: Session, cause: Session.EndCause) -> bool:
    """End a session and settle who leads. False when it had ended before."""
    with transaction.atomic():
        ended = _mark_ended(session, cause)
        if ended:
            leadership.settle(ensure_trees(session.pipe), _CAUSE_OF[cause])
    return ended


def expire(candidates: QuerySet[Session] | None = None) -> int:
    """End every session (of the candidates) that was silent for longer than its timeout; how many.

    Safe with many callers at once: a conditional UPDATE decides who ends a session.
    """
    candidates = Session.objects.all() if candidates is None else candidates
    if not _idle(candidates).exists():  # the usual case takes no write lock
        return 0
    with transaction.atomic():
        return _expire_in_transaction(candidates)


def end_switched_off() -> int:
    """End the live sessions of pipes, receivers, agents and agent pipes that were switched off, and of revoked keys; how many."""
    live = Session.objects.filter(ended_at__isnull=True).select_related("pipe__receiver", "key")
    off_here = Q(pipe__enabled=False) | Q(pipe__receiver__enabled=False)
    off_there = Q(agent_pipe__enabled=False) | Q(agent_name__in=Agent.objects.filter(enabled=False).values("slug"))
    off = live.filter(off_here | off_there)
    revoked = live.filter(Q(key__isnull=True) | Q(key__revoked_at__lte=now_datetime()) | Q(key__expires_at__lte=now_datetime()))
    ended = [end(session, Session.EndCause.DISABLED) for session in off]
    ended += [end(session, Session.EndCause.REVOKED) for session in revoked]
    return sum(ended)


def end_of_keys(key_ids: Sequence[int]) -> None:
    """End the live sessions of revoked keys."""
    for session in Session.objects.filter(key__in=key_ids, ended_at__isnull=True).select_related("pipe__receiver"):
        end(session, Session.EndCause.REVOKED)


def _idle(candidates: QuerySet[Session]) -> QuerySet[Session]:
    """Those that seem silent by the database alone; Redis may know better."""
    return candidates.filter(ended_at__isnull=True, silent_after__lt=now_datetime())


def _expire_in_transaction(candidates: QuerySet[Session]) -> int:
    moment = now()
    idle = list(_idle(candidates).select_related("pipe"))
    seen = liveness.last_seen(idle)
    expired = []
    for session in idle:
        if moment - seen[session.number] <= session.timeout_seconds:
            beats.refresh(session.number, session.timeout_seconds, seen[session.number])
        elif _mark_ended(session, Session.EndCause.EXPIRED):
            expired.append(session)
    if expired:
        pipes = {session.pipe_id: session.pipe for session in expired}
        trees = {tree.pk: tree for pipe in pipes.values() for tree in ensure_trees(pipe)}
        leadership.settle(trees.values(), LeadershipCause.EXPIRED)
    return len(expired)


def _mark_ended(session: Session, cause: Session.EndCause) -> bool:
    # the same last_active_at as was read: a sign of life that came in between keeps the session (expiry only)
    live = Session.objects.filter(number=session.number, ended_at__isnull=True)
    if cause == Session.EndCause.EXPIRED:
        live = live.filter(last_active_at=session.last_active_at)
    ended = bool(live.update(ended_at=now_datetime(), end_cause=cause))
    if ended:
        session.ended_at, session.end_cause = now_datetime(), cause
        _hint(session)
    return ended


def _hint(session: Session) -> None:
    hints.changed("fleet", f"pipe.{session.pipe_id}", f"session.{session.number}")


def require_pipe(principal: KeyPrincipal, slug: str) -> Pipe:
    """A pipe that the key may see, by its id. Raises NotFound."""
    pipe = principal.pipes().select_related("receiver").filter(slug=slug).first()
    if pipe is None:
        raise NotFound(f"There is no pipe {slug} that this key may see.")
    return pipe
