"""What a plan means for what runs: which pipes, agents and sessions feel it, what restarts, what is lost for good.

The plan says which fields change; this says who notices. Called by the review of drafts and by the pages that show a plan.
"""

from dataclasses import dataclass

from apps.pipes import ports
from apps.pipes.config.document import AgentDoc, Document
from apps.pipes.config.losses import emptied_views
from apps.pipes.config.plan import Action, Plan, listed_refs
from apps.pipes.part import configuration_of


@dataclass(frozen=True)
class AgentEffect:
    """One agent that gets another configuration. Its other pipes go on without noticing."""

    agent: str
    starts: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effect:
    """Who notices a change. Names are ids; `sessions_end` counts live sessions that end because of it."""

    pipes: tuple[str, ...]
    pipes_off: tuple[str, ...]
    agents: tuple[AgentEffect, ...]
    views_emptied: tuple[str, ...]
    keys_refused: tuple[str, ...]
    sessions_end: int

    @property
    def is_felt(self) -> bool:
        """Whether anything that runs notices."""
        return bool(self.pipes or self.agents or self.views_emptied or self.keys_refused)


def effect_of(before: Document, plan: Plan) -> Effect:
    """The effect of a plan on top of the configuration `before`. Two queries at most (live sessions)."""
    after = plan.result
    off = tuple(sorted(_running(before) - _running(after)))
    refused = tuple(sorted(listed_refs(before) - listed_refs(after)))
    return Effect(
        pipes=tuple(sorted(_touched_pipes(before, plan))),
        pipes_off=off,
        agents=tuple(_agent_effects(before, after)),
        views_emptied=tuple(sorted(emptied_views(before, after))),
        keys_refused=refused,
        sessions_end=ports.count_live_sessions(off, refused) if off or refused else 0,
    )


def _running(document: Document) -> set[str]:
    receivers = document.receivers
    return {
        ident
        for ident, pipe in document.pipes.items()
        if not pipe.disabled and not (pipe.receiver in receivers and receivers[pipe.receiver].disabled)
    }


def _touched_pipes(before: Document, plan: Plan) -> set[str]:
    """Pipes that change themselves, or whose receiver or views do."""
    changed = {(step.kind, step.ident) for step in plan.of(Action.CREATE, Action.UPDATE, Action.DELETE)}
    touched = {ident for kind, ident in changed if kind == "pipes"}
    for document in (before, plan.result):
        for ident, pipe in document.pipes.items():
            ends = {("receivers", pipe.receiver), *(("views", view) for view in pipe.views)}
            if ends & changed:
                touched.add(ident)
    return touched


def _agent_effects(before: Document, after: Document) -> list[AgentEffect]:
    named = sorted(before.agents.keys() | after.agents.keys())
    effects = (_agent_effect(name, before, after) for name in named)
    return [effect for effect in effects if effect is not None]


def _agent_effect(name: str, before: Document, after: Document) -> AgentEffect | None:
    old, new = configuration_of(before, name), configuration_of(after, name)
    if old == new:
        return None
    was, becomes = _pipes_run(before, name), _pipes_run(after, name)
    same = {ident for ident in was.keys() & becomes.keys() if was[ident] == becomes[ident]}
    return AgentEffect(
        name,
        starts=tuple(sorted(becomes.keys() - was.keys())),
        restarts=tuple(sorted((was.keys() & becomes.keys()) - same)),
        stops=tuple(sorted(was.keys() - becomes.keys())),
    )


def _pipes_run(document: Document, name: str) -> dict[str, tuple[object, ...]]:
    """Agent pipe → everything that it is made of; an agent restarts a pipe when any of it differs."""
    agent = document.agents.get(name, AgentDoc())
    if agent.disabled:
        return {}
    return {
        ident: (pipe, document.sources.get(pipe.source), document.senders.get(pipe.sender))
        for ident, pipe in agent.pipes.items()
        if not pipe.disabled
    }
