"""The tree answer: nested as V2 clients know it, in flat pages, over odd names, great depth and great width."""

from typing import Any

import msgspec
import pytest

from apps.runtime.problems import Gone, Invalid, NotFound
from apps.views.models import File, Gap, Tree
from apps.views.queries import tree as trees
from apps.views.queries import walk
from apps.views.queries.lookup import directory_row
from apps.views.queries.tree import TreeQuestion
from fustor_schema import paths
from tests.queries.trees import T0, fill, make_view

pytestmark = pytest.mark.django_db


def nested(tree: Tree, path: str = "/", max_depth: int | None = None, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(
        b"".join(trees.written(tree, TreeQuestion(path, max_depth, **more), {}, directory_row(tree, path)))
    )
    return answer


def paths_in(node: dict[str, Any]) -> list[str]:
    found, pending = [], [node]
    while pending:
        node = pending.pop()
        found.append(node["path"])
        pending.extend(node.get("children", []))
    return sorted(found)


def pages(tree: Tree, question: TreeQuestion, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = trees.page(tree, question, cursor, limit)
        assert len(page.children) <= limit
        found += [node.path for node in page.children]
        cursor = page.next_cursor
        if cursor is None:
            return found


# `-` and space sort before `/`: path order is not the order of a walk
ODD_ORDER = ["/a/c/x", "/a-b/y", "/a b/z", "/a/c-d/w", "/top", "/a.x"]


def test_nested_tree_holds_every_node_once_and_in_its_parent() -> None:
    tree = make_view()
    fill(tree, ODD_ORDER)
    answer = nested(tree)
    assert paths_in(answer) == sorted(["/", "/a", "/a/c", "/a-b", "/a b", "/a/c-d", *ODD_ORDER])
    pending = [answer]
    while pending:
        node = pending.pop()
        for child in node.get("children", []):
            assert paths.parent(child["path"]) == node["path"]
            pending.append(child)


def test_small_bulks_and_groups_give_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_view()
    fill(tree, [f"/d{number % 7}/e{number % 3}/f{number}" for number in range(200)] + ODD_ORDER)
    expected = nested(tree)
    monkeypatch.setattr(walk, "BULK_DIRECTORIES", 2)
    monkeypatch.setattr(walk, "GROUP_DIRECTORIES", 3)
    monkeypatch.setattr(walk, "GROUP_FILES", 4)
    again = nested(tree)
    assert paths_in(again) == paths_in(expected)
    assert len(paths_in(again)) == len(set(paths_in(again)))


@pytest.mark.parametrize(
    ("max_depth", "expected"),
    [(0, ["/"]), (1, ["/", "/a", "/t"]), (2, ["/", "/a", "/a/b", "/a/u", "/t"]), (9, ["/", "/a", "/a/b", "/a/b/v", "/a/u", "/t"])],
)
def test_max_depth_ends_the_answer_and_leaves_out_children(max_depth: int, expected: list[str]) -> None:
    tree = make_view()
    fill(tree, ["/t", "/a/u", "/a/b/v"])
    answer = nested(tree, max_depth=max_depth)
    assert paths_in(answer) == expected
    assert ("children" in answer) == (max_depth > 0)


def test_a_file_answers_as_itself() -> None:
    tree = make_view()
    fill(tree, {"/a/u": {"size": 7, "mtime": 5.5}})
    answer = nested(tree, "/a/u")
    assert (answer["name"], answer["content_type"], answer["size"], answer["modified_time"]) == ("u", "file", 7, 5.5)
    assert "children" not in answer


def test_only_path_leaves_the_metadata_out() -> None:
    tree = make_view()
    fill(tree, ["/a/u"])
    assert nested(tree, only_path=True) == {
        "name": "",
        "content_type": "directory",
        "path": "/",
        "children": [
            {
                "name": "a",
                "content_type": "directory",
                "path": "/a",
                "children": [{"name": "u", "content_type": "file", "path": "/a/u"}],
            }
        ],
    }


def test_absent_path_is_not_found() -> None:
    tree = make_view()
    fill(tree, ["/a/u"])
    with pytest.raises(NotFound, match="nothing at /b"):
        nested(tree, "/b")


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("max_depth", [1, 2, None])
def test_pages_hold_what_the_nested_tree_holds(limit: int, max_depth: int | None) -> None:
    tree = make_view()
    fill(tree, ODD_ORDER)
    found = pages(tree, TreeQuestion("/", max_depth), limit)
    assert sorted(found) == [path for path in paths_in(nested(tree, max_depth=max_depth)) if path != "/"]


def test_s168_entries_that_stay_are_in_exactly_one_page_while_others_come_and_go() -> None:
    tree = make_view()
    stable = [f"/d/s{number:03}" for number in range(50)]
    fill(tree, [*stable, *[f"/d/t{number:03}" for number in range(50)]])
    directory = File.objects.get(name="s000").directory
    found: list[str] = []
    cursor, turn = None, 0
    while True:
        page = trees.page(tree, TreeQuestion("/d", 1), cursor, 7)
        found += [node.path for node in page.children]
        File.objects.filter(directory=directory, name=f"t{turn:03}").delete()
        File.objects.create(directory=directory, name=f"a{turn:03}", mtime=1.0)
        File.objects.create(directory=directory, name=f"s{turn:03}x", mtime=1.0)
        turn += 1
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [path for path in found if path in stable] == stable


def test_s168_a_cursor_of_a_reset_view_expires() -> None:
    tree = make_view()
    fill(tree, ["/a", "/b", "/c"])
    cursor = trees.page(tree, TreeQuestion("/", 1), None, 1).next_cursor
    tree.snapshot_complete_at = T0 + 60
    with pytest.raises(Gone) as error:
        trees.page(tree, TreeQuestion("/", 1), cursor, 1)
    assert error.value.code == "cursor_expired"


def test_a_cursor_serves_its_own_question_only() -> None:
    tree = make_view()
    fill(tree, ["/a", "/b", "/c"])
    cursor = trees.page(tree, TreeQuestion("/", 1), None, 1).next_cursor
    with pytest.raises(Invalid, match="another question"):
        trees.page(tree, TreeQuestion("/", None), cursor, 1)
    with pytest.raises(Invalid, match="not made by this server"):
        trees.page(tree, TreeQuestion("/", 1), "garbage", 1)


def test_s107_names_that_are_no_text_keep_their_bytes() -> None:
    tree = make_view()
    raw = [b"/d/\xff\xfe", b"/d/\xff", "/d/ä".encode()]
    fill(tree, [paths.from_bytes(path) for path in raw])
    children = nested(tree, "/d")["children"]
    assert [child.get("path_b64") for child in children if "path_b64" in child] == ["L2Qv/w==", "L2Qv//4="]
    assert {child["path"] for child in children} == {"/d/\\xff\\xfe", "/d/\\xff", "/d/ä"}


def test_s114_depth_2000_needs_no_recursion() -> None:
    tree = make_view()
    deep = "/" + "/".join("d" for _ in range(2000))
    fill(tree, [f"{deep}/f"])
    body = b"".join(trees.written(tree, TreeQuestion("/", None), {}, directory_row(tree, "/")))
    assert body.count(b'"children":[') == 2001
    assert body.count(b"]}") == 2001
    assert len(pages(tree, TreeQuestion("/", None), 500)) == 2001
    assert len(paths_in(nested(tree, max_depth=100))) == 101


def test_nodes_under_an_open_gap_are_unverified() -> None:
    tree = make_view()
    fill(tree, ["/a/u", "/ab/v"])
    Gap.objects.create(tree=tree, path="/a", reason="overflow", session=1, opened_at=1)
    flagged = [child["path"] for child in nested(tree, max_depth=1)["children"] if child.get("unverified")]
    assert flagged == ["/a"]
