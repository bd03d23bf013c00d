"""Snapshot and realtime scenarios on the engine: groups 2 and 3."""

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


def test_s032_a_file_removed_and_made_again_is_visible(bench: Bench) -> None:
    agent = bench.session()
    bench.rt(agent, f("/x", 200.0))
    bench.rm(agent, "/x", at=-0.3)
    bench.rt(agent, f("/x", 50.0), at=-0.2)
    assert bench.names() == {"/x"}


def test_s024_a_scan_row_older_than_a_delete_stays_out(bench: Bench) -> None:
    agent = bench.session()
    bench.rm(agent, "/x")
    outcome = bench.sn(agent, f("/x"), at=-1)
    assert (outcome.applied, outcome.ignored, bench.names()) == (0, 1, set())


def test_s085_an_audit_that_misses_a_file_deletes_it(bench: Bench) -> None:
    agent = bench.session()
    bench.sn(agent, d("/d"), f("/d/a"), f("/d/b"), end=True)
    bench.clock.advance(10)
    bench.audit(agent, d("/d", 101.0), f("/d/a"))
    assert bench.names() == {"/d", "/d/a"}
