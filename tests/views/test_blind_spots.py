"""Blind spots stay bounded and exact: the oldest become one per directory and kind, and realtime events still count them down."""

import pytest

from apps.runtime.problems import NotFound
from apps.views import blind_spots, housekeeping, services
from apps.views.claims import Origin
from apps.views.models import BlindSpot, Flag
from apps.views.queries import blind_spots as listed
from apps.views.queries.evidence import evidence_of
from apps.views.queries.explain import explain
from apps.views.verify import verify
from fustor_schema.wire import Event, FsRow
from tests.views.conftest import Bench, d, f


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_spots, "MOST_OPEN", 2)
    monkeypatch.setattr(blind_spots, "_AT_ONCE", 2)


@pytest.fixture
def agent(bench: Bench) -> Origin:
    """A view whose audit found: in /d two added, two modified, two gone; in /e a directory and a file added."""
    agent = bench.session()
    stored = [f("/d/m1"), f("/d/m2"), f("/d/x1"), f("/d/x2"), f("/d/same"), f("/e/same")]
    bench.sn(agent, d("/d"), d("/e"), *stored, end=True)
    found = [f("/d/a1"), f("/d/a2"), f("/d/m1", size=9), f("/d/m2", size=9), f("/d/same")]
    bench.audit(agent, d("/d", 200.0), d("/e", 200.0), d("/e/sub"), f("/e/new"), f("/e/same"), *found)
    return agent


def counts(bench: Bench) -> dict[str, int]:
    """The counters of the answer, which must agree with the flags at all times."""
    assert verify(bench.tree.pk) == []
    return listed.counts_of(bench.tree, "/")


def open_records() -> set[tuple[str, str, int, bool]]:
    return set(BlindSpot.objects.filter(closed_at=None).values_list("path", "change", "count", "aggregate"))


ALL = {"added": 4, "modified": 2, "deleted": 2}


def test_s090_the_oldest_are_put_together_by_directory_and_kind_and_counted_exactly(bench: Bench, agent: Origin) -> None:
    assert counts(bench) == ALL
    housekeeping.trim(bench.clock.now())
    assert counts(bench) == ALL
    single = [record for record in open_records() if not record[3]]
    assert len(single) <= 2
    housekeeping.trim(bench.clock.now())
    assert counts(bench) == ALL


@pytest.fixture
def summed(bench: Bench, agent: Origin, monkeypatch: pytest.MonkeyPatch) -> Origin:
    """The same with nothing left single."""
    monkeypatch.setattr(blind_spots, "MOST_OPEN", 0)
    blind_spots.aggregate(bench.tree.pk, bench.now_ms)
    assert {record for record in open_records() if record[1] != "deleted"} == {
        ("/d", "added", 2, True), ("/d", "modified", 2, True), ("/e", "added", 2, True),
    }  # fmt: skip
    return agent


def test_deletions_are_put_together_upwards(bench: Bench, summed: Origin) -> None:
    assert ("/", "deleted", 2, True) in open_records()


def test_s087_a_realtime_event_counts_an_aggregate_down_and_the_last_one_closes_it(bench: Bench, summed: Origin) -> None:
    bench.rt(summed, f("/d/a1", size=3))
    assert counts(bench) == {**ALL, "added": 3}
    bench.rm(summed, "/d/a2")
    bench.rt(summed, f("/d/m1", size=3), d("/e/sub", 300.0))
    assert counts(bench) == {"added": 1, "modified": 1, "deleted": 2}
    assert not BlindSpot.objects.filter(path="/d", change="added", closed_at=None).exists()
    assert BlindSpot.objects.get(path="/d", change="added").closed_by == "realtime event"
    assert not bench.files()["/d/a1"].flags & (Flag.BLIND | Flag.COUNTED_ADDED)


