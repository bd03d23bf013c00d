"""A directory renamed over one that the view knows to hold something: what is older is gone, what is newer stays (R39, R5)."""

import pytest

from apps.views.claims import Origin
from apps.views.models import Recheck, Suspect
from apps.views.outcome import Outcome
from apps.views.queries.changes import feed
from apps.views.verify import verify
from fustor_schema.wire import Event, FsRow
from tests.views.conftest import Bench, d, f


@pytest.fixture
def agent(bench: Bench) -> Origin:
    """A native leader. The view knows /a with one file, and /b with four and a directory; nobody will tell that /b was emptied."""
    agent = bench.session(protocol=3)
    stale = [f(f"/b/{number}", uid=7) for number in range(4)]
    bench.sn(agent, d("/a"), f("/a/x", 5.0, 3, uid=8), d("/b"), d("/b/sub"), f("/b/sub/deep"), *stale, end=True)
    bench.clock.advance(600)
    return agent


def move(bench: Bench, agent: Origin, origin: str, target: str, row: FsRow | None = None, at: float = 0.0) -> Outcome:
    when = bench.now_ms + int(at * 1000)
    rows = [d(target) if row is None else row]
    return bench.deliver(
        agent, "realtime", [Event("move", rows, "realtime", "fs", "files", observed_at=when, from_=origin, to=target)]
    )


def right(bench: Bench) -> set[str]:
    """What the view holds, after everything stored about it was checked."""
    assert verify(bench.tree.pk) == []
    return bench.names()


def rechecks() -> set[str]:
    return {recheck.path for recheck in Recheck.objects.all()}


@pytest.mark.parametrize("teller", ["the leader", "another"])
def test_what_stood_there_is_gone_however_much_it_was(bench: Bench, agent: Origin, teller: str) -> None:
    since = bench.fresh_tree().change_seq
    move(bench, agent if teller == "the leader" else bench.session(leader=False, protocol=3), "/a", "/b")
    assert right(bench) == {"/b", "/b/x"}
    assert (bench.totals("/"), bench.owners("/")) == ((1, 1, 3, 5.0), {7: (0, 0), 8: (1, 3)})
    assert rechecks() == {"/b"}
    told = feed(bench.fresh_tree(), since, "/", 100).changes
    assert [(change.kind, change.path) for change in told][:2] == [("deleted", "/b"), ("moved", "/b")]


def test_what_is_remembered_of_it_goes_with_it(bench: Bench, agent: Origin) -> None:
    bench.rt(agent, f("/b/hot", is_atomic_write=False))
    bench.clock.advance(1)
    move(bench, agent, "/a", "/b")
    assert right(bench) == {"/b", "/b/x"}
    assert not Suspect.objects.exists()


def test_an_empty_directory_is_replaced_without_a_scan(bench: Bench, agent: Origin) -> None:
    for path in ("/b/sub", *(f"/b/{number}" for number in range(4))):
        bench.rm(agent, path)
    move(bench, agent, "/a", "/b")
    assert (right(bench), rechecks()) == ({"/b", "/b/x"}, set())


def test_what_another_told_of_the_target_since_the_rename_stays(bench: Bench, agent: Origin) -> None:
    other, since = bench.session(leader=False, protocol=3), bench.fresh_tree().change_seq
    bench.rt(other, f("/b/new", 9.0, 20, uid=7), f("/b/x", 9.0, 30, uid=7), f("/b/sub/dir/late", is_atomic_write=False))
    bench.rt(other, d("/b/made", 9.0))
    move(bench, agent, "/a", "/b", at=-5)
    assert right(bench) == {"/b", "/b/x", "/b/new", "/b/sub", "/b/sub/dir", "/b/sub/dir/late", "/b/made"}
    assert bench.files()["/b/x"].size == 30, "it was written after the rename"
    assert bench.owners("/b") == {7: (2, 50), 8: (0, 0)}
    assert [suspect.path for suspect in Suspect.objects.all()] == ["/b/sub/dir/late"]
    told = [change.path for change in feed(bench.fresh_tree(), since, "/", 100).changes]
    assert set(told[told.index("/b") :]) == right(bench), "who follows the feed ends with the same"


