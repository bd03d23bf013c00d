"""Timers: tombstones, history, presence, reset."""

import pytest

from apps.views import housekeeping, presence, services
from apps.views.models import BlindSpot, ChangeBatch, Directory, File, Refusal, Tombstone, Tree, View
from tests.views.conftest import Bench, d, f


@pytest.mark.parametrize(("age", "kept"), [(3599.0, True), (3600.0, True), (3601.0, False)])
def test_s068_tombstones_go_after_the_floor_without_any_audit(bench: Bench, age: float, kept: bool) -> None:
    agent = bench.session()
    bench.rm(agent, "/x")
    bench.clock.advance(age)
    housekeeping.collect_tombstones(bench.clock.now())
    assert Tombstone.objects.exists() is kept
    assert bench.fresh_tree().tombstone_count == int(kept)


def test_s068_a_tombstone_outlives_the_floor_while_an_older_scan_is_open(bench: Bench) -> None:
    agent = bench.session()
    bench.audit_start(agent)
    bench.rm(agent, "/x")
    bench.clock.advance(7200)
    housekeeping.collect_tombstones(bench.clock.now())
    assert Tombstone.objects.exists()
    bench.audit_end(agent)
    housekeeping.collect_tombstones(bench.clock.now())
    assert not Tombstone.objects.exists()


def test_trim_keeps_history_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = bench.session()
    bench.sn(agent, end=True)
    for number in range(6):
        bench.rm(agent, "/x")
        bench.sn(agent, f("/x"), at=-1)
        bench.rt(agent, f(f"/{number}"))
    monkeypatch.setattr(housekeeping, "REFUSALS_KEPT", 2)
    monkeypatch.setattr(housekeeping, "FEED_KEPT_BATCHES", 3)
    housekeeping.trim(bench.clock.now())
    assert (Refusal.objects.count(), ChangeBatch.objects.count()) == (2, 3)
    bench.clock.advance(8 * 86_400)
    housekeeping.trim(bench.clock.now())
    assert (Refusal.objects.count(), ChangeBatch.objects.count()) == (0, 0)


@pytest.mark.parametrize("live_mode", [True, False])
def test_s014_only_a_live_view_empties_with_its_last_session(bench: Bench, live_mode: bool) -> None:
    View.objects.filter(pk=bench.view.pk).update(live_mode=live_mode)
    agent = bench.session()
    presence.update(bench.tree.pk, live_sessions=1, leader_session=agent.session, epoch=0, now=bench.clock.now())
    bench.sn(agent, d("/d"), f("/d/x"), end=True)
    presence.update(bench.tree.pk, live_sessions=0, leader_session=None, epoch=0, now=bench.clock.now())
    tree = bench.fresh_tree()
    assert tree.offline_since == bench.clock.now()
    assert (tree.snapshot_complete_at is None) is live_mode
    assert (bench.names() == set()) is live_mode


def test_reset_forgets_everything_and_tells_the_feed(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/d"), f("/d/x"), end=True)
    bench.rm(agent, "/d/x")
    before = bench.fresh_tree().change_seq
    services.reset_view(bench.view, "ann")
    tree = bench.fresh_tree()
    assert bench.names() == set()
    assert tree.snapshot_complete_at is None
    assert tree.change_seq == tree.reset_seq == before + 1
    bench.sn(agent, f("/d/x"), end=True)
    assert bench.names() == {"/d", "/d/x"}


def test_a_dropped_view_leaves_no_rows(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/d"), f("/d/x"), end=True)
    bench.audit(agent, d("/d", 200.0), f("/d/y"))
    services.drop_view_trees(bench.view)
    bench.view.delete()
    assert not any(model.objects.exists() for model in (Tree, Directory, File, BlindSpot, Tombstone))


def test_a_person_closes_blind_spots(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/d"), f("/d/x"), end=True)
    bench.audit(agent, d("/d", 200.0), f("/d/x"), f("/d/y"), f("/d/z"))
    assert services.close_blind_spots(bench.view, ["/d/y"], "ann") == 1
    assert services.close_blind_spots(bench.view, None, "ann") == 1
    assert not any(file.flags & 4 for file in bench.files().values())
    assert set(BlindSpot.objects.values_list("closed_by", flat=True)) == {"ann"}


def test_s163_a_full_view_says_so_and_takes_the_rest(bench: Bench) -> None:
    View.objects.filter(pk=bench.view.pk).update(max_nodes=2)
    agent = bench.session()
    outcome = bench.rt(agent, f("/a"), f("/b"), f("/c"), f("/a", size=9))
    assert outcome.over_capacity
    assert [(reject.row, "max_nodes" in reject.reason) for reject in outcome.rejected] == [(2, True)]
    assert bench.files()["/a"].size == 9
    assert bench.fresh_tree().capacity_exceeded
    bench.rm(agent, "/b")
    assert not bench.fresh_tree().capacity_exceeded
