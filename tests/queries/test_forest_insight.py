"""One path in all members of a forest: its copies, why each member says so, who uses how much; who cannot be asked is unknown."""

from typing import Any

import pytest

from apps.runtime.problems import Gone, Invalid, NotFound, Unavailable
from apps.views.api import schemas
from apps.views.models import Directory, OwnerTotal, Tombstone, Tree, View
from apps.views.queries import forest_insight, forests, usage
from apps.views.services import drop_tree
from tests.queries.trees import T0, fill, make_view

pytestmark = pytest.mark.django_db

NOW = T0 + 1000
DAY = 86_400.0


@pytest.fixture
def forest() -> View:
    a, b = make_view("forest", "a"), make_view("forest", "b")
    fill(a, {"/d/both": {"size": 5}, "/d/only-a": {"size": 7, "mtime": T0 - 3 * DAY}, "/odd": {}})
    fill(b, {"/d/both": {"size": 6}, "/odd/inside": {}})
    make_view("forest", "c", snapshot_complete_at=None)
    return a.view


def member(view: View, scope: str) -> Tree:
    return Tree.objects.get(view=view, scope=scope)


def everyone_is_known(view: View) -> None:
    drop_tree(member(view, "c"))


def statuses(answer: dict[str, Any]) -> dict[str, str]:
    return {each["pipe_id"]: each["status"] for each in answer["members"]}


def offline(view: View, scope: str) -> None:
    Tree.objects.filter(view=view, scope=scope).update(live_sessions=0, offline_since=T0)


def test_the_copies_of_a_node(forest: View) -> None:
    found, freshness = forests.copies(forest, "/d/both", NOW)
    assert [(each["pipe_id"], each["status"], each["node"] and each["node"].size) for each in found.members] == [
        ("a", "present", 5), ("b", "present", 6), ("c", "unknown", None),
    ]  # fmt: skip
    assert (found.path, found.path_b64, found.differs, freshness.state) == ("/d/both", None, ["size"], "live")
    assert forests.copies(forest, "/odd", NOW)[0].differs == ["kind"]


def test_a_member_that_cannot_be_asked_is_unknown_and_keeps_a_path_from_being_absent(forest: View) -> None:
    assert [each["status"] for each in forests.copies(forest, "/nowhere", NOW)[0].members] == ["missing", "missing", "unknown"]
    everyone_is_known(forest)
    for question in (forests.copies, forest_insight.usage_by_owner):
        with pytest.raises(NotFound):
            question(forest, "/nowhere", NOW)
    offline(forest, "b")
    found, freshness = forests.copies(forest, "/d/only-a", NOW)
    assert ([each["status"] for each in found.members], freshness.state) == (["present", "unknown"], "offline")
    assert [each["status"] for each in forests.copies(forest, "/nowhere", NOW)[0].members] == ["missing", "unknown"]
    assert forest_insight.usage_by_owner(forest, "/nowhere", NOW)[0]["complete"] is False


def test_why_every_member_says_so(forest: View) -> None:
    answer, _ = forest_insight.explain_all(forest, "/d/only-a", NOW)
    assert (answer["state"], statuses(answer)) == ("present", {"a": "present", "b": "missing", "c": "unknown"})
    assert answer["summary"] == "/d/only-a is present in a; missing in b; unknown in c."
    assert answer["members"][0]["decided"]["source"] == "scan"
    assert set(answer) == set(schemas.ForestExplainOut.model_fields)


def test_a_path_is_deleted_only_where_no_member_might_have_it(forest: View) -> None:
    Tombstone.objects.create(tree=member(forest, "b"), path="/d/gone", observed_at=1, created_at=1, session=0, source="realtime")

    def state() -> str:
        return str(forest_insight.explain_all(forest, "/d/gone", NOW)[0]["state"])

    assert state() == "unknown"
    everyone_is_known(forest)
    assert state() == "deleted"
    assert forest_insight.explain_all(forest, "/never", NOW)[0]["state"] == "unknown"
    offline(forest, "a")
    assert state() == "unknown"


