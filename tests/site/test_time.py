"""Scenario 97: a step of the host's wall clock moves nothing in the server (R44)."""

import time

import pytest
import time_machine

from apps.runtime.clock import SteadyClock


@pytest.mark.django_db
@pytest.mark.parametrize("step", [-3600.0, +3600.0])
def test_s097_a_step_of_the_wall_clock_is_not_felt_by_running_or_new_processes(step: float) -> None:
    running = SteadyClock()
    before = running.now()
    assert before == pytest.approx(time.time(), abs=60)
    with time_machine.travel(time.time() + step):
        assert running.now() == pytest.approx(before, abs=60)
        started_after_the_step = SteadyClock()
        assert started_after_the_step.now() == pytest.approx(before, abs=60)
        assert running.now() <= started_after_the_step.now() + 0.001