def test_a_further_audit_takes_what_it_finds_out_of_the_aggregate(bench: Bench, summed: Origin) -> None:
    bench.clock.advance(1)
    found = [f("/d/a1", size=5), f("/d/m1", size=9), f("/d/m2", size=9), f("/d/same")]
    bench.audit(summed, d("/d", 300.0), *found)
    assert counts(bench) == {"added": 2, "modified": 3, "deleted": 3}
    assert {("/d/a1", "modified", 1, False), ("/d/a2", "deleted", 1, False)} <= open_records()


def test_an_aggregate_goes_with_its_directory(bench: Bench, summed: Origin) -> None:
    bench.rm(summed, "/e")
    assert counts(bench) == {**ALL, "added": 2}


def move(bench: Bench, agent: Origin, origin: str, target: str) -> None:
    event = Event("move", [], "realtime", "fs", "files", observed_at=bench.now_ms, from_=origin, to=target)
    bench.deliver(agent, "realtime", [event])


def test_an_aggregate_moves_with_its_directory_and_a_moved_node_leaves_it(bench: Bench, summed: Origin) -> None:
    native = Origin(session=summed.session, protocol=3)
    move(bench, native, "/e", "/z")
    assert counts(bench) == ALL
    assert ("/z", "added", 2, True) in open_records()
    move(bench, native, "/z/new", "/d/new")
    assert counts(bench) == {**ALL, "added": 3}
    move(bench, native, "/z/sub", "/sub")
    assert counts(bench) == {**ALL, "added": 2}


def test_a_renamed_file_was_seen_by_an_agent(bench: Bench, agent: Origin) -> None:
    move(bench, Origin(session=agent.session, protocol=3), "/e/new", "/e/renamed")
    assert counts(bench) == {**ALL, "added": 3}
    assert bench.files()["/e/renamed"].flags & (Flag.BLIND | Flag.REALTIME) == Flag.REALTIME


def test_a_directory_moves_to_where_scans_had_missed_something(bench: Bench, agent: Origin) -> None:
    bench.rm(agent, "/d")
    bench.rt(agent, d("/q"), f("/q/x1"))
    bench.clock.advance(120)
    bench.audit(agent, d("/q", 200.0), f("/q/x1", size=7))
    move(bench, Origin(session=agent.session, protocol=3), "/q", "/d")
    assert ("/d/x1", "modified", 1, False) in open_records()
    assert verify(bench.tree.pk) == []


@pytest.mark.parametrize("again", [[f("/d/x1")], [d("/d/x1")], [f("/d/x1/below")]])
def test_a_creation_closes_the_blind_spot_of_a_deletion(bench: Bench, agent: Origin, again: list[FsRow]) -> None:
    bench.rt(agent, *again)
    assert counts(bench) == {**ALL, "deleted": 1}


def test_a_delete_closes_the_blind_spot_of_a_deletion(bench: Bench, agent: Origin) -> None:
    bench.rm(agent, "/d/x1")
    assert counts(bench) == {**ALL, "deleted": 1}


def test_while_nothing_is_missed_creations_look_for_nothing(bench: Bench, agent: Origin) -> None:
    assert bench.fresh_tree().blind_deletions
    bench.rt(agent, f("/d/x1"), f("/d/x2"))
    housekeeping.trim(bench.clock.now())
    assert not bench.fresh_tree().blind_deletions


def test_a_person_closes_an_aggregate_and_all_it_counts(bench: Bench, summed: Origin) -> None:
    assert services.close_blind_spots(bench.view, ["/d"], "ann") == 2
    assert counts(bench) == {"added": 2, "deleted": 2}
    services.close_blind_spots(bench.view, None, "ann")
    assert counts(bench) == {}
    assert not any(file.flags & Flag.BLIND for file in bench.files().values())


def test_a_person_closes_one_path_that_an_aggregate_counts(bench: Bench, summed: Origin) -> None:
    assert services.close_blind_spots(bench.view, ["/d/a1", "/d/m1", "/e/sub", "/d/same", "/nowhere-near"], "ann") == 3
    assert counts(bench) == {"added": 2, "modified": 1, "deleted": 2}
    assert services.close_blind_spots(bench.view, ["/d/a1"], "ann") == 0
    assert services.close_blind_spots(bench.view, ["/d/a2"], "ann") == 1
    assert BlindSpot.objects.get(path="/d", change="added").closed_by == "ann", "the last one ends the aggregate"
    record = BlindSpot.objects.get(path="/d/a1")
    assert (record.change, record.closed_by, record.aggregate) == ("added", "ann", False)