def test_usage_by_owner_is_of_all_members_together(forest: View) -> None:
    for scope, uid, files, size in (("a", 1, 1, 5), ("a", 2, 1, 7), ("b", 1, 1, 6)):
        folder = Directory.objects.get(tree=member(forest, scope), path="/d")
        OwnerTotal.objects.create(directory=folder, uid=uid, files=files, bytes=size)
    answer, _ = forest_insight.usage_by_owner(forest, "/d", NOW)
    assert answer["owners"] == [{"uid": 1, "files": 2, "bytes": 11}, {"uid": 2, "files": 1, "bytes": 7}]
    assert (answer["total_files"], answer["total_bytes"], answer["unowned"]) == (3, 18, {"files": 0, "bytes": 0})
    assert [each.get("total_files") for each in answer["members"]] == [2, 1, None]
    assert (answer["complete"], statuses(answer)) == (False, {"a": "present", "b": "present", "c": "unknown"})
    everyone_is_known(forest)
    assert forest_insight.usage_by_owner(forest, "/d", NOW)[0]["complete"] is True


def by_age(view: View, path: str) -> tuple[dict[str, tuple[int, int]], int]:
    """Files and bytes by age over all pages, and how many pages there were."""
    found: dict[str, tuple[int, int]] = {}
    cursor, pages = None, 0
    while True:
        answer, _ = forest_insight.usage_by_age(view, path, cursor, T0)
        pages += 1
        assert set(answer) <= set(schemas.ForestUsageOut.model_fields)
        for age in answer["ages"]:
            files, size = found.get(age["age"], (0, 0))
            found[age["age"]] = (files + age["files"], size + age["bytes"])
        cursor = answer["next_cursor"]
        if cursor is None:
            return {age: figures for age, figures in found.items() if figures[0]}, pages
        assert answer["complete"] is False


def test_usage_by_age_counts_every_member_once_over_any_number_of_pages(forest: View, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(make_view("forest", "d"), {"/d/dated": {"size": 1, "mtime": T0 - 1}})
    expected = {"under 1d": (3, 12), "under 7d": (1, 7)}
    assert by_age(forest, "/d") == (expected, 1)
    monkeypatch.setattr(usage, "BUDGET_SECONDS", 0.0)
    monkeypatch.setattr(usage, "SLICE_DIRECTORIES", 1)
    found, pages = by_age(forest, "/")
    assert (sum(files for files, _ in found.values()), pages > 3) == (6, True)
    first, _ = forest_insight.usage_by_age(forest, "/", None, T0)
    assert [each["pipe_id"] for each in first["members"] if "ages" in each] == ["a"]
    cursor = first["next_cursor"]
    drop_tree(member(forest, "b"))
    with pytest.raises(Gone):
        forest_insight.usage_by_age(forest, "/", cursor, T0)


def test_a_member_where_something_else_is_there_says_so(forest: View) -> None:
    answer, _ = forest_insight.usage_by_age(forest, "/odd", None, NOW)
    assert [(each["status"], "ages" in each) for each in answer["members"]] == [
        ("present", False), ("present", True), ("unknown", False),
    ]  # fmt: skip
    assert "is no directory" in answer["members"][0]["error"]
    everyone_is_known(forest)
    Directory.objects.get(tree__scope="b", path="/odd").delete()
    with pytest.raises(Invalid):
        forest_insight.usage_by_age(forest, "/odd", None, NOW)
    figures = forests.stats(forest, "/odd", forests.Best.FILE_COUNT, NOW)["members"]
    assert [each["status"] for each in figures] == ["present", "missing"]


def test_before_any_member_is_complete_nothing_is_answered() -> None:
    view = make_view("young", "a", snapshot_complete_at=None).view
    for question in (forests.copies, forest_insight.explain_all, forest_insight.usage_by_owner):
        with pytest.raises(Unavailable):
            question(view, "/", NOW)
