"""The spool: first in, first out, across memory, files and restarts; bounded, and honest about it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_runner import spool
from agent_runner.spool import Spool, SpoolFull
from fustor_schema.wire import Event


def events(start: int, count: int) -> list[Event]:
    return [Event(event_type="insert", index=number) for number in range(start, start + count)]


def drain(waiting: Spool) -> list[int]:
    taken: list[int] = []
    while some := waiting.peek(700):
        taken.extend(int(event.index or 0) for event in some)
        waiting.drop(len(some))
    return taken


def test_order_is_kept_from_memory_to_files_and_back(tmp_path: Path) -> None:
    waiting = Spool(tmp_path, 100_000_000)
    for start in range(0, 60_000, 1_000):
        waiting.put(events(start, 1_000))
    assert waiting.bytes_on_disk > 0
    assert drain(waiting) == list(range(60_000))
    assert len(waiting) == 0
    assert waiting.bytes_on_disk == 0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["put", "take", "restart"]), st.integers(1, 900)), max_size=40))
def test_any_work_keeps_the_order(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MEMORY_EVENTS", 500)
    monkeypatch.setattr(spool, "SEGMENT_EVENTS", 200)
    home = tmp_path_factory.mktemp("spool")
    waiting, put, taken = Spool(home, 100_000_000), 0, []
    for step, count in steps:
        if step == "put":
            waiting.put(events(put, count))
            put += count
        elif step == "restart":
            waiting.save()
            waiting = Spool(home, 100_000_000)
        else:
            some = waiting.peek(count)
            taken.extend(int(event.index or 0) for event in some)
            waiting.drop(len(some))
    assert taken + drain(waiting) == list(range(put))


def test_a_full_spool_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    waiting = Spool(tmp_path, 1)
    waiting.put(events(0, spool.MEMORY_EVENTS))
    waiting.put(events(spool.MEMORY_EVENTS, spool.SEGMENT_EVENTS))
    with pytest.raises(SpoolFull):
        waiting.put(events(0, 1))
    assert len(drain(waiting)) == spool.MEMORY_EVENTS + spool.SEGMENT_EVENTS


def test_what_another_boot_left_is_dropped(tmp_path: Path) -> None:
    other = tmp_path / "spool" / "another-boot"
    other.mkdir(parents=True)
    (other / "000000000001.events").write_bytes(b"\x90")
    waiting = Spool(tmp_path, 1_000_000)
    assert waiting.peek(10) == []
    assert not other.exists()
