"""A forest asked as a whole: lists go through its members, verdicts and changes are put together, nothing is passed over."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.runtime.problems import Gone, Invalid, NotFound, Unavailable
from apps.views.models import BlindSpot, Suspect, Tree, View
from apps.views.queries import whole_forest
from apps.views.queries.matching import Pattern
from apps.views.queries.search import SearchQuestion
from apps.views.services import drop_tree
from tests.queries.test_changes import append, created
from tests.queries.trees import T0, fill, make_view

pytestmark = pytest.mark.django_db

NOW = T0 + 1000
HITS = SearchQuestion(Pattern("hit"))


@pytest.fixture
def forest() -> View:
    a, b = make_view("forest", "a", change_seq=0), make_view("forest", "b", change_seq=0)
    fill(a, ["/d/hit1", "/d/hit2", "/only-a/hit3"])
    fill(b, ["/d/hit1", "/d/hit4", "/d/other"])
    make_view("forest", "c", snapshot_complete_at=None, change_seq=0)
    return a.view


def member(view: View, scope: str) -> Tree:
    return Tree.objects.get(view=view, scope=scope)


def pages(view: View, limit: int) -> Iterator[tuple[str | None, str]]:
    cursor = None
    while True:
        page = whole_forest.search_all(view, HITS, cursor, limit, NOW)
        assert len(page.entries) <= limit
        assert page.unsearched == ["c"]
        yield from ((node.member, node.path) for node in page.entries)
        cursor = page.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_a_search_finds_the_hits_of_every_member_once(forest: View, limit: int) -> None:
    found = list(pages(forest, limit))
    assert found == [("a", "/d/hit1"), ("a", "/d/hit2"), ("a", "/only-a/hit3"), ("b", "/d/hit1"), ("b", "/d/hit4")]


def test_a_search_whose_time_is_up_goes_on_where_it_stopped(forest: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.views.queries.search.BUDGET_SECONDS", 0.0)
    first = whole_forest.search_all(forest, HITS, None, 100, NOW)
    assert (first.entries, first.next_cursor is None) == ([], False)
    monkeypatch.setattr("apps.views.queries.search.BUDGET_SECONDS", 60.0)
    assert len(whole_forest.search_all(forest, HITS, first.next_cursor, 100, NOW).entries) == 5


def test_a_cursor_of_a_member_that_is_gone_is_gone(forest: View) -> None:
    cursor = whole_forest.search_all(forest, HITS, None, 4, NOW).next_cursor
    drop_tree(member(forest, "b"))
    with pytest.raises(Gone):
        whole_forest.search_all(forest, HITS, cursor, 4, NOW)


def test_doubts_of_all_members(forest: View) -> None:
    for scope, path in (("a", "/d/hit1"), ("b", "/d/hit4"), ("b", "/other")):
        tree = member(forest, scope)
        Suspect.objects.create(tree=tree, path=path, since=T0, until=T0 + 5, size=1)
        BlindSpot.objects.create(tree=tree, path=path, change="deleted", is_directory=False, count=2, detected_at=T0)
    listed = whole_forest.suspects_all(forest, "/d", None, 10, NOW)
    assert [(entry.member, entry.path) for entry in listed.entries] == [("a", "/d/hit1"), ("b", "/d/hit4")]
    spots, page = whole_forest.blind_spots_all(forest, "/", None, 2, NOW)
    assert (spots.deletion_count, spots.deletions) == (6, ["/d/hit1", "/d/hit4"])
    assert [record["member"] for record in spots.records] == ["a", "b"]
    rest, _ = whole_forest.blind_spots_all(forest, "/", page.next_cursor, 2, NOW)
    assert (rest.deletion_count, rest.deletions, rest.next_cursor) == (6, ["/other"], None)


def settled(view: View, path: str = "/d") -> dict[str, Any]:
    return whole_forest.settled_all(view, path, 30.0, NOW)


def test_a_forest_is_settled_where_every_member_is(forest: View) -> None:
    assert settled(forest)["state"] == "unknown"  # c was never scanned: it may hold anything
    drop_tree(member(forest, "c"))
    assert settled(forest)["state"] == "settled"
    Suspect.objects.create(tree=member(forest, "b"), path="/d/hit4", since=T0, until=NOW + 5, size=1)
    answer = settled(forest)
    assert answer["state"] == "changing"
    assert [(reason["member"], reason["code"]) for reason in answer["reasons"]] == [("b", "suspects")]
    assert [(each["pipe_id"], each["state"]) for each in answer["members"]] == [("a", "settled"), ("b", "changing")]


def test_a_member_that_knows_it_has_no_such_path_does_not_count(forest: View) -> None:
    drop_tree(member(forest, "c"))
    answer = settled(forest, "/only-a")
    assert (answer["state"], [each["status"] for each in answer["members"]]) == ("settled", ["present", "missing"])
    Tree.objects.filter(scope="b").update(live_sessions=0)
    assert settled(forest, "/only-a")["state"] == "unknown"  # an offline member cannot know
    Tree.objects.filter(scope="b").update(live_sessions=1)
    with pytest.raises(NotFound):
        settled(forest, "/nowhere")


def told(found: whole_forest.ForestFeed) -> list[tuple[str | None, str]]:
    return [(change.member, change.path) for change in found.changes]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_changes_of_all_members_each_in_order_and_none_twice(forest: View, limit: int) -> None:
    since = whole_forest.feed_all(forest, None, "/", limit).next_seq
    assert since == "a:0,b:0,c:0"
    append(member(forest, "a"), created("/a1"), created("/a2"))
    append(member(forest, "b"), created("/b1"), created("/b2"))
    append(member(forest, "a"), created("/a3"))
    heard = []
    while True:
        found = whole_forest.feed_all(forest, since, "/", limit)
        assert (len(found.changes) <= limit, found.reset) == (True, False)
        heard += told(found)
        since = found.next_seq
        if not found.more:
            break
    for scope in "ab":
        assert [path for name, path in heard if name == scope] == [
            f"/{scope}{number}" for number in range(1, 4 if scope == "a" else 3)
        ]
    assert (len(heard), since) == (5, "a:3,b:2,c:0")


def test_a_member_that_is_new_gone_or_was_emptied_is_told_to_be_read_anew(forest: View) -> None:
    append(member(forest, "a"), created("/a1"))
    append(member(forest, "b"), ["reset", "/", True, 0, None, 25])
    found = whole_forest.feed_all(forest, "a:0,gone:7", "/", 100)
    assert [(reset.member, reset.seq) for reset in found.resets] == [("gone", 0), ("b", 1)]
    assert (found.reset, told(found), found.next_seq) == (True, [("a", "/a1")], "a:1,b:1,c:0")
    assert not whole_forest.feed_all(forest, found.next_seq, "/", 100).reset


@pytest.mark.parametrize("since", ["", "12", "a", "a:", "a:x", "a:1,", ":1", "a:-1", "a:" + "9" * 30])
def test_a_position_that_is_none_is_refused(forest: View, since: str) -> None:
    with pytest.raises(Invalid) as refused:
        whole_forest.feed_all(forest, since, "/", 10)
    assert refused.value.field == "since"


def test_before_any_member_is_complete_nothing_is_answered() -> None:
    view = make_view("young", "a", snapshot_complete_at=None).view
    with pytest.raises(Unavailable):
        whole_forest.search_all(view, HITS, None, 10, NOW)
    with pytest.raises(Unavailable):
        whole_forest.feed_all(view, None, "/", 10)
