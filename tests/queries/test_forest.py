"""Forests: the best member, trees of all members, copies side by side; what cannot be known is unknown, never missing."""

import msgspec
import pytest

from apps.runtime.problems import NotFound, Unavailable
from apps.views.forest import Best, Copy, MemberState, best_of, differences, state_of
from apps.views.models import Directory, Tree, View
from apps.views.queries import forests
from apps.views.queries.tree import TreeQuestion
from tests.queries.trees import T0, fill, make_view

NOW = T0 + 10


@pytest.mark.parametrize(("by", "expected"), [(Best.FILE_COUNT, "b"), (Best.TOTAL_SIZE, "a"), (Best.LATEST_MTIME, "c")])
def test_best_is_the_most(by: Best, expected: str) -> None:
    figures = {
        "a": {"file_count": 1.0, "total_size": 9.0, "latest_mtime": None},
        "b": {"file_count": 3.0, "total_size": 9.0, "latest_mtime": 1.0},
        "c": {"file_count": 3.0, "total_size": 1.0, "latest_mtime": 2.0},
    }
    assert best_of(figures, by) == expected
    assert best_of({}, by) is None


@pytest.mark.parametrize(
    ("copy", "trusted", "expected"),
    [
        (Copy("file", 1, 1.0), False, MemberState.PRESENT),
        (None, True, MemberState.MISSING),
        (None, False, MemberState.UNKNOWN),
    ],
)
def test_absence_counts_only_from_a_member_that_knows(copy: Copy | None, trusted: bool, expected: MemberState) -> None:
    assert state_of(copy, trusted=trusted) is expected


@pytest.mark.parametrize(
    ("states", "copies", "expected"),
    [
        ("pp", [Copy("file", 1, 1.0), Copy("file", 1, 1.0)], []),
        ("pp", [Copy("file", 1, 1.0), Copy("file", 2, 3.0)], ["size", "modified_time"]),
        ("pm", [Copy("file", 1, 1.0)], ["presence"]),
        ("pu", [Copy("file", 1, 1.0)], []),
        ("pp", [Copy("file", 1, 1.0), Copy("directory", 1, None, 1)], ["kind"]),
        ("pp", [Copy("directory", 5, None, 1, 2), Copy("directory", 5, None, 2, 2)], ["file_count"]),
    ],
)
def test_differences(states: str, copies: list[Copy], expected: list[str]) -> None:
    words = {"p": MemberState.PRESENT, "m": MemberState.MISSING, "u": MemberState.UNKNOWN}
    named = {str(number): words[letter] for number, letter in enumerate(states)}
    assert differences(named, {str(number): copy for number, copy in enumerate(copies)}) == expected


@pytest.fixture
def forest() -> View:
    a, b = make_view("forest", "a"), make_view("forest", "b")
    fill(a, {"/d/same": {}, "/d/only-a": {}, "/d/bigger": {"size": 2}, "/d/sub/x": {}})
    fill(b, {"/d/same": {}, "/d/bigger": {"size": 1}, "/d/zz": {}})
    make_view("forest", "c", snapshot_complete_at=None)
    return a.view


def compared(view: View, path: str = "/d", **options: object) -> dict[str, dict[str, str]]:
    found = forests.compare(view, path, "", 100, only_differences=bool(options.get("only")), now=NOW)
    return {entry.name: entry.states for entry in found.entries}


@pytest.mark.django_db
def test_copies_side_by_side(forest: View) -> None:
    states = compared(forest)
    assert states["same"] == {"a": "present", "b": "present", "c": "unknown"}
    assert states["only-a"] == {"a": "present", "b": "missing", "c": "unknown"}
    assert set(compared(forest, only=True)) == {"only-a", "bigger", "sub", "zz"}


@pytest.mark.django_db
def test_s174_rows_of_an_unreachable_copy_are_unknown_never_missing(forest: View) -> None:
    Tree.objects.filter(view=forest, scope="b").update(live_sessions=0, offline_since=T0)
    assert {states["b"] for states in compared(forest).values()} == {"present", "unknown"}
    assert compared(forest)["only-a"]["b"] == "unknown"


@pytest.mark.django_db
def test_a_directory_that_could_not_be_read_proves_no_absence(forest: View) -> None:
    Directory.objects.filter(tree__scope="b", path="/d").update(unscanned="EACCES")
    assert compared(forest)["only-a"]["b"] == "unknown"
    found = forests.stats(forest, "/d/sub", Best.FILE_COUNT, NOW)
    assert [member["status"] for member in found["members"]] == ["ok", "unknown", "unknown"]


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_comparison_pages_pass_nothing_over(forest: View, limit: int) -> None:
    names: list[str] = []
    after = ""
    while True:
        found = forests.compare(forest, "/d", after, limit, only_differences=False, now=NOW)
        names += [entry.name for entry in found.entries]
        if found.next_cursor is None:
            break
        after = names[-1]
    assert names == ["bigger", "only-a", "same", "sub", "zz"]


@pytest.mark.django_db
def test_stats_of_members_and_the_best(forest: View) -> None:
    found = forests.stats(forest, "/d", Best.FILE_COUNT, NOW)
    assert [(member["pipe_id"], member["status"]) for member in found["members"]] == [("a", "ok"), ("b", "ok"), ("c", "unknown")]
    assert found["best"] == {"pipe_id": "a", "reason": "file_count", "value": 4}
    assert forests.stats(forest, "/nowhere", Best.FILE_COUNT, NOW)["best"] is None


@pytest.mark.django_db
def test_trees_of_members(forest: View) -> None:
    answer = msgspec.json.decode(b"".join(forests.trees(forest, TreeQuestion("/d", 1), None, NOW)))
    assert {pipe: member["status"] for pipe, member in answer["members"].items()} == {"a": "ok", "b": "ok", "c": "unknown"}
    assert [child["name"] for child in answer["members"]["b"]["data"]["children"]] == ["bigger", "same", "zz"]
    best = msgspec.json.decode(b"".join(forests.trees(forest, TreeQuestion("/d", 1), Best.TOTAL_SIZE, NOW)))
    assert (list(best["members"]), best["best"]) == (["a"], "a")
    absent = msgspec.json.decode(b"".join(forests.trees(forest, TreeQuestion("/d/sub", 1), None, NOW)))
    assert absent["members"]["b"]["status"] == "missing"


@pytest.mark.django_db
def test_a_path_that_every_member_knows_to_be_absent_is_not_found(forest: View) -> None:
    assert compared(forest, "/nowhere") == {}
    Tree.objects.get(view=forest, scope="c").delete()
    with pytest.raises(NotFound):
        forests.compare(forest, "/nowhere", "", 10, only_differences=False, now=NOW)


@pytest.mark.django_db
def test_a_forest_without_any_complete_member_is_unavailable() -> None:
    tree = make_view("young", "a", snapshot_complete_at=None)
    with pytest.raises(Unavailable) as error:
        forests.stats(tree.view, "/", Best.FILE_COUNT, NOW)
    assert error.value.extra["phase"] == "snapshot"
