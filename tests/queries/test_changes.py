"""The change feed: order, going on, subtrees, and an open reset when the past is gone."""

from typing import Any

import msgspec
import pytest

from apps.views.models import ChangeBatch, Tree
from apps.views.queries import changes
from apps.views.queries.changes import Feed, feed
from tests.queries.trees import T0, make_view

pytestmark = pytest.mark.django_db


def append(tree: Tree, *entries: list[Any]) -> None:
    tree.change_seq += len(entries)
    tree.save()
    ChangeBatch.objects.create(
        tree=tree,
        last_seq=tree.change_seq,
        at=int(T0 * 1000),
        source="realtime",
        count=len(entries),
        entries=msgspec.json.encode(entries),
    )


def created(path: str, *, directory: bool = False) -> list[Any]:
    return ["created", path, directory, 1, T0, 2]


def told(found: Feed) -> list[tuple[int, str, str]]:
    return [(change.seq, change.kind, change.path) for change in found.changes]


@pytest.fixture
def tree() -> Tree:
    stored = make_view(change_seq=0)
    append(stored, created("/a"), created("/d", directory=True), created("/d/x"))
    append(stored, ["deleted", "/a", False, 0, None, 7])
    return stored


def test_without_since_the_feed_says_where_it_stands(tree: Tree) -> None:
    found = feed(tree, None, "/", 100)
    assert (found.changes, found.next_seq, found.reset) == ([], 4, False)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_s172_going_on_from_any_sequence_is_exact(tree: Tree, limit: int) -> None:
    everything = told(feed(tree, 0, "/", 100))
    assert everything == [(1, "created", "/a"), (2, "created", "/d"), (3, "created", "/d/x"), (4, "deleted", "/a")]
    for since in range(5):
        found, heard = feed(tree, since, "/", limit), []
        heard += told(found)
        while found.more:
            found = feed(tree, found.next_seq, "/", limit)
            heard += told(found)
        assert heard == everything[since:]
        assert found.next_seq == 4


def test_s172_a_trimmed_log_says_reset(tree: Tree) -> None:
    ChangeBatch.objects.filter(last_seq=3).delete()
    found = feed(tree, 1, "/", 100)
    assert (found.reset, found.changes, found.next_seq) == (True, [], 4)
    assert told(feed(tree, 3, "/", 100)) == [(4, "deleted", "/a")]
    ChangeBatch.objects.all().delete()
    assert feed(tree, 3, "/", 100).reset


def test_a_sequence_that_never_was_says_reset(tree: Tree) -> None:
    found = feed(tree, 99, "/", 100)
    assert (found.reset, found.next_seq) == (True, 4)


def test_a_reset_voids_what_came_before_it_and_the_feed_goes_on_behind(tree: Tree) -> None:
    append(tree, ["reset", "/", True, 0, None, 25])
    append(tree, created("/new"))
    found = feed(tree, 2, "/", 100)
    assert (found.reset, found.changes, found.next_seq) == (True, [], 5)
    assert told(feed(tree, found.next_seq, "/", 100)) == [(6, "created", "/new")]


def test_a_subtree_hears_of_itself_and_of_what_takes_it_away(tree: Tree) -> None:
    append(tree, created("/d-e"), ["deleted", "/d", True, 0, None, 7], ["moved", "/z/d", True, 0, None, 39, "/d/x"])
    assert told(feed(tree, 0, "/d/x", 100)) == [(3, "created", "/d/x"), (6, "deleted", "/d"), (7, "moved", "/z/d")]
    moved = feed(tree, 6, "/d/x", 100).changes[0]
    assert (moved.path, moved.from_path, moved.rule) == ("/z/d", "/d/x", "R39")


def test_many_batches_are_read_in_bounded_steps(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "BATCHES_PER_READ", 1)
    found = feed(tree, 0, "/a", 100)
    assert (told(found), found.more, found.next_seq) == ([(1, "created", "/a")], True, 3)
    assert told(feed(tree, found.next_seq, "/a", 100)) == [(4, "deleted", "/a")]


def test_names_that_are_no_text_keep_their_bytes(tree: Tree) -> None:
    append(tree, created("/\U0010ffff"))
    change = feed(tree, 4, "/", 100).changes[0]
    assert (change.path, change.path_b64) == ("/\\xff", "L/8=")
