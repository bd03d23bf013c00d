"""Why is nothing arriving at a pipe? The way of an event, step by step; the first step that fails is the answer.

`steps` is pure; `facts_of` gathers what it needs in a bounded number of queries. Shown on every pipe's page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from apps.pipes.models import ApiKey, Pipe
from apps.runtime import clock
from apps.sessions.sight import Sight
from apps.sessions.status import Status


@dataclass(frozen=True)
class Facts:
    """What the steps depend on. `sessions`: the statuses of the first of its live sessions, those that lead before the others;
    `last_batch_at`: when a batch was committed last (Unix seconds), None for never.
    """

    receiver_enabled: bool
    usable_keys: int
    enabled: bool
    paused: bool
    views: int
    enabled_views: int
    live_sessions: int
    sessions: Sequence[Status]
    has_leader: bool
    can_realtime: bool
    last_batch_at: float | None


@dataclass(frozen=True)
class Step:
    """One step of the way: `good` is None when an earlier step failed, so that nothing can be said of it."""

    name: str
    good: bool | None
    words: str
    fix: str = ""
    at: float | None = None


def steps(facts: Facts) -> tuple[Step, ...]:
    """The way from the key to the last batch. After the first failure the rest is open."""
    way = _way(facts)
    failed = next((number for number, step in enumerate(way) if not step.good), len(way))
    return (*way[: failed + 1], *(Step(step.name, None, "") for step in way[failed + 1 :]))


def _way(facts: Facts) -> list[Step]:
    unwell = bool(facts.sessions) and all(status.level == "bad" for status in facts.sessions)
    worst = facts.sessions[0] if facts.sessions else None
    return [
        Step("Receiver on", facts.receiver_enabled, "Its receiver takes events.", "Enable the receiver in the configuration."),
        Step("Key usable", facts.usable_keys > 0, f"{facts.usable_keys} keys may push.", "Make a receiver key, or enrol a host."),
        Step("Pipe on", facts.enabled, "The pipe is switched on.", "Enable the pipe in the configuration."),
        Step("Pipe not paused", not facts.paused, "It accepts events.", "Resume the pipe; agents kept what they saw."),
        Step("View connected", facts.views > 0, f"It feeds {facts.views} views.", "Connect a view to the pipe."),
        Step("View on", facts.enabled_views > 0, "A view takes what comes.", "Enable the view in the configuration."),
        Step("Agent connected", bool(facts.sessions), f"{facts.live_sessions} live sessions.", "Start the agent on its host."),
        Step("Agent well", not unwell, worst.reason if worst else "", worst.fix if worst else ""),
        Step(
            "Leader", facts.has_leader, "A session leads, so scans run.", "It settles within a second; else look at the sessions."
        ),
        Step(
            "Watching",
            facts.can_realtime,
            "Changes are watched as they happen.",
            "It starts with the first snapshot; see the jobs.",
        ),
        _last_batch(facts.last_batch_at),
    ]


def _last_batch(at: float | None) -> Step:
    if at is None:
        return Step("Something arrived", False, "No batch was ever committed.", "Change a file below the watched directory.")
    return Step("Something arrived", True, "The last batch. Quiet storage sends nothing.", at=at)


def facts_of(pipe: Pipe, statuses: Sequence[Status], sight: Sight) -> Facts:
    """The facts of a pipe; `statuses` are those of the first of its live sessions, the leader's before the others."""
    live = pipe.sessions.filter(ended_at=None)
    usable = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=clock.now_datetime()))
    # bound to the pipe, or of an agent that runs an agent pipe into it (as apps.pipes.keys decides)
    pushing = Q(pipes=pipe) | Q(agent__agent_pipes__pipe=pipe, agent__agent_pipes__enabled=True)
    views = list(pipe.views.filter(sight.within("pk")).values_list("enabled", flat=True))
    last = pipe.sessions.exclude(last_batch_at=None).order_by("-last_batch_at").values_list("last_batch_at", flat=True).first()
    return Facts(
        receiver_enabled=pipe.receiver.enabled,
        usable_keys=ApiKey.objects.filter(usable, pushing).distinct().count(),
        enabled=pipe.enabled,
        paused=pipe.paused,
        views=len(views),
        enabled_views=sum(views),
        live_sessions=live.count(),
        sessions=statuses,
        has_leader=live.filter(sight.within("leaderships__tree__view"), leaderships__isnull=False).exists(),
        can_realtime=live.filter(can_realtime=True).exists(),
        last_batch_at=last.timestamp() if last else None,
    )
