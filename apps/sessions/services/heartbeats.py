"""One heartbeat: alive, what the agent reports, what it must know and do next. Called by the API in the control lane.

The usual beat reads three rows and writes none (services.liveness writes later). A follower's beat also looks at the leader:
one that has fallen silent is ended here, so failover does not wait for the worker (R24).
"""

from dataclasses import dataclass, field
from typing import Any

from apps.pipes.principals import KeyPrincipal
from apps.runtime.clock import now
from apps.runtime.problems import Invalid
from apps.sessions.models import Leadership, Session
from apps.sessions.services import commands, liveness, sessions
from apps.sessions.services.leadership import epochs_of
from fustor_schema.pipestate import parse
from fustor_schema.sources import Role


@dataclass(frozen=True)
class Beat:
    """What the agent says. `acknowledged`: (command id, state, result, error)."""

    can_realtime: bool = False
    agent_status: dict[str, Any] = field(default_factory=dict)
    acknowledged: tuple[tuple[str, str, dict[str, Any], str], ...] = ()


@dataclass(frozen=True)
class Pulse:
    """What the agent is told."""

    role: Role
    epoch: int
    can_realtime: bool
    commands: list[dict[str, Any]]


def heartbeat(principal: KeyPrincipal, session_id: str, said: Beat) -> Pulse:
    """Take one beat. Raises SessionObsolete (419), Forbidden (403), Invalid (422: `agent_status.state` is no state)."""
    session = sessions.require_live(sessions.find(session_id, principal))
    report = liveness.Report(said.can_realtime, _state(said.agent_status), said.agent_status)
    liveness.beat(session, now(), report)
    if said.acknowledged:
        commands.acknowledge(session, said.acknowledged)
    epochs = epochs_of(session) or _after_failover(session)
    return Pulse(
        role=Role.LEADER if epochs else Role.FOLLOWER,
        epoch=max(epochs.values(), default=0),
        can_realtime=said.can_realtime,
        commands=commands.deliver(session),
    )


def _state(agent_status: dict[str, Any]) -> int:
    reported = agent_status.get("state")
    if reported is not None and not isinstance(reported, str | int):
        raise Invalid("agent_status.state: must be a PipeState as a number or text", field="agent_status.state")
    try:
        return int(parse(reported))
    except ValueError as error:
        raise Invalid(f"agent_status.state: {error}", field="agent_status.state") from error


def _after_failover(follower: Session) -> dict[int, int]:
    """The epochs of a follower once a leader that has fallen silent is ended; still none in the usual case."""
    leaders = Session.objects.filter(
        number__in=Leadership.objects.filter(tree__view__pipes=follower.pipe_id, session__isnull=False).values("session")
    )
    return epochs_of(follower) if sessions.expire(leaders) else {}