def test_a_person_closes_one_deletion_of_an_aggregate_and_each_but_once(bench: Bench, summed: Origin) -> None:
    assert services.close_blind_spots(bench.view, ["/d/x1"], "ann") == 1
    assert counts(bench) == {**ALL, "deleted": 1}
    assert services.close_blind_spots(bench.view, ["/d/x1"], "ann") == 0
    assert counts(bench) == {**ALL, "deleted": 1}
    assert services.close_blind_spots(bench.view, ["/d/x2"], "ann") == 1
    assert counts(bench) == {"added": 4, "modified": 2}
    assert services.close_blind_spots(bench.view, ["/d/x3"], "ann") == 0


def test_a_deletion_that_went_missing_again_is_closed_again(bench: Bench, summed: Origin) -> None:
    services.close_blind_spots(bench.view, ["/d/x1"], "ann")
    bench.rt(summed, f("/d/x1"))
    bench.clock.advance(120)
    bench.audit(summed, d("/d", 400.0), f("/d/a1"), f("/d/a2"), f("/d/m1", size=9), f("/d/m2", size=9), f("/d/same"))
    blind_spots.aggregate(bench.tree.pk, bench.now_ms)
    assert counts(bench) == ALL
    assert services.close_blind_spots(bench.view, ["/d/x1"], "ann") == 1
    assert counts(bench) == {**ALL, "deleted": 1}


def test_a_deletion_that_an_agent_saw_is_none_of_an_aggregate(bench: Bench, summed: Origin) -> None:
    bench.rm(summed, "/d/same")
    assert services.close_blind_spots(bench.view, ["/d/same", "/d/never"], "ann") == 0
    assert counts(bench) == ALL


def test_what_stands_for_a_subtree_stays_single_while_others_are_left(
    bench: Bench, agent: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.clock.advance(120)
    bench.audit(agent, d("/", 500.0), d("/d", 200.0))
    assert ("/e", "deleted", 4, False) in open_records()
    monkeypatch.setattr(blind_spots, "MOST_OPEN", 1)
    monkeypatch.setattr(blind_spots, "_AT_ONCE", 1)
    blind_spots.aggregate(bench.tree.pk, bench.now_ms)
    assert {record for record in open_records() if not record[3]} == {("/e", "deleted", 4, False)}
    deleted = counts(bench)["deleted"]
    assert services.close_blind_spots(bench.view, ["/e"], "ann") == 1
    assert counts(bench)["deleted"] == deleted - 4


def test_answers_about_aggregates(bench: Bench, summed: Origin) -> None:
    tree, now = bench.fresh_tree(), bench.clock.now()
    page = listed.blind_spots(tree, "/", None, 100)
    assert (page.additions_count, page.additions, page.deletion_count, page.deletions) == (4, [], 2, [])
    assert {(record["path"], record["count"], record["aggregate"]) for record in page.records} >= {("/d", 2, True)}
    assert [spot["kind"] for spot in explain(tree, "/d/a1")["blind_spots"]] == ["added", "modified"]
    assert [(spot["path"], spot["kind"]) for spot in explain(tree, "/d")["blind_spots"]] == [
        ("/", "deleted"), ("/d", "added"), ("/d", "modified"),
    ]  # fmt: skip
    assert evidence_of(tree, "/d/a1", now).doubts.blind_spots == 1
    assert evidence_of(tree, "/d/same", now).doubts.blind_spots == 0
    assert evidence_of(tree, "/d", now).doubts.blind_spots == 6  # those of / may be of it
    with pytest.raises(NotFound):
        evidence_of(tree, "/d/x1", now)
