"""Orders to agents on heartbeats: queued, leased, delivered again until acknowledged, always ended (R45).

Called by services.heartbeats (delivery, acknowledgement), services.delivery (jobs) and the console (reload_config and the like).
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.pipes.models import Agent
from apps.runtime import hints, server_settings
from apps.runtime.clock import now_datetime
from apps.runtime.problems import Busy, Conflict, Invalid
from apps.sessions.models import Command, Job, Session
from apps.sessions.services.glance import parsed_id
from fustor_schema.sources import PROTOCOL_V3

OPEN = (Job.State.QUEUED, Job.State.LEASED)
MOST_OPEN_PER_SESSION = 100
LEASE_SECONDS = (1.0, 5.0)
# an old agent acknowledges nothing: after this many deliveries a command that has no job counts as taken
DELIVERIES_WITHOUT_ACK = 2

TYPES = frozenset(
    {
        "scan",
        "reload_config",
        "report_config",
        "update_config",
        "check_config",
        "stop_pipe",
        "start_pipe",
        "run_snapshot",
        "run_audit",
        "run_sentinel",
        "upgrade",
    }
)
NATIVE_TYPES = frozenset({"check_config", "start_pipe", "run_snapshot", "run_audit", "run_sentinel"})
OPT_IN_TYPES = frozenset({"upgrade", "update_config"})


def send(session: Session, type_: str, parameters: dict[str, Any], *, actor: str, job: Job | None = None) -> Command:
    """Queue a command for the session; an equal one that is still queued is used instead.

    Raises Invalid (no such command), Conflict (session ended, or the agent cannot or did not opt in to it), Busy (queue full, R54).
    """
    _check_sendable(session, type_)
    same = Command.objects.filter(session=session, type=type_, parameters=parameters, job=job, state=Job.State.QUEUED).first()
    if same is not None:
        return same
    if Command.objects.filter(session=session, state__in=OPEN).count() >= MOST_OPEN_PER_SESSION:
        raise Busy(
            f"{MOST_OPEN_PER_SESSION} commands wait for {session.task_id} already.", code="too_many_commands", retry_after=10
        )
    moment = now_datetime()
    command = Command.objects.create(
        session=session, job=job, type=type_, parameters=parameters, actor=actor, created_at=moment, deadline=moment + _life()
    )
    _hint(session)
    return command


def reload_agents(agents: Collection[str]) -> int:
    """Have enrolled agents fetch their configuration, each by one live session: how many of them are connected.

    Who is not connected asks by itself later.
    """
    enrolled = Agent.objects.filter(slug__in=agents, enrolled_at__isnull=False).values("slug")
    live = Session.objects.filter(agent_name__in=enrolled, ended_at__isnull=True).order_by("number")
    told_already = Command.objects.filter(type="reload_config", state=Job.State.QUEUED, session__in=live)
    told = set(told_already.values_list("session__agent_name", flat=True))
    by_agent = {session.agent_name: session for session in live if session.agent_name not in told}
    moment, life = now_datetime(), _life()
    Command.objects.bulk_create(
        Command(session=session, type="reload_config", actor="configuration", created_at=moment, deadline=moment + life)
        for session in by_agent.values()
    )
    for session in by_agent.values():
        _hint(session)
    return len(by_agent | dict.fromkeys(told))


def _life() -> timedelta:
    return timedelta(seconds=server_settings.number("command_seconds"))


def _check_sendable(session: Session, type_: str) -> None:
    if type_ not in TYPES:
        raise Invalid(f"{type_!r} is no command.", field="type", fix=f"One of: {', '.join(sorted(TYPES))}.")
    if session.ended_at is not None:
        raise Conflict(f"The session of {session.task_id} has ended.", code="session_ended", fix="Choose a live session.")
    if type_ in NATIVE_TYPES and session.protocol < PROTOCOL_V3:
        raise Conflict(
            f"{session.task_id} speaks protocol 2, which has no command {type_}.",
            code="not_supported",
            fix="An old agent runs its phases on its own; a scan of a path works.",
        )
    if type_ in OPT_IN_TYPES and type_ not in opted_in(session):
        raise Conflict(
            f"{session.task_id} has not opted in to {type_}.", code="not_opted_in", fix="Allow it in the agent's own settings."
        )


def opted_in(session: Session) -> frozenset[str]:
    """The remote commands that change the agent's host and that the agent itself allowed (off by default)."""
    allowed = session.client_info.get("allow_commands")
    return frozenset(name for name in allowed if isinstance(name, str)) if isinstance(allowed, list) else frozenset()


