"""Snapshot and realtime scenarios on the engine: groups 2, 3 and 5."""

import pytest

from apps.views import verify
from apps.views.models import Flag, Refusal, Tombstone
from fustor_schema.wire import Event
from tests.views.conftest import Bench, d, f


def test_s022_a_snapshot_is_stored_as_sent_with_its_parents(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/a"), f("/a/x", 5.0, 7))
    outcome = bench.sn(agent, f("/b/c/y", 6.0, 9), end=True)
    assert outcome.snapshot_completed
    assert bench.names() == {"/a", "/a/x", "/b", "/b/c", "/b/c/y"}
    root = bench.directories()["/"]
    assert (root.total_files, root.total_directories, root.total_bytes, root.newest_mtime) == (2, 3, 16, 6.0)
    assert bench.fresh_tree().snapshot_complete_at is not None


def test_s024_a_scan_row_older_than_a_delete_stays_out(bench: Bench) -> None:
    agent = bench.session()
    bench.rm(agent, "/x")
    outcome = bench.sn(agent, f("/x"), at=-1)
    assert (outcome.applied, outcome.ignored, bench.names()) == (0, 1, set())
    assert Refusal.objects.get().rule == 6


def test_s025_an_event_beats_a_scan_that_listed_before_it(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 100.0))
    bench.sn(agent, f("/x", 90.0))
    assert bench.files()["/x"].mtime == 100.0


def test_s026_the_end_of_a_snapshot_is_idempotent_and_needs_no_rows(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, end=True)
    first = bench.fresh_tree()
    bench.clock.advance(5)
    bench.sn(agent, end=True)
    again = bench.fresh_tree()
    assert first.snapshot_complete_at == again.snapshot_complete_at
    assert first.change_seq == again.change_seq == 1


