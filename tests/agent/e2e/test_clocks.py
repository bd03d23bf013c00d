"""Hosts whose wall clock is wrong, or steps: nothing false is deleted, nothing is lost, and the agent says how wrong (R43)."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_runner.clock import ServerClock, monotonic_ms, wall_ms
from apps.sessions.models import Session
from tests.agent.e2e.conftest import REPOSITORY, Fleet, RealAgent
from tests.agent.e2e.test_audits import churn_outside
from tests.agent.walk import age, grow, walked
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox
HOURS = 3_600
WRONG_CLOCK = Path(__file__).parent / "wrong_clock"


@pytest.fixture
def audited(make_world: Callable[..., World], tmp_path: Path) -> Iterator[Fleet]:
    """Audits every two seconds; a file is hot for two."""
    made = Fleet(
        make_world(
            # no failover here: a session ends only by what the test is about
            pipe={"audit_interval_sec": 2.0, "session_timeout_seconds": 30},
            view={"hot_file_threshold": 2.0},
        ),
        tmp_path,
    )
    yield made
    made.close()


def start_with_clock(agent: RealAgent, seconds: int) -> Path:
    """Starts it on a host whose clock is off by so much. Returns the file that says so, for a step later."""
    offset = agent.state / "clock"
    step_clock(offset, seconds)
    agent.start(PYTHONPATH=f"{WRONG_CLOCK}:{REPOSITORY}", FUSTOR_TEST_CLOCK=str(offset))
    return offset


def step_clock(offset: Path, seconds: int) -> None:
    """Sets the clock; whoever reads the file meanwhile finds it whole."""
    fresh = offset.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(offset)


def reported_offset(agent: RealAgent) -> float | None:
    session = Session.objects.filter(agent_name=agent.name, pipe__in=agent.world.pipes, ended_at=None).first()
    found: Any = session.agent_status.get("clock_offset_seconds") if session else None
    return None if found is None else float(found)


def is_off(agent: RealAgent, seconds: int) -> bool:
    """True when it reports so, but for what its handshake took."""
    return abs((reported_offset(agent) or 0) - seconds) < 10


def test_s092_one_host_two_hours_ahead_and_one_an_hour_behind(audited: Fleet, tree: Path) -> None:
    grow(tree, 100)
    age(tree, 24 * HOURS)
    ahead, behind = audited.agent(tree, "host-a"), audited.agent(tree, "host-b")
    start_with_clock(ahead, 2 * HOURS)
    audited.until_equal(tree)
    start_with_clock(behind, -1 * HOURS)
    audited.until(lambda: reported_offset(behind) is not None)
    steady = {path for path in walked(tree) if path.startswith("/d")}
    for step in range(15):
        churn_outside(tree, random.Random(step))
        assert steady <= audited.seen().keys()
    audited.until_equal(tree)
    cycles = audited.world.reader.ST().json()["audit_cycle_count"]
    audited.until(lambda: audited.world.reader.ST().json()["audit_cycle_count"] >= cycles + 2)
    assert steady <= audited.seen().keys()
    audited.until_equal(tree)
    # the steady files were not touched since: who is suspect of them for long is so by a wrong clock
    audited.until(lambda: steady.isdisjoint(suspect["path"] for suspect in audited.world.reader.SU().json()))
    before = time.time()
    assert before - 5 < audited.world.reader.ST().json()["logical_now"] < time.time() + 5
    audited.until(lambda: is_off(ahead, 2 * HOURS))
    audited.until(lambda: is_off(behind, -1 * HOURS))


def test_s096_the_clock_steps_ten_minutes_there_and_back_while_work_goes_on(audited: Fleet, tree: Path) -> None:
    grow(tree)
    age(tree)
    agent = audited.agent(tree)
    offset = start_with_clock(agent, 0)
    audited.until_equal(tree)
    for step, seconds in enumerate((600, -600, 0, 600, 0)):
        step_clock(offset, seconds)
        churn_outside(tree, random.Random(step))
        # order is what counts here: the last of many states of one name must win
        for length in range(20):
            (tree / "one").unlink(missing_ok=True)
            (tree / "one").write_text("x" * (length + step))
    audited.until_equal(tree)
    assert b"gap" not in agent.log.read_bytes()
    sessions = Session.objects.filter(agent_name=agent.name, pipe=audited.world.pipe)
    assert sessions.count() == 1
    step_clock(offset, -600)
    audited.until(lambda: is_off(agent, -600))


def test_the_servers_clock_goes_on_whatever_this_hosts_does() -> None:
    now, monotonic = wall_ms(), monotonic_ms()
    assert abs(ServerClock(now, monotonic).ahead_ms()) < 1_000
    assert abs(ServerClock(now - 7_200_000, monotonic).ahead_ms() - 7_200_000) < 1_000
    # the same handshake an hour later: both clocks went on
    assert abs(ServerClock(now - 3_600_000, monotonic - 3_600_000).ahead_ms()) < 1_000
