"""The page that lists agents (`/agents/`): who runs one, how it does, which sessions it has."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse

from apps.pipes.agents import has_drifted
from apps.pipes.config.render import is_configured
from apps.pipes.models import Agent
from apps.runtime.console import page
from apps.runtime.listing import listing
from apps.sessions.boards.lines import SessionLine, first_of_each, live_sessions, session_lines
from apps.sessions.pages import tables
from apps.sessions.pages.lists import shown
from apps.sessions.services import facts
from apps.sessions.sight import Sight, sight_of
from apps.sessions.status import Status

SESSIONS_SHOWN = 24


@dataclass(frozen=True)
class AgentLine:
    """One agent with its live sessions."""

    slug: str
    hostname: str
    labels: tuple[tuple[str, str], ...]
    version: str
    status: Status
    is_configured: bool
    desired_revision: int
    reported_revision: int
    drifted: bool
    enrolled_at: datetime | None
    last_seen_at: datetime | None
    sessions: tuple[SessionLine, ...]


@page()
def agents(request: HttpRequest) -> HttpResponse:
    """`/agents/`."""
    found = listing(tables.agent_rows(request).prefetch_related("agent_pipes"), request.GET, tables.AGENTS)
    return shown(request, "agents", "configured/agents.html", found, lines=_lines(list(found.chunk), sight_of(request.user)))


def _lines(agents: list[Agent], sight: Sight) -> list[AgentLine]:
    statuses = facts.agent_statuses(agents, sight)
    by_agent: dict[str, list[SessionLine]] = {}
    live = live_sessions(sight).filter(agent_name__in=[agent.slug for agent in agents])
    for line in session_lines(first_of_each(live, "agent_name", SESSIONS_SHOWN), sight):
        by_agent.setdefault(line.agent, []).append(line)
    return [
        AgentLine(
            slug=agent.slug,
            hostname=agent.hostname,
            labels=tuple(sorted(agent.labels.items())),
            version=agent.agent_version,
            status=statuses[agent.pk],
            is_configured=is_configured(agent),
            desired_revision=agent.desired_revision,
            reported_revision=agent.reported_revision,
            drifted=has_drifted(agent),
            enrolled_at=agent.enrolled_at,
            last_seen_at=agent.last_seen_at,
            sessions=tuple(by_agent.get(agent.slug, ())),
        )
        for agent in agents
    ]