def test_s028_an_older_row_does_not_turn_a_directory_into_a_file(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/a"), f("/a/x"))
    bench.sn(agent, f("/a"), at=-1)
    assert bench.names() == {"/a", "/a/x"}


def test_s029_a_newer_row_turns_a_directory_into_a_file_and_buries_its_children(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/a"), d("/a/b"), f("/a/b/x", size=9), end=True)
    bench.clock.advance(5)
    bench.sn(agent, f("/a", size=3))
    root = bench.directories()["/"]
    assert bench.names() == {"/a"}
    assert (root.total_files, root.total_directories, root.total_bytes) == (1, 0, 3)
    bench.sn(agent, f("/a/b/x"), at=-2)
    assert bench.names() == {"/a"}


def test_a_name_told_as_directory_and_then_as_file_in_one_batch_is_one_node(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/n"), d("/n/x"), f("/n/x"), f("/n/y"), end=True)
    assert bench.names() == {"/n", "/n/x", "/n/y"}
    assert bench.totals("/") == (1, 2, 1, 100.0)
    assert verify.verify(bench.tree.pk) == []


def test_s030_a_future_mtime_is_stored_as_suspect(bench: Bench) -> None:
    agent = bench.session()
    future = bench.clock.now() + 10 * 365 * 86_400
    bench.sn(agent, f("/x", future), end=True)
    stored = bench.files()["/x"]
    assert stored.mtime == future
    assert stored.flags & Flag.SUSPECT
    assert bench.fresh_tree().clock == {}


def test_s032_a_file_removed_and_made_again_is_visible(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 200.0))
    bench.rm(agent, "/x", at=-0.3)
    bench.rt(agent, f("/x", 50.0), at=-0.2)
    assert bench.names() == {"/x"}


def test_s033_an_audit_that_sees_it_keeps_it(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, end=True)
    bench.rm(agent, "/x")
    bench.rt(agent, f("/x"))
    bench.audit(agent, d("/"), f("/x"))
    assert bench.names() == {"/x"}


def test_s034_mv_a_b_mv_b_a(bench: Bench) -> None:
    agent = bench.session()
    names = [f"f{number}" for number in range(5)]
    bench.rt(agent, d("/A"), *(f(f"/A/{name}") for name in names))
    for origin, target in (("/A", "/B"), ("/B", "/A")):
        bench.rm(agent, origin)
        bench.rt(agent, d(target), *(f(f"{target}/{name}") for name in names))
    assert bench.names() == {"/A", *(f"/A/{name}" for name in names)}


def test_s037_a_clock_step_back_drops_no_event(bench: Bench) -> None:
    agent = bench.session()
    for number in range(5):
        bench.rt(agent, f("/x", float(number), size=number), at=-600.0 * number)
    assert bench.files()["/x"].size == 4


def test_s067_a_scan_well_after_the_delete_resurrects_whatever_its_mtime(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 500.0))
    bench.rm(agent, "/x")
    bench.clock.advance(61)
    bench.sn(agent, f("/x", 1.0))
    assert bench.names() == {"/x"}
    assert bench.fresh_tree().tombstone_count == Tombstone.objects.count() == 0


def test_s069_a_deleted_subtree_is_one_tombstone(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, d("/d"), *(f(f"/d/{number}") for number in range(50)))
    bench.rm(agent, *(f"/d/{number}" for number in range(50)))
    assert bench.fresh_tree().tombstone_count == Tombstone.objects.count() == 50
    bench.rt(agent, f("/d/new"))
    bench.rm(agent, "/d")
    assert [grave.path for grave in Tombstone.objects.all()] == ["/d"]
    assert bench.fresh_tree().tombstone_count == 1


def test_s071_a_directory_made_again_keeps_older_children_out(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, d("/d"), f("/d/old"))
    bench.rm(agent, "/d")
    bench.rt(agent, f("/d/new"))
    bench.sn(agent, f("/d/old"), at=-1)
    assert bench.names() == {"/d", "/d/new"}


def test_s116_the_root_is_neither_deleted_nor_retyped(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x"))
    deleted, retyped = bench.rm(agent, "/"), bench.rt(agent, f("/"))
    assert [reject.field for reject in (*deleted.rejected, *retyped.rejected)] == ["path", "path"]
    assert bench.names() == {"/x"}


def test_s132_the_last_of_equal_paths_in_a_batch_wins(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 3.0, 30), f("/x", 1.0, 10), f("/x", 2.0, 20))
    assert (bench.files()["/x"].size, bench.directories()["/"].total_bytes) == (20, 20)


def test_s133_updates_of_the_absent_and_deletes_of_the_absent_are_no_error(bench: Bench) -> None:
    agent = bench.session()
    assert bench.rm(agent, "/never").applied == 1
    assert Tombstone.objects.get().path == "/never"
    assert bench.push(agent, "realtime", [f("/x")], kind="update").applied == 1
    assert bench.push(agent, "realtime", [f("/x")], kind="insert").applied == 1


@pytest.mark.parametrize("leads", [True, False])
def test_s004_scans_of_a_follower_leave_the_view_alone(bench: Bench, leads: bool) -> None:
    agent = bench.session(leader=leads)
    outcome = bench.sn(agent, f("/x"), end=True)
    assert (bench.names() == {"/x"}) is leads
    assert (bench.fresh_tree().snapshot_complete_at is not None) is leads
    assert outcome.ignored == (0 if leads else 1)


def test_s128_unknown_words_reject_the_event_and_not_the_batch(bench: Bench) -> None:
    agent = bench.session()
    good = Event("insert", [f("/good")], "realtime", "fs", "files")
    bad = [
        Event("explode", [f("/a")], "realtime", "fs", "files"),
        Event("insert", [f("/b")], "gossip", "fs", "files"),
        Event("insert", [f("/c")], "realtime", "sql", "files"),
        Event("insert", [f("/d")], "realtime", "fs", None),
    ]
    outcome = bench.deliver(agent, "realtime", [*bad, good])
    assert [(reject.event, reject.field) for reject in outcome.rejected] == [
        (0, "event_type"),
        (1, "message_source"),
        (2, "event_schema"),
        (3, "table"),
    ]
    assert bench.names() == {"/good"}


def test_the_newest_mtime_stays_while_one_file_has_it(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, *(f(f"/d/{number}", 50.0) for number in range(4)), f("/d/old", 10.0))
    for number in range(3):
        bench.rm(agent, f"/d/{number}")
        assert bench.totals("/")[3] == 50.0
    bench.rt(agent, f("/d/3", 20.0))
    assert bench.totals("/")[3] == 20.0
    bench.rm(agent, "/d/3")
    assert bench.totals("/")[3] == 10.0


def test_totals_follow_every_change(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/a/b/x", 10.0, 5), f("/a/b/y", 20.0, 6), f("/a/z", 15.0, 7))
    assert bench.totals("/a") == (3, 1, 18, 20.0)
    bench.rt(agent, f("/a/b/y", 12.0, 1))
    assert bench.totals("/a") == (3, 1, 13, 15.0)
    bench.rm(agent, "/a/z")
    assert bench.totals("/a") == (2, 1, 6, 12.0)
    bench.rm(agent, "/a/b")
    assert bench.totals("/a") == (0, 0, 0, None)
    assert bench.totals("/") == (0, 1, 0, None)
