"""What each agent should run, and what it says it runs. Called by the configuration service and by the agents' API."""

from typing import Any

from apps.pipes.config.document import AgentPipeDoc, Document, to_plain
from apps.pipes.config.render import render
from apps.pipes.models import Agent
from apps.runtime import clock, hints
from apps.runtime.problems import Invalid

LONGEST_ERROR = 4000


def configuration_of(document: Document, agent_id: str) -> dict[str, Any]:
    """The configuration of one agent in the form of the agent's own YAML file: its pipes, and the sources and senders of these."""
    agent = document.agents.get(agent_id)
    ran = agent.pipes if agent and not agent.disabled else {}
    return {
        "agent_id": agent_id,
        "sources": {name: to_plain(document.sources[name]) for name in sorted({pipe.source for pipe in ran.values()})},
        "senders": {name: to_plain(document.senders[name]) for name in sorted({pipe.sender for pipe in ran.values()})},
        "pipes": {ident: _pipe(pipe) for ident, pipe in ran.items()},
    }


def desired(agent: Agent) -> dict[str, Any]:
    """What the agent should run now, and the revision that says so."""
    return {"revision": agent.desired_revision, "config": configuration_of(render(), agent.slug)}


def desire(before: Document, after: Document, revision: int) -> None:
    """Give every agent whose own configuration changed the new revision to run; the others keep theirs and notice nothing (R53)."""
    named = before.agents.keys() | after.agents.keys()
    changed = [agent for agent in named if configuration_of(before, agent) != configuration_of(after, agent)]
    Agent.objects.filter(slug__in=changed).update(desired_revision=revision)


def report(agent: Agent, revision: int, error: str) -> None:
    """Keep what an agent says: the revision that it runs, or why it refused the desired one and stays on `revision`."""
    if revision < 0:
        raise Invalid("A revision is a number from 0 on.", field="revision")
    agent.reported_revision, agent.reported_error = revision, error[:LONGEST_ERROR]
    agent.reported_at = clock.now_datetime()
    agent.save(update_fields=["reported_revision", "reported_error", "reported_at"])
    hints.changed("fleet")


def has_drifted(agent: Agent) -> bool:
    """Whether an enrolled agent runs something else than it should, or refused it."""
    return agent.enrolled_at is not None and (bool(agent.reported_error) or agent.reported_revision < agent.desired_revision)


def _pipe(pipe: AgentPipeDoc) -> dict[str, Any]:
    fields = {"source": pipe.source, "sender": pipe.sender, "server_pipe": pipe.pipe, "disabled": pipe.disabled}
    return {**pipe.settings, **fields}