@pytest.mark.parametrize("newer", [f("/b/x/inside"), d("/b/x")])
def test_a_newer_directory_stands_where_an_older_file_moves_to(bench: Bench, agent: Origin, newer: FsRow) -> None:
    bench.rt(bench.session(leader=False, protocol=3), newer)
    move(bench, agent, "/a", "/b", at=-5)
    assert right(bench) == {"/b", "/b/x", newer.path}


def test_a_newer_file_stands_where_an_older_directory_moves_to(bench: Bench, agent: Origin) -> None:
    bench.rt(agent, d("/a/y"), f("/a/y/z"))
    bench.clock.advance(10)
    bench.rt(bench.session(leader=False, protocol=3), f("/b/y"))
    move(bench, agent, "/a", "/b", at=-5)
    assert right(bench) == {"/b", "/b/x", "/b/y"}


def test_the_target_was_only_heard_of_by_what_came_after_the_rename(bench: Bench, agent: Origin) -> None:
    bench.rt(bench.session(leader=False, protocol=3), f("/c/new"))
    move(bench, agent, "/a", "/c", at=-5)
    assert right(bench) >= {"/c", "/c/new", "/c/x"}
    assert "/a" not in bench.names()


def test_a_later_rename_into_the_target_is_left_to_a_scan(bench: Bench, agent: Origin) -> None:
    bench.rt(agent, d("/q"), f("/q/old"))
    bench.clock.advance(10)
    move(bench, bench.session(leader=False, protocol=3), "/q", "/b/q")
    move(bench, agent, "/a", "/b", at=-5)
    assert right(bench) >= {"/b/q", "/b/q/old"}
    assert "/b" in rechecks()


def test_a_target_whose_own_row_is_newer_may_be_what_moved_there(bench: Bench, agent: Origin) -> None:
    bench.rt(bench.session(leader=False, protocol=3), d("/b", 99.0))
    before = bench.names() - {"/a", "/a/x"}
    move(bench, agent, "/a", "/b", at=-5)
    assert (right(bench), rechecks()) == (before, {"/b"})


def test_one_rename_told_late_by_a_second_source_deletes_nothing(bench: Bench, agent: Origin) -> None:
    second = bench.session(leader=False, protocol=3)
    move(bench, agent, "/a", "/b")
    bench.clock.advance(3)
    bench.rt(second, f("/a/late"))
    move(bench, second, "/a", "/b")
    assert right(bench) == {"/b", "/b/x"}
    move(bench, second, "/a", "/b")
    assert right(bench) == {"/b", "/b/x"}, "and a third time, with nothing left at the origin"


def test_something_unknown_is_renamed_over_what_is_known(bench: Bench, agent: Origin) -> None:
    move(bench, agent, "/never-told", "/b")
    assert "/b" in rechecks()
    assert verify(bench.tree.pk) == []


@pytest.mark.parametrize(("origin", "target"), [("/b/sub", "/b"), ("/b", "/b/sub"), ("/b", "/b")])
def test_a_rename_that_cannot_be_changes_nothing(bench: Bench, agent: Origin, origin: str, target: str) -> None:
    before = bench.names()
    move(bench, agent, origin, target)
    assert right(bench) == before


def test_a_batch_goes_on_below_the_target(bench: Bench, agent: Origin) -> None:
    now = bench.now_ms
    renamed = Event("move", [d("/b")], "realtime", "fs", "files", observed_at=now, from_="/a", to="/b")
    written = Event("update", [f("/b/x", 6.0, 30), f("/b/0", 6.0, 1)], "realtime", "fs", "files", observed_at=now)
    bench.deliver(agent, "realtime", [renamed, written])
    assert right(bench) == {"/b", "/b/x", "/b/0"}
    assert bench.totals("/") == (2, 1, 31, 6.0)
