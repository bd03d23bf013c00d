"""One heartbeat: alive, what the agent reports, what it must know and do next. Called by the API in the control lane.

The usual beat is one read and no write (services.beats writes later). A follower's beat also looks at the leader:
one that has fallen silent is ended here, so failover does not wait for the worker (R24).
"""

from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import OperationalError
from django.db.models import Max

from apps.pipes.models import Pipe
from apps.pipes.principals import KeyPrincipal
from apps.runtime.clock import now, now_datetime
from apps.runtime.problems import Invalid
from apps.sessions.models import Leadership, Session
from apps.sessions.services import commands, glance, liveness, sessions
from apps.sessions.services.beats import Report
from apps.sessions.services.glance import Glance
from fustor_schema.pipestate import parse
from fustor_schema.sources import Role

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Beat:
    """What the agent says. `acknowledged`: (command id, state, result, error); `job_queue`: it consumes its Celery queue."""

    can_realtime: bool = False
    agent_status: dict[str, Any] = field(default_factory=dict)
    acknowledged: tuple[tuple[str, str, dict[str, Any], str], ...] = ()
    job_queue: bool | None = None


@dataclass(frozen=True)
class Pulse:
    """What the agent is told."""

    role: Role
    epoch: int
    can_realtime: bool
    commands: list[dict[str, Any]]


def heartbeat(principal: KeyPrincipal, session_id: str, said: Beat) -> Pulse:
    """Take one beat. Raises SessionObsolete (419), Forbidden (403), Invalid (422: `agent_status.state` is no state)."""
    seen = glance.at_session(session_id)
    if seen is None or _needs_care(principal, seen):
        sessions.require_live(sessions.find(session_id, principal))  # says why not
        seen = glance.at_session(session_id)
        assert seen is not None
    report = Report(said.can_realtime, _state(said.agent_status), said.agent_status)
    liveness.beat(seen, now(), report)
    if said.job_queue is not None and said.job_queue != seen.job_queue:
        Session.objects.filter(number=seen.number).update(job_queue=said.job_queue)
    epoch = seen.epoch or _epoch_after_failover(seen)
    return Pulse(
        role=Role.LEADER if epoch else Role.FOLLOWER,
        epoch=epoch,
        can_realtime=said.can_realtime,
        commands=_commands(seen, said) if seen.has_commands or said.acknowledged else [],
    )


def _needs_care(principal: KeyPrincipal, seen: Glance) -> bool:
    """Whether this session may not simply beat on: it ended, fell silent, is switched off, or is another's."""
    silent = liveness.is_silent(seen.number, seen.last_active, seen.timeout_seconds, now())
    return seen.has_ended or silent or not seen.pipe_is_on or not principal.may_push(Pipe(pk=seen.pipe_id))


def _commands(seen: Glance, said: Beat) -> list[dict[str, Any]]:
    session = Session.objects.select_related("pipe").get(number=seen.number)
    try:
        commands.acknowledge(session, said.acknowledged)
        return commands.deliver(session)
    except OperationalError as error:
        # commands wait for the next beat; the session must not die of a writer that is busy
        log.warning("commands not delivered", session=seen.number, error=str(error))
        return []


def _state(agent_status: dict[str, Any]) -> int:
    reported = agent_status.get("state")
    if reported is not None and not isinstance(reported, str | int):
        raise Invalid("agent_status.state: must be a PipeState as a number or text", field="agent_status.state")
    try:
        return int(parse(reported))
    except ValueError as error:
        raise Invalid(f"agent_status.state: {error}", field="agent_status.state") from error


def _epoch_after_failover(follower: Glance) -> int:
    """The follower's epoch once a leader that has fallen silent is ended; 0 in the usual case."""
    if not glance.leader_seems_silent(follower.pipe_id, now_datetime()):
        return 0
    leading = Leadership.objects.filter(tree__view__pipes=follower.pipe_id, session__isnull=False)
    if not sessions.expire(Session.objects.filter(number__in=leading.values("session"))):
        return 0
    led = Leadership.objects.filter(session=follower.number)
    return int(led.aggregate(epoch=Max("epoch"))["epoch"] or 0)
