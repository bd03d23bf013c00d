"""What each agent should run, and what it says it runs. Called by the agents' API and the console."""

from typing import Any

from apps.pipes.config.history import document_at
from apps.pipes.config.render import render
from apps.pipes.models import Agent
from apps.pipes.part import configuration_of
from apps.pipes.rollouts.spread import held_back_at
from apps.runtime import clock, hints
from apps.runtime.problems import Invalid

LONGEST_ERROR = 4000


def desired(agent: Agent) -> dict[str, Any]:
    """What the agent should run now, and the revision that says so; while a rollout has not reached it, an older one."""
    number = held_back_at(agent)
    document = render() if number is None else document_at(number)
    return {"revision": agent.desired_revision, "config": configuration_of(document, agent.slug)}


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
