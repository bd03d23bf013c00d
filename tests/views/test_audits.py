"""Audit scenarios on the engine with an old client: groups 4 and 7."""

from dataclasses import replace

import pytest

from apps.runtime.problems import Conflict
from apps.views import audits, presence, process
from apps.views.models import Audit, BlindSpot, Flag, Recheck, Tombstone
from fustor_schema.wire import FsRow
from tests.views.conftest import Bench, d, f


def complete(bench: Bench, *rows: FsRow) -> object:
    agent = bench.session()
    bench.sn(agent, *rows, end=True)
    bench.clock.advance(10)
    return agent


def test_s045_a_root_that_lists_nothing_deletes_nothing_and_is_not_trusted(bench: Bench) -> None:
    agent = complete(bench, d("/"), d("/d"), f("/d/a"))
    audit = bench.audit(agent, d("/", 200.0))
    assert audit is not None
    assert audit.state == Audit.State.PARTIAL
    assert bench.names() == {"/d", "/d/a"}
    assert "mounted" in bench.fresh_tree().source_lost
    bench.audit(agent, d("/", 200.0), d("/d"))
    assert bench.fresh_tree().source_lost == ""


def test_s046_the_brake_holds_a_mass_delete_until_a_second_audit_agrees(bench: Bench) -> None:
    bench.view.brake_rows = 10
    bench.view.save()
    agent = complete(bench, d("/d"), *(f(f"/d/{number}") for number in range(30)))
    first = bench.audit(agent, d("/d", 200.0), f("/d/0"))
    assert first is not None
    assert (first.state, first.held, len(bench.files())) == (Audit.State.HELD, 29, 30)
    bench.clock.advance(10)
    second = bench.audit(agent, d("/d", 200.0), f("/d/0"), f("/d/1"))
    assert second is not None
    assert (second.state, second.deleted, len(bench.files())) == (Audit.State.COMPLETE, 28, 2)


def test_s046_a_person_approves_what_the_brake_holds(bench: Bench) -> None:
    bench.view.brake_rows = 10
    bench.view.save()
    agent = complete(bench, d("/d"), *(f(f"/d/{number}") for number in range(30)))
    held = bench.audit(agent, d("/d", 200.0), f("/d/0"))
    assert held is not None
    approved = audits.approve(held, "ann", bench.now_ms)
    assert (approved.state, approved.approved_by, bench.names()) == (Audit.State.COMPLETE, "ann", {"/d", "/d/0"})
    with pytest.raises(Conflict):
        audits.approve(held, "ann", bench.now_ms)


