"""Suspects and the storage's clock: groups 6 and 8 on the engine."""

from dataclasses import replace

import pytest

from apps.views import clock as view_clock
from apps.views import housekeeping, sentinel, services
from apps.views.claims import Origin
from apps.views.models import Flag, Suspect, Tombstone
from apps.views.sentinel import Look
from fustor_schema.wire import Event
from tests.views.conftest import Bench, d, f


def is_suspect(bench: Bench, path: str) -> bool:
    """Whether a file is suspect; the flag and the table must agree."""
    listed = Suspect.objects.filter(path=path).exists()
    assert bool(bench.files()[path].flags & Flag.SUSPECT) is listed
    return listed


def look(bench: Bench, agent: Origin, *looks: Look) -> int:
    return sentinel.feedback(bench.tree.pk, agent, looks, bench.now_ms)


def test_s031_s075_s076_a_partial_write_is_suspect_until_it_closes(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x"))
    assert not is_suspect(bench, "/x")
    bench.rt(agent, f("/x", 101.0, is_atomic_write=False))
    assert is_suspect(bench, "/x")
    bench.rt(agent, f("/x", 102.0, is_atomic_write=False))
    assert is_suspect(bench, "/x")
    bench.rt(agent, f("/x", 103.0))
    assert not is_suspect(bench, "/x")


def test_s077_a_writer_that_died_needs_the_threshold_and_a_confirming_look(bench: Bench) -> None:
    agent = bench.session()
    now = bench.clock.now()
    bench.rt(agent, f("/x", now, is_atomic_write=False))
    look(bench, agent, Look("/x", mtime=now, size=1))
    assert is_suspect(bench, "/x")
    bench.clock.advance(31)
    housekeeping.expire_suspects(bench.clock.now())
    assert is_suspect(bench, "/x")
    look(bench, agent, Look("/x", mtime=now, size=1))
    assert not is_suspect(bench, "/x")


@pytest.mark.parametrize(("age", "suspect"), [(29.9, True), (30.0, False), (30.1, False)])
def test_s078_a_file_as_old_as_the_threshold_is_not_suspect(bench: Bench, age: float, suspect: bool) -> None:
    agent = bench.session()
    bench.sn(agent, d("/d"), end=True)
    bench.audit(agent, d("/d", 200.0), f("/d/x", bench.clock.now() - age))
    assert is_suspect(bench, "/d/x") is suspect


def test_s079_a_look_that_confirms_a_cold_file_clears_it_and_a_scan_does_not(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 100.0, 5, is_atomic_write=False))
    bench.clock.advance(120)
    bench.sn(agent, f("/x", 100.0, 5))
    bench.audit(agent, d("/"), f("/x", 100.0, 5))
    assert is_suspect(bench, "/x")
    assert look(bench, agent, Look("/x", mtime=100.0, size=5)) == 1
    assert not is_suspect(bench, "/x")


def test_a_look_that_finds_a_change_updates_and_renews(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 100.0, 5, is_atomic_write=False))
    bench.clock.advance(40)
    look(bench, agent, Look("/x", mtime=140.0, size=9))
    assert bench.files()["/x"].size == 9
    assert Suspect.objects.get().until == bench.clock.now() + 30


