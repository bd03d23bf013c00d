"""Agents as they show up in sessions: the console lists them even when a shared receiver key let them in."""

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from apps.pipes import audit
from apps.pipes.audit import Actor
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


UPGRADE = "upgrade"


def upgrading_session(agent: Agent) -> Session | None:
    """The live session by which the agent takes an upgrade; None when its host did not opt in, or it is not connected."""
    live = Session.objects.filter(agent_name=agent.slug, ended_at=None).order_by("-number")
    return next((session for session in live if UPGRADE in commands.opted_in(session)), None)


@transaction.atomic
def order_upgrade(agent: Agent, actor: Actor) -> Command:
    """Have an agent run the upgrade command of its own host, and restart. Raises Conflict when it is not connected, when its host
    did not opt in, and while one is under way; Busy."""
    if not Session.objects.filter(agent_name=agent.slug, ended_at=None).exists():
        raise Conflict(f"{agent.slug} is not connected.", fix="Order it again when it is back.")
    session = upgrading_session(agent)
    if session is None:
        raise Conflict(
            f"The host of {agent.slug} has not opted in to upgrades from here.",
            code="not_opted_in",
            fix="Start the agent with --upgrade-command, or upgrade it on its host.",
        )
    under_way = last_upgrade(agent)
    if under_way is not None and under_way.finished_at is None:
        raise Conflict(f"An upgrade of {agent.slug} is under way.", code="upgrade_under_way", fix="Wait for its end.")
    audit.record(actor, "agent.upgrade", f"agents.{agent.slug}")
    return commands.send(session, UPGRADE, {}, actor=actor.name)


def last_upgrade(agent: Agent) -> Command | None:
    """The newest order to upgrade, and how it ended; None when there was none."""
    return Command.objects.filter(type=UPGRADE, session__agent_name=agent.slug).order_by("-created_at").first()
