"""The part of the configuration that one agent runs. Pure; used by services of agents, rollouts and the effect of a plan."""

from typing import Any

from apps.pipes.config.document import AgentPipeDoc, Document, to_plain


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


def changed_agents(before: Document, after: Document) -> set[str]:
    """The agents whose own configuration differs."""
    if before.sources == after.sources and before.senders == after.senders:
        named = {name for name in before.agents.keys() | after.agents.keys() if before.agents.get(name) != after.agents.get(name)}
    else:
        named = before.agents.keys() | after.agents.keys()
    return {name for name in named if configuration_of(before, name) != configuration_of(after, name)}


def _pipe(pipe: AgentPipeDoc) -> dict[str, Any]:
    fields = {"source": pipe.source, "sender": pipe.sender, "server_pipe": pipe.pipe, "disabled": pipe.disabled}
    return {**pipe.settings, **fields}