def test_r40_a_missing_suspect_is_a_confirmed_delete(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", is_atomic_write=False))
    look(bench, agent, Look("/x", status="missing"))
    assert bench.names() == set()
    assert not Suspect.objects.exists()
    assert Tombstone.objects.get().source == "sentinel"


def test_s083_a_stable_future_file_leaves_the_list_and_returns_only_when_it_changes(bench: Bench) -> None:
    agent = bench.session()
    future = bench.clock.now() + 1e8
    bench.sn(agent, f("/x", future), end=True)
    assert is_suspect(bench, "/x")
    bench.clock.advance(30)
    assert housekeeping.expire_suspects(bench.clock.now()) == 1
    assert not is_suspect(bench, "/x")
    bench.sn(agent, f("/x", future))
    assert not is_suspect(bench, "/x")
    bench.sn(agent, f("/x", future + 1))
    assert is_suspect(bench, "/x")


def test_tasks_hand_out_those_not_asked_for_longest_first(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/a", is_atomic_write=False), f("/b", is_atomic_write=False))
    now = bench.clock.now()
    assert sentinel.tasks([bench.tree.pk], now, limit=1) == ["/a"]
    assert sentinel.tasks([bench.tree.pk], now + 1, limit=2) == ["/b", "/a"]


def test_put_suspects_judges_looks_without_a_session(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 100.0, is_atomic_write=False))
    assert services.put_suspects(bench.view, [Look("/x", mtime=100.0), Look("/none", mtime=1.0)], "ann") == 1
    assert not is_suspect(bench, "/x")


def test_s092_s098_the_storage_clock_is_learnt_from_enough_stamps_and_moves_ages_only(bench: Bench) -> None:
    agent = bench.session()
    for _ in range(25):
        bench.clock.advance(1)
        stamp = bench.clock.now() + 3600
        bench.rt(agent, f("/x", stamp, created_time=stamp))
    state = bench.fresh_tree().clock
    assert view_clock.is_confident(state)
    assert view_clock.logical_now(state, bench.clock.now()) == pytest.approx(bench.clock.now() + 3600, abs=1)
    bench.sn(agent, f("/hot", bench.clock.now() + 3595), f("/cold", bench.clock.now()), end=True)
    assert is_suspect(bench, "/hot")
    assert not is_suspect(bench, "/cold")


def test_s094_few_samples_or_absurd_ones_leave_the_server_clock(bench: Bench) -> None:
    agent = bench.session()
    for mtime in (1.0, bench.clock.now() + 10 * 365 * 86_400, bench.clock.now()):
        bench.rt(agent, f("/x", mtime, created_time=mtime))
    assert view_clock.logical_now(bench.fresh_tree().clock, 5.0) == 5.0


def test_s095_one_host_that_stamps_nonsense_moves_nothing(bench: Bench) -> None:
    good, bad = bench.session(), bench.session()
    for _ in range(25):
        bench.clock.advance(1)
        now = bench.clock.now()
        bench.rt(good, f("/g", now, created_time=now))
        for number in range(3):
            bench.rt(bad, f(f"/b{number}", now - 7200, created_time=now - 7200))
    assert view_clock.logical_now(bench.fresh_tree().clock, bench.clock.now()) == pytest.approx(bench.clock.now(), abs=5)


def test_r44_the_watermark_never_goes_back() -> None:
    state: dict[str, object] = {}
    for second in range(30):
        state = view_clock.with_sample(state, 1, 100.0, 1000.0 + second)
    before = view_clock.logical_now(state, 1030.0)
    for second in range(60):
        state = view_clock.with_sample(state, 1, -50.0, 1031.0 + second)
        now = view_clock.logical_now(state, 1031.0 + second)
        assert now >= before
        before = now


@pytest.mark.parametrize(("told", "suspects"), [(True, set()), (False, {"/d/y"})])
def test_r40_a_rename_leaves_no_suspicion_of_the_old_name(bench: Bench, told: bool, suspects: set[str]) -> None:
    agent = replace(bench.session(), protocol=3)
    bench.sn(agent, d("/d"), f("/d/x"), end=True)
    bench.clock.advance(10)
    bench.rt(agent, f("/d/x", is_atomic_write=False))
    # without its row the destination was gone again when the agent looked: whoever writes may still be writing
    move = Event("move", [f("/d/y")] if told else [], "realtime", "fs", "files", observed_at=bench.now_ms, from_="/d/x", to="/d/y")
    bench.deliver(agent, "realtime", [move])
    assert set(Suspect.objects.values_list("path", flat=True)) == suspects
    assert bool(bench.files()["/d/y"].flags & (Flag.SUSPECT | Flag.PARTIAL)) is bool(suspects)
