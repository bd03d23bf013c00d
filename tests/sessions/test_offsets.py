"""Clock offsets: estimated from arrivals, robust against delays, drift and steps."""

import random

from hypothesis import given
from hypothesis import strategies as st

from apps.sessions import offsets

Sample = tuple[float, float]


def learnt(samples: list[Sample]) -> dict[str, object]:
    state: dict[str, object] = {}
    for arrival, capture in samples:
        state = offsets.observe(state, arrival, capture)
    return state


def steady(offset: float, count: int = 60, every: float = 1000.0, start: float = 1e12) -> list[Sample]:
    """Messages of a clock that is `offset` ms behind the server, each 5–300 ms under way."""
    delay = random.Random(7)
    sent = [start + number * every for number in range(count)]
    return [(at + delay.uniform(5, 300), at - offset) for at in sent]


def test_a_wall_clock_ahead_is_believed_at_once() -> None:
    two_hours = 7_200_000.0
    state = offsets.observe({}, 1e12, 1e12 + two_hours)
    assert offsets.of_wall_clock(state).offset_ms == -two_hours


def test_a_wall_clock_behind_is_believed_only_after_many_samples() -> None:
    an_hour = 3_600_000.0
    assert offsets.of_wall_clock(learnt(steady(an_hour, 5))).offset_ms == 0.0
    known = offsets.of_wall_clock(learnt(steady(an_hour)))
    assert abs(known.offset_ms - an_hour) <= 50
    assert known.error_ms < offsets.MOST_ERROR_MS


def test_a_backlog_is_delay_and_no_skew() -> None:
    replay = [(1e12 + number, 1e12 - 600_000 + number) for number in range(10)]
    assert offsets.of_wall_clock(learnt(replay)).offset_ms == 0.0


def test_the_handshake_sets_a_monotonic_clock() -> None:
    state = offsets.observe({}, 1e12, 5_000.0)
    assert offsets.of_monotonic_clock(state).offset_ms == 1e12 - 5_000.0


def test_a_slow_message_does_not_move_the_offset() -> None:
    state = learnt(steady(0.0))
    before = offsets.of_monotonic_clock(state).offset_ms
    state = offsets.observe(state, 1e12 + 61_000, 1e12 + 1_000)
    assert abs(offsets.of_monotonic_clock(state).offset_ms - before) < 50


def test_the_estimate_follows_a_step_of_the_clock_within_two_windows() -> None:
    ten_minutes = 600_000.0
    state = learnt(steady(0.0) + steady(ten_minutes, count=130, start=1e12 + 60_000))
    assert abs(offsets.of_wall_clock(state).offset_ms - ten_minutes) <= 50


def test_without_samples_nothing_is_known() -> None:
    assert offsets.of_wall_clock({}) == offsets.of_monotonic_clock({}) == offsets.Offset(0.0, offsets.MOST_ERROR_MS)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 5_000)), min_size=1, max_size=80))
def test_the_offset_is_never_below_the_smallest_sample(gaps: list[Sample]) -> None:
    arrival, samples = 1e12, []
    for gap, delay in gaps:
        arrival += gap
        samples.append((arrival, arrival - delay))
    offset = offsets.of_monotonic_clock(learnt(samples))
    assert min(delay for _, delay in gaps) - 0.01 <= offset.offset_ms <= max(delay for _, delay in gaps) + 0.01
    assert offsets.FLOOR_ERROR_MS <= offset.error_ms <= offsets.MOST_ERROR_MS
