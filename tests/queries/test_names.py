"""The deferred name index: it finds what a plain search finds, at every stage of its life, and reads less."""

import random
from typing import Any

import pytest

from apps.views import names, services
from apps.views.models import ChangeBatch, NameIndex
from apps.views.queries import candidates, search
from apps.views.queries.matching import Mode, Pattern
from apps.views.queries.search import SearchQuestion
from apps.views.store import trigrams
from fustor_schema.wire import Event
from tests.views.conftest import Bench, d, f

pytestmark = pytest.mark.django_db

PATTERNS = [
    "report", "REPORT", "ort_1", "t_1*.txt", "*final*", "a", "xyz", "[ab]_*", "é_ü", "sub_3",
    "/sub_1/*.txt", "*/final_3.txt", "/sub_[12]/report*", "*/sub_4/*_4.txt",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "DIRECTORIES_PER_STEP", 3)
    monkeypatch.setattr(names, "NAMES_PER_STEP", 7)
    monkeypatch.setattr(names, "BATCHES_PER_STEP", 2)


@pytest.fixture
def filled(bench: Bench) -> Bench:
    if not trigrams.are_installed():
        pytest.skip("this database has no trigram index")
    leader = bench.session()
    rows: list[Any] = []
    for number in range(8):
        rows += [d(f"/sub_{number}"), *[f(f"/sub_{number}/{word}_{number}.txt") for word in ("report", "final", "a", "é_ü")]]
    bench.sn(leader, *rows, end=True)
    return bench


def found(bench: Bench, pattern: str, **options: Any) -> list[str]:
    page = search.search(bench.fresh_tree(), SearchQuestion(Pattern(pattern, **options)), None, 1000)
    assert page.next_cursor is None
    return [key for key, _ in page.placed]


def paged(bench: Bench, pattern: str, limit: int) -> list[str]:
    collected: list[str] = []
    cursor = None
    while True:
        page = search.search(bench.fresh_tree(), SearchQuestion(Pattern(pattern)), cursor, limit)
        assert len(page.placed) <= limit
        collected += [key for key, _ in page.placed]
        cursor = page.next_cursor
        if cursor is None:
            return collected


def move(bench: Bench, origin: str, target: str) -> None:
    """A native agent renames a directory."""
    moved = Event(
        event_type="move", rows=[d(target)], message_source="realtime", event_schema="fs", table="files",
        observed_at=bench.now_ms, from_=origin, to=target,
    )  # fmt: skip
    bench.deliver(bench.session(protocol=3), "realtime", [moved])


