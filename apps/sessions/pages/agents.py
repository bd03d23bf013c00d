"""The page that lists agents (`/agents/`): who runs one, how it does, which sessions it has."""

from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.pipes.models import Agent
from apps.runtime.console import page
from apps.sessions.boards.lines import SessionLine, first_of_each, live_sessions, session_lines
from apps.sessions.services import facts
from apps.sessions.sight import Sight, sight_of
from apps.sessions.status import Status

PAGE_SIZE = 50
SESSIONS_SHOWN = 24


@dataclass(frozen=True)
class AgentLine:
    """One agent with its live sessions."""

    slug: str
    hostname: str
    version: str
    status: Status
    enrolled_at: datetime | None
    last_seen_at: datetime | None
    sessions: tuple[SessionLine, ...]


@page()
def agents(request: HttpRequest) -> HttpResponse:
    """`/agents/`, searched by id or host name."""
    words = request.GET.get("q", "").strip()
    sight = sight_of(request.user)
    found = sight.agents().order_by("slug")
    if words:
        found = found.filter(Q(slug__icontains=words) | Q(hostname__icontains=words))
    chunk = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "configured/agents.html", {"chunk": chunk, "agents": _lines(list(chunk), sight), "words": words})


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
            version=agent.agent_version,
            status=statuses[agent.pk],
            enrolled_at=agent.enrolled_at,
            last_seen_at=agent.last_seen_at,
            sessions=tuple(by_agent.get(agent.slug, ())),
        )
        for agent in agents
    ]