def test_s048_a_joining_follower_leaves_the_audit_alone(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.audit_start(agent)
    bench.au(agent, d("/d", 200.0), f("/d/a"))
    presence.update(bench.tree.pk, live_sessions=2, leader_session=agent.session, epoch=0, now=bench.clock.now())
    bench.au(agent, f("/d/b"))
    audit = bench.audit_end(agent)
    assert audit is not None
    assert (audit.state, audit.deleted, bench.names()) == (Audit.State.COMPLETE, 0, {"/d", "/d/a", "/d/b"})


@pytest.mark.parametrize("seconds_before", [0.01, 59.0])
def test_s051_s052_a_file_made_inside_the_window_is_kept_and_looked_at(bench: Bench, seconds_before: float) -> None:
    agent = complete(bench, d("/d"), f("/d/a"))
    bench.rt(agent, f("/d/n"))
    bench.clock.advance(seconds_before)
    bench.audit(agent, d("/d", 200.0), f("/d/a"))
    assert "/d/n" in bench.names()
    recheck = Recheck.objects.get()
    assert (recheck.path, recheck.wanted_at) == ("/d/n", bench.now_ms + 60_000)


def test_r13_a_mount_without_a_cache_needs_no_window(bench: Bench) -> None:
    agent = replace(bench.session(), attr_cache_ms=0)
    bench.sn(agent, d("/d"), f("/d/a"), end=True)
    bench.rt(agent, f("/d/n"))
    bench.clock.advance(0.1)
    bench.audit(agent, d("/d", 200.0), f("/d/a"))
    assert bench.names() == {"/d", "/d/a"}


def test_r13_outside_the_window_the_listing_counts(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"))
    bench.rt(agent, f("/d/n"))
    bench.clock.advance(61)
    bench.audit(agent, d("/d", 200.0), f("/d/a"))
    assert bench.names() == {"/d", "/d/a"}


def test_s053_a_row_listed_before_a_delete_does_not_bring_it_back(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.audit_start(agent)
    bench.rm(agent, "/d/b")
    bench.au(agent, d("/d", 200.0), f("/d/a"), f("/d/b"), at=-0.5)
    bench.audit_end(agent)
    assert bench.names() == {"/d", "/d/a"}


def test_s055_a_late_start_keeps_the_earlier_fence(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"))
    bench.au(agent, d("/d", 200.0), f("/d/a"), at=-5)
    began = Audit.objects.get().started_at
    audit = bench.audit_start(agent)
    assert audit is not None
    assert audit.started_at == began
    assert Audit.objects.count() == 1


def test_s056_ends_and_starts_repeat_without_harm(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"))
    assert bench.audit_end(agent) is None
    first, second = bench.audit_start(agent), bench.audit_start(agent)
    assert first is not None
    assert first == second
    assert bench.audit_end(agent) == first
    assert bench.audit_end(agent) is None
    assert bench.names() == {"/d", "/d/a"}


def test_s057_an_older_version_restored_by_a_blind_host_is_shown(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a", 100.0, 10))
    bench.audit(agent, d("/d"), f("/d/a", 50.0, 5))
    stored = bench.files()["/d/a"]
    assert (stored.mtime, stored.size) == (50.0, 5)
    assert BlindSpot.objects.get(path="/d/a").change == "modified"


def test_s061_only_direct_children_of_silent_directories_are_protected(bench: Bench) -> None:
    agent = complete(bench, d("/"), d("/a"), d("/a/b"), f("/a/keep"), f("/a/b/gone"), f("/a/b/stays"))
    bench.audit(agent, d("/", audit_skipped=True), d("/a", audit_skipped=True), d("/a/b", 200.0), f("/a/b/stays"))
    assert bench.names() == {"/a", "/a/b", "/a/keep", "/a/b/stays"}


def test_s062_an_audit_of_an_earlier_term_ends_without_deletions(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.audit_start(agent)
    bench.au(agent, d("/d", 200.0), f("/d/a"))
    presence.update(bench.tree.pk, live_sessions=1, leader_session=9, epoch=1, now=bench.clock.now())
    assert bench.audit_end(agent) is None
    assert Audit.objects.get().state == Audit.State.ABORTED
    assert bench.names() == {"/d", "/d/a", "/d/b"}


def test_s065_a_quiet_audit_changes_nothing(bench: Bench) -> None:
    agent = complete(bench, d("/"), *(d(f"/{number}") for number in range(20)), *(f(f"/{number}/x") for number in range(20)))
    seq = bench.fresh_tree().change_seq
    bench.audit(agent, d("/", audit_skipped=True), *(d(f"/{number}", audit_skipped=True) for number in range(20)))
    assert bench.fresh_tree().change_seq == seq
    assert BlindSpot.objects.count() == 0
    assert len(bench.files()) == 20


def test_s084_s085_s086_what_only_an_audit_saw_is_a_blind_spot(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/same"), f("/d/changed"), f("/d/gone"))
    bench.audit(agent, d("/d", 200.0), f("/d/same"), f("/d/changed", 150.0), f("/d/new"))
    assert dict(BlindSpot.objects.values_list("path", "change")) == {
        "/d/changed": "modified",
        "/d/gone": "deleted",
        "/d/new": "added",
    }
    flagged = {path for path, file in bench.files().items() if file.flags & Flag.BLIND}
    assert flagged == {"/d/changed", "/d/new"}
    assert Tombstone.objects.get().path == "/d/gone"


def test_s087_a_realtime_event_closes_a_blind_spot(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"))
    bench.audit(agent, d("/d", 200.0), f("/d/a"), f("/d/new"))
    bench.rt(agent, f("/d/new"))
    assert BlindSpot.objects.get().closed_at is not None
    assert not bench.files()["/d/new"].flags & Flag.BLIND


def test_a_second_audit_of_the_session_finds_a_file_again(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.audit(agent, d("/d", 200.0), f("/d/a"))
    bench.clock.advance(1)
    bench.audit(agent, d("/d", 201.0), f("/d/a"), f("/d/b"))
    assert bench.names() == {"/d", "/d/a", "/d/b"}


def test_a_changed_directory_that_lists_nothing_is_scanned_before_its_children_go(bench: Bench) -> None:
    agent = complete(bench, d("/"), d("/d"), f("/d/a"))
    bench.audit(agent, d("/"), d("/d", 200.0))
    assert bench.names() == {"/d", "/d/a"}
    assert Recheck.objects.get().recursive


def test_s047_a_lost_batch_makes_the_audit_partial(bench: Bench) -> None:
    agent = complete(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.audit_start(agent)
    bench.au(agent, d("/d", 200.0), f("/d/a"))
    audits.note_failure(bench.tree.pk, now_ms=bench.now_ms, reason="a batch was refused: 503")
    audit = bench.audit_end(agent)
    assert audit is not None
    assert (audit.state, len(bench.files())) == (Audit.State.PARTIAL, 2)


def test_s146_an_audit_that_a_restart_cut_in_two_deletes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = complete(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.audit_start(agent)
    bench.au(agent, f("/d/a"))
    bench.clock.advance(1)
    monkeypatch.setattr(process, "started_at", process.started_at + 1e6)
    bench.au(agent, d("/d", 200.0), f("/d/b"))
    assert bench.audit_end(agent) is None
    assert bench.names() == {"/d", "/d/a", "/d/b"}
    monkeypatch.undo()
    bench.clock.advance(1)
    audit = bench.audit(agent, d("/d", 200.0), f("/d/b"))
    assert audit is not None
    assert (audit.state, bench.names()) == (Audit.State.COMPLETE, {"/d", "/d/b"})


def test_an_absent_directory_goes_with_all_below_it_and_one_blind_spot(bench: Bench) -> None:
    agent = complete(bench, d("/"), d("/keep"), d("/gone"), d("/gone/deep"), f("/gone/deep/x", size=5))
    bench.audit(agent, d("/", 200.0), d("/keep"))
    assert bench.names() == {"/keep"}
    spot = BlindSpot.objects.get()
    assert (spot.path, spot.change, spot.is_directory, spot.count) == ("/gone", "deleted", True, 3)
    assert bench.totals("/") == (0, 1, 0, None)
