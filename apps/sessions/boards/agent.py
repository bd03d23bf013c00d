"""The board of one agent: how it is, what it should run and says it runs, its sessions with what each reports of its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.pipes.agents import has_drifted
from apps.pipes.config.render import is_configured
from apps.pipes.models import Agent
from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import SessionLine, live_sessions, session_lines
from apps.sessions.boards.told import count, text
from apps.sessions.models import Command, Session
from apps.sessions.services import agents, commands, facts
from apps.sessions.status import Status, of_upgrade

SESSIONS_SHOWN = 50


@dataclass(frozen=True)
class Health:
    """What one session reports of itself. None: not told (an old agent, another driver)."""

    line: SessionLine
    source_uri: str
    queue: int | None
    spool_bytes: int | None
    watches: int | None
    watch_limit: int | None
    coverage: float | None
    events_lost: int | None
    last_error: str

    @property
    def is_partly_watched(self) -> bool:
        """Whether there are more directories than watches: the others are seen by audits only."""
        return self.coverage is not None and self.coverage < 1


@dataclass(frozen=True)
class UpgradeLine:
    """The last order to upgrade, with the last lines of the host's command."""

    status: Status
    actor: str
    at: datetime
    words: str


@dataclass(frozen=True)
class AgentBoardState:
    """What the page of an agent shows. `agent_pipes`: (id, source, pipe, on); `takes_upgrades`: its host opted in."""

    slug: str
    name: str
    hostname: str
    version: str
    status: Status
    enabled: bool
    is_configured: bool
    labels: tuple[tuple[str, str], ...]
    enrolled_at: datetime | None
    last_seen_at: datetime | None
    desired_revision: int
    reported_revision: int
    reported_error: str
    reported_at: datetime | None
    drifted: bool
    rss_bytes: int | None
    uptime_seconds: int | None
    takes_upgrades: bool
    upgrade: UpgradeLine | None
    agent_pipes: tuple[tuple[str, str, str, bool], ...]
    sessions: tuple[Health, ...]


@dataclass(frozen=True)
class AgentBoard(Board):
    """The agent with this id."""

    slug: str
    parts = (
        Part("agent-summary", "agents/parts/summary.html"),
        Part("agent-runs", "agents/parts/runs.html"),
        Part("agent-sessions", "agents/parts/sessions.html"),
    )

    @property
    def socket(self) -> str:
        """`/ws/agent/<id>`."""
        return f"/ws/agent/{self.slug}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Agents have no hints of their own."""
        return ("fleet",)

    def read(self) -> AgentBoardState:
        """The state of now. Raises NotFound."""
        agent = self.sight.agents().filter(slug=self.slug).first()
        if agent is None:
            raise NotFound(f"There is no agent {self.slug}.")
        live = list(live_sessions(self.sight).filter(agent_name=agent.slug)[:SESSIONS_SHOWN])
        return self._state(agent, live, session_lines(live, self.sight))

    def _state(self, agent: Agent, live: list[Session], lines: list[SessionLine]) -> AgentBoardState:
        told: Mapping[str, Any] = next((session.agent_status for session in live if session.agent_status), {})
        ran = agent.agent_pipes.select_related("source", "pipe").order_by("slug")
        if self.sight.view_ids is not None:
            ran = ran.filter(pipe__in=self.sight.pipes())
        return AgentBoardState(
            slug=agent.slug,
            name=agent.name,
            hostname=agent.hostname,
            version=agent.agent_version,
            status=facts.agent_statuses([agent], self.sight)[agent.pk],
            enabled=agent.enabled,
            is_configured=is_configured(agent),
            labels=tuple(sorted((str(name), str(value)) for name, value in agent.labels.items())),
            enrolled_at=agent.enrolled_at,
            last_seen_at=agent.last_seen_at,
            desired_revision=agent.desired_revision,
            reported_revision=agent.reported_revision,
            # it may name what a restricted viewer does not see
            reported_error=agent.reported_error if self.sight.view_ids is None else "",
            reported_at=agent.reported_at,
            drifted=has_drifted(agent),
            rss_bytes=count(told, "rss_bytes"),
            uptime_seconds=count(told, "uptime_seconds"),
            takes_upgrades=any(agents.UPGRADE in commands.opted_in(session) for session in live),
            # of which commands the host carried out, only those hear who see all of it
            upgrade=_upgrade(agents.last_upgrade(agent)) if self.sight.view_ids is None else None,
            agent_pipes=tuple((row.slug, row.source.uri, row.pipe.slug if row.pipe else "", row.enabled) for row in ran),
            sessions=tuple(_health(session, line) for session, line in zip(live, lines, strict=True)),
        )


def _upgrade(command: Command | None) -> UpgradeLine | None:
    if command is None:
        return None
    return UpgradeLine(
        status=of_upgrade(command.state),
        actor=command.actor,
        at=command.finished_at or command.created_at,
        words=command.error or text(command.result, "output"),
    )


def _health(session: Session, line: SessionLine) -> Health:
    """What an agent says is not ours to trust: what has not the right type was not told."""
    told: Mapping[str, Any] = session.agent_status
    reported = told.get("source")
    source: Mapping[str, Any] = reported if isinstance(reported, dict) else {}
    coverage = source.get("coverage")
    return Health(
        line=line,
        source_uri=str(session.source_uri or session.client_info.get("source_uri") or ""),
        queue=count(told, "queue"),
        spool_bytes=count(told, "spool_bytes"),
        watches=count(source, "watches"),
        watch_limit=count(source, "watch_limit"),
        coverage=float(coverage) if isinstance(coverage, int | float) else None,
        events_lost=count(told, "events_lost"),
        last_error=str(told.get("last_error") or "")[:500],
    )