def deliver(session: Session) -> list[dict[str, Any]]:
    """The commands that this heartbeat's answer carries. Each is leased: unacknowledged, it comes again when its lease is over."""
    moment = now_datetime()
    if not _due(session, moment).exists():  # the usual heartbeat takes no write lock
        return []
    with transaction.atomic():
        due = list(_due(session, moment).select_for_update().order_by("created_at"))
        for command in due:
            _lease(command, session, moment)
    return [_payload(command) for command in due]


def _due(session: Session, moment: datetime) -> QuerySet[Command]:
    waiting = Q(state=Job.State.QUEUED) | Q(state=Job.State.LEASED, lease_until__lte=moment)
    return Command.objects.filter(waiting, session=session, deadline__gt=moment)


def _lease(command: Command, session: Session, moment: datetime) -> None:
    shortest, longest = LEASE_SECONDS
    seconds = min(max(session.timeout_seconds / 4, shortest), longest) * 2**command.deliveries
    command.state, command.lease_until = Job.State.LEASED, moment + timedelta(seconds=seconds)
    command.deliveries += 1
    if command.job_id is None and session.protocol < PROTOCOL_V3 and command.deliveries >= DELIVERIES_WITHOUT_ACK:
        command.state, command.finished_at = Job.State.DONE, moment
        command.result = {"acknowledged": False, "deliveries": command.deliveries}
    command.save()


def _payload(command: Command) -> dict[str, Any]:
    payload: dict[str, Any] = {**command.parameters, "type": command.type, "id": str(command.id)}
    if command.job_id is not None:
        payload["job_id"] = str(command.job_id)
    return payload


def acknowledge(session: Session, reports: Iterable[tuple[str, str, dict[str, Any], str]]) -> None:
    """Take the agent's reports `(command id, state, result, error)`: RUNNING stops redelivery, DONE and FAILED end the command."""
    for command_id, state, result, error in reports:
        key = parsed_id(command_id)
        if key is None:
            continue  # no id that this server could have given
        ended = state in (Job.State.DONE, Job.State.FAILED)
        Command.objects.filter(id=key, session=session, finished_at__isnull=True).update(
            state=state, result=result, error=error[:2000], finished_at=now_datetime() if ended else None
        )
        _hint(session)


def job_taken(job: Job) -> None:
    """The agent has the job in hand: its command is not delivered again."""
    Command.objects.filter(job=job, state__in=OPEN).update(state=Job.State.RUNNING)


def job_ended(job: Job) -> None:
    """The job's commands end with it, in the same state."""
    Command.objects.filter(job=job, finished_at__isnull=True).update(state=job.state, error=job.error, finished_at=now_datetime())


def answered(session: Session, type_: str) -> None:
    """The answer to commands of this type came in by itself (a `config_report`)."""
    Command.objects.filter(session=session, type=type_, finished_at__isnull=True).update(
        state=Job.State.DONE, finished_at=now_datetime()
    )


def end_overdue() -> int:
    """End the commands whose deadline passed or whose session ended; how many."""
    moment = now_datetime()
    open_commands = Command.objects.filter(finished_at__isnull=True)
    overdue = open_commands.filter(deadline__lte=moment)
    late = overdue.filter(deliveries=0).update(
        state=Job.State.EXPIRED, error="Not taken by the agent before its deadline.", finished_at=moment
    )
    late += overdue.update(
        state=Job.State.EXPIRED, error="The agent was told, and did not report the end before the deadline.", finished_at=moment
    )
    orphaned = open_commands.filter(session__ended_at__isnull=False).update(
        state=Job.State.EXPIRED, error="The session ended before the agent reported.", finished_at=moment
    )
    return late + orphaned


def _hint(session: Session) -> None:
    hints.changed(f"session.{session.number}", f"pipe.{session.pipe_id}")
