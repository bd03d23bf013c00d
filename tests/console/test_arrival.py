"""Why is nothing arriving? The first step that fails is named with its fix, and nothing is claimed about the steps behind it."""

from dataclasses import replace

import pytest

from apps.sessions.arrival import Facts, facts_of, steps
from apps.sessions.sight import EVERYTHING
from apps.sessions.status import Level, Status
from tests.console.conftest import Fleet

WELL = Facts(
    receiver_enabled=True,
    usable_keys=2,
    enabled=True,
    paused=False,
    views=1,
    enabled_views=1,
    live_sessions=2,
    sessions=(Status(Level.OK, "Leader, live"),),
    has_leader=True,
    can_realtime=True,
    last_batch_at=1_750_000_000.0,
)


def first_bad(facts: Facts) -> str:
    return next((step.name for step in steps(facts) if step.good is False), "")


def test_when_all_is_well_every_step_is_good() -> None:
    assert all(step.good for step in steps(WELL))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"receiver_enabled": False}, "Receiver on"),
        ({"usable_keys": 0}, "Key usable"),
        ({"enabled": False}, "Pipe on"),
        ({"paused": True}, "Pipe not paused"),
        ({"views": 0, "enabled_views": 0}, "View connected"),
        ({"enabled_views": 0}, "View on"),
        ({"sessions": ()}, "Agent connected"),
        ({"sessions": (Status(Level.BAD, "Silent", "No sign of life.", "Look at its log."),)}, "Agent well"),
        ({"has_leader": False}, "Leader"),
        ({"can_realtime": False}, "Watching"),
        ({"last_batch_at": None}, "Something arrived"),
    ],
)
def test_each_fault_is_named_with_a_fix(change: dict[str, object], named: str) -> None:
    facts = replace(WELL, **change)  # type: ignore[arg-type]  # the parameters above are fields of Facts
    assert first_bad(facts) == named
    failed = next(step for step in steps(facts) if step.good is False)
    assert failed.fix


def test_nothing_is_said_of_the_steps_behind_a_failure() -> None:
    shown = steps(replace(WELL, enabled=False, sessions=(), has_leader=False))
    assert [step.good for step in shown[:3]] == [True, True, False]
    assert all(step.good is None for step in shown[3:])


def test_the_facts_of_a_real_pipe(fleet: Fleet) -> None:
    facts = facts_of(fleet.pipe, [Status(Level.OK, "Live")], EVERYTHING)
    assert (facts.usable_keys, facts.views, facts.has_leader, facts.can_realtime) == (1, 1, True, True)
    assert first_bad(facts) == "Something arrived"
