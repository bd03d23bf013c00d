"""Pipe states, sources, listings, schemas, versions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fustor_schema import listing, registry, sources
from fustor_schema.pipestate import TRANSITIONS, IllegalTransition, PipeState, advance, label, lifecycle, parse


def test_integers_are_what_old_agents_report() -> None:
    assert [int(state) for state in PipeState] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert parse("98") == PipeState.RUNNING | PipeState.SNAPSHOT | PipeState.MESSAGE


@pytest.mark.parametrize(
    ("reported", "state"), [(None, 0), ("", 0), ("2", 2), (66, 66), ("RUNNING|AUDIT", 130), ("PipeState.PAUSED", 4)]
)
def test_parse(reported: str | int | None, state: int) -> None:
    assert int(parse(reported)) == state


@pytest.mark.parametrize("reported", ["-1", "walking", "RUNNING|"])
def test_parse_refuses_what_is_no_state(reported: str) -> None:
    with pytest.raises(ValueError, match=r"state|negative"):
        parse(reported)


def test_unknown_bits_of_newer_agents_are_kept_out() -> None:
    assert parse(2 | 1 << 20) == PipeState.RUNNING


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(TRANSITIONS, 2)))
def test_only_known_transitions_pass(before: PipeState, after: PipeState) -> None:
    if after in TRANSITIONS[before]:
        assert advance(before, after) == after
    else:
        with pytest.raises(IllegalTransition, match=label(after)):
            advance(before, after)


def test_phases_need_a_running_pipe() -> None:
    assert advance(PipeState.RUNNING, PipeState.RUNNING | PipeState.AUDIT | PipeState.MESSAGE)
    with pytest.raises(IllegalTransition, match="phase"):
        advance(PipeState.RUNNING, PipeState.PAUSED | PipeState.SNAPSHOT)


@given(st.integers(min_value=0, max_value=2047))
def test_every_state_has_one_lifecycle_and_a_label(value: int) -> None:
    state = PipeState(value)
    assert lifecycle(state) in TRANSITIONS
    assert parse(label(state).replace("STOPPED", "0")) == state


@given(st.lists(st.binary(min_size=1, max_size=10), unique=True), st.randoms())
def test_names_hash_knows_the_set_not_the_order(names: list[bytes], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its randoms as object
    assert listing.names_hash(names) == listing.names_hash(shuffled)
    if names:
        assert listing.names_hash(names) != listing.names_hash(names[1:])


def test_negotiation_keeps_old_clients_old() -> None:
    assert [sources.negotiate(asked) for asked in (None, 1, 2, 3, 9)] == [2, 2, 2, 3, 3]


def test_an_unknown_schema_is_named_with_those_there_are() -> None:
    assert registry.schema_of("fs").tables == {"files"}
    with pytest.raises(registry.UnknownSchema, match=r"'s3'.*fs"):
        registry.schema_of("s3")
