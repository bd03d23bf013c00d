"""Agents as they show up in sessions: the console lists them even when a shared receiver key let them in."""

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from apps.pipes.models import Agent
from apps.pipes.principals import KeyPrincipal
from apps.runtime.problems import Conflict
from apps.sessions.models import Command, Session
from apps.sessions.services import commands

SEEN_EVERY = timedelta(seconds=15)
_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,100}")


def seen(principal: KeyPrincipal, agent_id: str, client_info: dict[str, Any], at: datetime) -> str:
    """Note that the agent was seen, making its row when it is new; its id. An agent key fixes who the agent is."""
    if principal.key.agent_id is not None and principal.key.agent is not None:
        agent_id = principal.key.agent.slug
    if _SLUG.fullmatch(agent_id):
        _refresh(agent_id, client_info, at)
    return agent_id[:255]


def _refresh(agent_id: str, client_info: dict[str, Any], at: datetime) -> None:
    host = client_info.get("host")
    reported = host if isinstance(host, dict) else client_info
    fields = {
        "hostname": str(reported.get("hostname") or "")[:255],
        "agent_version": str(reported.get("version") or client_info.get("agent_version") or "")[:50],
    }
    fields = {name: value for name, value in fields.items() if value}
    if not Agent.objects.filter(slug=agent_id).update(last_seen_at=at, **fields):
        try:
            with transaction.atomic():
                Agent.objects.create(slug=agent_id, last_seen_at=at, **fields)
        except IntegrityError:  # another session of the same agent made it in this moment
            Agent.objects.filter(slug=agent_id).update(last_seen_at=at, **fields)


def still_seen(agent_ids: Collection[str], at: datetime) -> None:
    """Refresh `last_seen_at` of known agents, at most every 15 s each."""
    Agent.objects.filter(slug__in=agent_ids, last_seen_at__lt=at - SEEN_EVERY).update(last_seen_at=at)


def order_reload(agent: Agent, actor: str) -> Command:
    """Have an agent fetch the configuration that it should run. Raises Conflict when it is not connected, Busy."""
    session = Session.objects.filter(agent_name=agent.slug, ended_at=None).order_by("-number").first()
    if session is None:
        raise Conflict(f"{agent.slug} is not connected.", fix="It fetches its configuration by itself when it comes back.")
    return commands.send(session, "reload_config", {}, actor=actor)