def plainly(bench: Bench, pattern: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[str]:
    with monkeypatch.context() as patch:
        patch.setattr(candidates, "trigrams", _NotInstalled)
        return found(bench, pattern, **options)


class _NotInstalled:
    """A database without trigrams: what `candidates` sees when it asks."""

    @staticmethod
    def are_installed() -> bool:
        return False


def assert_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for pattern in PATTERNS:
        for options in ({}, {"ignore_case": True}, {"mode": Mode.LITERAL}):
            assert found(bench, pattern, **options) == plainly(bench, pattern, monkeypatch, **options), (pattern, options)


def is_used(bench: Bench, pattern: str) -> bool:
    known = candidates.find(bench.fresh_tree(), Pattern(pattern).texts(), 1000)
    return known is not None and known.until is None


def test_the_first_pass_indexes_everything(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_used(filled, "report")
    assert names.index_names(10) == 40
    assert is_used(filled, "report")
    assert len(found(filled, "report")) == 8
    assert_same(filled, monkeypatch)
    assert names.index_names(10) == 0


def test_an_unfinished_pass_is_used_as_far_as_it_came(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names.index_names(0.0) == 0
    follower = filled.session()
    reached = set()
    while not NameIndex.objects.filter(complete=True).exists():
        names._step(filled.tree.pk)
        known = candidates.find(filled.fresh_tree(), ["report"], 1000)
        assert known is not None
        reached.add(known.until)
        filled.rt(follower, f("/sub_0/report_early.txt"), f(f"/sub_{len(reached)}/report_now.txt"), f("/sub_7/report_late.txt"))
        assert_same(filled, monkeypatch)
        for limit in (1, 2, 5):
            assert paged(filled, "report", limit) == plainly(filled, "report", monkeypatch)
    assert len(reached) > 3
    assert is_used(filled, "report")


def test_a_directory_that_moves_while_the_first_pass_is_under_way_is_not_missed(
    filled: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    names._step(filled.tree.pk)
    move(filled, "/sub_7", "/a_moved")
    assert candidates.find(filled.fresh_tree(), ["report"], 1000) is None
    assert_same(filled, monkeypatch)


def test_names_that_came_after_the_index_are_found_before_and_after_it_follows(
    filled: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.index_names(10)
    follower = filled.session()
    filled.rt(follower, f("/sub_3/report_late.txt"), d("/sub_new"), f("/sub_new/report_new.txt"))
    filled.rm(follower, "/sub_1/report_1.txt", "/sub_2")
    assert "/sub_3/report_late.txt" in found(filled, "report")
    assert "/sub_new" in found(filled, "sub_")
    assert_same(filled, monkeypatch)
    names.index_names(10)
    assert NameIndex.objects.get().followed_seq == filled.fresh_tree().change_seq
    assert "/sub_new/report_new.txt" in found(filled, "report")
    assert not {"/sub_1/report_1.txt", "/sub_2/report_2.txt"} & set(found(filled, "report"))
    assert_same(filled, monkeypatch)


def test_a_directory_that_is_moved_behind_the_first_pass_is_found(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names._step(filled.tree.pk)  # has passed the first directories
    move(filled, "/sub_7", "/a_moved")
    names.index_names(10)
    assert "/a_moved/report_7.txt" in found(filled, "report")
    assert_same(filled, monkeypatch)


def test_a_reset_voids_the_index(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names.index_names(10)
    services.reset_view(filled.view, "test")
    assert not NameIndex.objects.exists()
    filled.sn(filled.session(), f("/x/report_again"), end=True)
    assert found(filled, "report") == ["/x/report_again"]
    names.index_names(10)
    assert is_used(filled, "report")
    assert_same(filled, monkeypatch)


def test_a_trimmed_feed_makes_the_index_begin_anew(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names.index_names(10)
    filled.rt(filled.session(), f("/sub_3/report_late.txt"))
    ChangeBatch.objects.all().delete()
    filled.rt(filled.session(), f("/sub_3/report_later.txt"))
    assert not is_used(filled, "report")
    assert len(found(filled, "report")) == 10
    names.index_names(10)
    assert is_used(filled, "report")
    assert len(found(filled, "report")) == 10


def test_an_index_that_is_mostly_garbage_begins_anew(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names.index_names(10)
    monkeypatch.setattr(names, "GARBAGE_FLOOR", 0)
    NameIndex.objects.update(names=1000)
    names.index_names(10)
    assert NameIndex.objects.get().names == 40


def test_where_hits_are_dense_the_tree_is_read_in_order(filled: Bench) -> None:
    names.index_names(10)
    dense = candidates.find(filled.fresh_tree(), ["report"], 1)
    rare = candidates.find(filled.fresh_tree(), ["report_7"], 1)
    assert dense is None
    assert rare is not None
    assert len(rare.spans) == 1


def test_too_many_places_are_read_in_order(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names.index_names(10)
    monkeypatch.setattr(candidates, "MOST_CHUNKS", 2)
    assert not is_used(filled, "report")
    assert len(found(filled, "report")) == 8


@pytest.mark.parametrize("limit", [1, 3])
def test_pages_of_an_indexed_search_lose_nothing(filled: Bench, limit: int) -> None:
    names.index_names(10)
    assert paged(filled, "sub_", limit) == [f"/sub_{number}" for number in range(8)]


def test_random_histories_find_what_a_plain_search_finds(filled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(4)
    session = filled.session()
    for _ in range(12):
        at = f"/sub_{chance.randrange(10)}"
        if chance.random() < 0.3:
            filled.rm(session, at)
        else:
            filled.rt(session, d(at), *[f(f"{at}/{chance.choice(['report', 'final'])}_{chance.randrange(99)}") for _ in range(5)])
        if chance.random() < 0.4:
            names.index_names(10)
        filled.clock.advance(1)
        assert_same(filled, monkeypatch)
