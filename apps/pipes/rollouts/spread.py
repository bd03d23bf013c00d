"""Giving a revision to the agents that it concerns: all at once, or in waves. Called by the configuration service, inside its
transaction; sending a wave is called by apps.pipes.rollouts.service too.
"""

from collections.abc import Collection, Mapping
from typing import Any

from apps.pipes import ports
from apps.pipes.config.document import Document, from_plain
from apps.pipes.models import OPEN_STATES, Agent, MemberState, Revision, Rollout, RolloutMember
from apps.pipes.part import changed_agents, configuration_of
from apps.pipes.rollouts.waves import Terms, assign
from apps.runtime import clock, hints
from apps.runtime.problems import Conflict


def check_room(before: Document, after: Document, terms: Terms | None) -> None:
    """Refuse (409) what would overtake a rollout: a change for agents whose wave has not come, or a second rollout."""
    rollout = Rollout.objects.filter(state__in=OPEN_STATES).first()
    if rollout is None:
        return
    waiting = set(rollout.members.filter(state=MemberState.WAITING).values_list("agent__slug", flat=True))
    overtaken = waiting & changed_agents(before, after)
    if overtaken or terms is not None:
        whom = f" It concerns {', '.join(sorted(overtaken)[:5])}, whose wave has not come." if overtaken else ""
        raise Conflict(
            f"Revision {rollout.revision_id} is being rolled out.{whom}",
            code="rollout_open",
            fix="Let the rollout finish, send it to all now, stop it or roll it back first.",
            extra={"rollout": rollout.revision_id},
        )


def spread(before: Document, after: Document, revision: Revision, terms: Terms | None) -> None:
    """Have every agent whose own configuration changed run the new revision; the others keep theirs and notice nothing (R53)."""
    concerned = _concerned(before, after)
    idle = [agent for agent in concerned if not configuration_of(after, agent)["pipes"]]
    _release(idle)
    wanted = set(concerned) - set(idle)
    # who is not enrolled fetches nothing from here and never reports: no wave can wait for it
    fetching = set(Agent.objects.filter(slug__in=wanted, enrolled_at__isnull=False).values_list("slug", flat=True))
    in_waves = fetching if terms is not None else set()
    give(wanted - in_waves, revision.number)
    if terms is not None and in_waves:
        _begin(revision, terms, in_waves)


def give(agents: Collection[str], revision: int) -> None:
    """Have these agents run a revision: they are told with their next heartbeat. What held them back so far is over."""
    _no_longer_held(agents, revision)
    Agent.objects.filter(slug__in=agents).update(desired_revision=revision)
    ports.agents_wanted(agents)


def _release(agents: Collection[str]) -> None:
    """Nothing is wanted of these agents any more (switched off, or without pipes): they have no revision to run or to report.

    Their sessions end by themselves (apps.sessions), so there is nothing to roll out.
    """
    _no_longer_held(agents, 0)
    Agent.objects.filter(slug__in=agents).update(desired_revision=0, reported_error="")
    ports.agents_wanted(agents)


def _no_longer_held(agents: Collection[str], revision: int) -> None:
    held = RolloutMember.objects.filter(state=MemberState.WAITING, agent__slug__in=agents).exclude(rollout=revision)
    reason = f"revision {revision} came first" if revision else "it has nothing to run any more"
    held.update(state=MemberState.SKIPPED, reason=reason, settled_at=clock.now_datetime())


def send_wave(rollout: Rollout, number: int) -> None:
    """Give the revision to the agents of the waves up to this one. Whoever calls holds the rollout's row."""
    due = rollout.members.filter(state=MemberState.WAITING, wave__lte=number)
    agents = list(due.values_list("agent__slug", flat=True))
    now = clock.now_datetime()
    due.update(state=MemberState.SENT, sent_at=now)
    rollout.wave, rollout.moved_at = number, now
    rollout.save(update_fields=["wave", "moved_at"])
    give(agents, rollout.revision_id)
    hints.changed("fleet", f"rollout.{rollout.pk}")


def held_back() -> dict[str, int]:
    """Agents that a rollout has not reached (it goes on, or was stopped) → the revision that they should run meanwhile."""
    waiting = RolloutMember.objects.filter(state=MemberState.WAITING)
    return dict(waiting.values_list("agent__slug", "agent__desired_revision"))


def held_back_at(agent: Agent) -> int | None:
    """The revision that an agent should run while a rollout has not reached it; None when none holds it back."""
    is_held = RolloutMember.objects.filter(agent=agent, state=MemberState.WAITING).exists()
    return agent.desired_revision if is_held else None


def _concerned(before: Document, after: Document) -> list[str]:
    """The agents that should run something else than up to now; for those held back, "now" is an older revision."""
    held = held_back()
    numbers = set(held.values())
    kept = Revision.objects.filter(number__in=numbers)
    older = {0: Document()} | {revision.number: from_plain(revision.document, Document) for revision in kept}
    concerned = changed_agents(before, after) - held.keys()
    for agent, number in held.items():
        if configuration_of(older[number], agent) != configuration_of(after, agent):
            concerned.add(agent)
    return sorted(concerned)


def _begin(revision: Revision, terms: Terms, concerned: Collection[str]) -> None:
    agents = {agent.slug: agent for agent in Agent.objects.filter(slug__in=concerned)}
    waves = assign(_labels(agents), terms.waves, str(revision.number))
    now = clock.now_datetime()
    rollout = Rollout.objects.create(
        revision=revision,
        waves=[name for name, _ in waves],
        tolerated=terms.tolerated,
        patience_seconds=terms.patience_seconds,
        pause_seconds=terms.pause_seconds,
        started_by=revision.author,
        started_at=now,
        moved_at=now,
    )
    members = [
        RolloutMember(rollout=rollout, agent=agents[slug], wave=number, previous_revision=agents[slug].desired_revision)
        for number, (_, slugs) in enumerate(waves, 1)
        for slug in slugs
    ]
    RolloutMember.objects.bulk_create(members)
    send_wave(rollout, 1)


def _labels(agents: Mapping[str, Agent]) -> dict[str, dict[str, Any]]:
    return {slug: agent.labels for slug, agent in agents.items()}
