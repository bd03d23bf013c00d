"""Search: literal first, globs on request, every kind of node, filters, pages of bounded work."""

import fnmatch
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.runtime.problems import Invalid
from apps.views.models import Flag, NodeKind, Tree
from apps.views.queries import glob, search
from apps.views.queries import sql as queries_sql
from apps.views.queries.matching import Filters, Mode, Pattern
from apps.views.queries.search import SearchQuestion
from tests.queries.trees import fill, make_view


def hits(tree: Tree, pattern: str, mode: Mode = Mode.AUTO, *, key: str = "/", limit: int = 100, **filters: Any) -> list[str]:
    found: list[str] = []
    cursor = None
    question = SearchQuestion(Pattern(pattern, mode), key, Filters(**filters))
    while True:
        page = search.search(tree, question, cursor, limit)
        found += [node.path for node in page.nodes]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.fixture
def tree() -> Tree:
    stored = make_view()
    fill(
        stored,
        {
            "/reports/2024 final.txt": {"size": 10, "mtime": 100.0},
            "/reports/draft.txt": {"size": 20, "mtime": 200.0, "flags": Flag.SUSPECT},
            "/reports/final/a*b": {"size": 30, "mtime": 300.0, "flags": Flag.BLIND},
            "/reports/final/axb": {"size": 40, "mtime": 400.0, "uid": 7},
            "/x/[a]": {"size": 50},
            "/x/a": {"size": 60},
            "/x/link": {"kind": NodeKind.SYMLINK},
        },
    )
    return stored


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pattern", "mode", "expected"),
    [
        ("final", Mode.AUTO, ["/reports/2024 final.txt", "/reports/final"]),
        ("*.txt", Mode.AUTO, ["/reports/2024 final.txt", "/reports/draft.txt"]),
        ("*.txt", Mode.LITERAL, []),
        ("a*b", Mode.AUTO, ["/reports/final/a*b", "/reports/final/axb"]),
        ("a*b", Mode.LITERAL, ["/reports/final/a*b"]),
        ("[a]", Mode.AUTO, ["/x/[a]", "/x/a"]),
        ("[a]", Mode.LITERAL, ["/x/[a]"]),
        ("[a]", Mode.GLOB, ["/x/a"]),
        ("/reports/*/a?b", Mode.AUTO, ["/reports/final/a*b", "/reports/final/axb"]),
        ("/final/a", Mode.LITERAL, ["/reports/final/a*b", "/reports/final/axb"]),
        ("FINAL", Mode.AUTO, []),
        ("/x/[a]", Mode.AUTO, ["/x/[a]", "/x/a"]),
        ("/x/[a]", Mode.GLOB, ["/x/a"]),
        ("/reports/*.txt", Mode.AUTO, ["/reports/2024 final.txt", "/reports/draft.txt"]),
        ("*/final/a*", Mode.AUTO, ["/reports/final/a*b", "/reports/final/axb"]),
        ("/reports/f*", Mode.GLOB, ["/reports/final", "/reports/final/a*b", "/reports/final/axb"]),
        ("/x*/a", Mode.AUTO, ["/x/a"]),
        ("/x*/A", Mode.AUTO, []),
        ("/nowhere/*", Mode.AUTO, []),
        ("*/draft.txt", Mode.AUTO, ["/reports/draft.txt"]),
    ],
)
def test_s115_patterns(tree: Tree, pattern: str, mode: Mode, expected: list[str]) -> None:
    assert sorted(hits(tree, pattern, mode)) == sorted(expected)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"min_size": 40}, ["/reports/final/axb", "/x/[a]", "/x/a"]),
        ({"max_size": 10, "kind": "file"}, ["/reports/2024 final.txt"]),
        ({"modified_after": 300, "modified_before": 400}, ["/reports/final/a*b", "/reports/final/axb"]),
        ({"kind": "symlink"}, ["/x/link"]),
        ({"kind": "directory"}, ["/reports", "/reports/final", "/x"]),
        ({"suspect": True}, ["/reports/draft.txt"]),
        ({"agent_missing": True}, ["/reports/final/a*b"]),
        ({"uid": 7}, ["/reports/final/axb"]),
    ],
)
def test_filters(tree: Tree, filters: dict[str, Any], expected: list[str]) -> None:
    assert sorted(hits(tree, "*", Mode.GLOB, **filters)) == expected


@pytest.mark.parametrize(
    ("pattern", "ignore_case", "directory", "texts"),
    [
        ("/data/run-1/*.bam", False, "/data/run-1", [".bam"]),
        ("/data/run*/x.bam", False, "/data", ["x.bam"]),
        ("/data/run*/x.bam", True, "/", ["x.bam"]),
        ("/data/run*", False, "/data", []),
        ("/*", False, "/", []),
        ("*/sub/x_final", False, "/", ["x_final"]),
        ("*final/x?", False, "/", []),
        ("/a/b[1]/report.txt", False, "/a", ["report.txt"]),
        ("/data/run-1", False, "/", []),
        ("run*final", False, "/", ["run", "final"]),
    ],
)
def test_what_a_pattern_says_of_where_its_hits_are(pattern: str, ignore_case: bool, directory: str, texts: list[str]) -> None:
    asked = Pattern(pattern, ignore_case=ignore_case)
    assert (asked.directory(), asked.texts()) == (directory, texts)


@pytest.mark.django_db
def test_a_glob_that_begins_literally_reads_only_that_directory(tree: Tree) -> None:
    asked = SearchQuestion(Pattern("/x/*a"))
    assert asked.narrowed().key == "/x"
    assert replace(asked, key="/reports").narrowed().key == "/reports"
    assert hits(tree, "/x/*a", key="/reports") == []
    assert hits(tree, "/x/*", limit=1) == ["/x/[a]", "/x/a", "/x/link"]


@pytest.mark.django_db
def test_search_stays_below_its_path(tree: Tree) -> None:
    assert hits(tree, "a", key="/x") == ["/x/[a]", "/x/a"]
    assert hits(tree, "final", key="/reports/final") == []
    fill(make_view("w"), ["/a/hit", "/a-b/hit", "/a b/hit"])
    assert hits(Tree.objects.get(view__slug="w"), "hit", key="/a") == ["/a/hit"]
    assert hits(Tree.objects.get(view__slug="w"), "a", key="/a") == []


@pytest.mark.django_db
def test_ignoring_case_folds_ascii(tree: Tree) -> None:
    question = SearchQuestion(Pattern("FINAL", ignore_case=True))
    assert len(search.search(tree, question, None, 10).nodes) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("directories", [1, 2, 10_000])
def test_pages_and_slices_lose_nothing(tree: Tree, limit: int, directories: int, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = sorted(hits(tree, "*", Mode.GLOB))
    monkeypatch.setattr(search, "FIRST_SLICE_DIRECTORIES", directories)
    assert sorted(hits(tree, "*", Mode.GLOB, limit=limit)) == everything
    assert len(everything) == 10


@pytest.mark.django_db
def test_when_time_is_up_the_answer_says_where_to_go_on(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FIRST_SLICE_DIRECTORIES", 1)
    page = search.search(tree, SearchQuestion(Pattern("link")), None, 10, budget_seconds=0.0)
    assert page.nodes == []
    assert page.next_cursor is not None
    assert hits(tree, "link") == ["/x/link"]


@pytest.mark.django_db
def test_too_many_stars_are_refused(tree: Tree) -> None:
    with pytest.raises(Invalid) as error:
        hits(tree, "a*" * 9, Mode.GLOB)
    assert error.value.field == "pattern"


@pytest.mark.django_db
@settings(max_examples=400)
@given(
    pattern=st.text(alphabet="ab-]^[!?*\\c.é", max_size=8).filter(lambda text: text.count("*") <= glob.MAX_STARS),
    name=st.text(alphabet="ab-]^[!?*\\c.é\n", max_size=6),
)
def test_globs_mean_the_same_to_the_database_and_to_fnmatch(pattern: str, name: str) -> None:
    pieces = glob.parse(pattern)
    operator, rendered = ("GLOB", glob.sqlite_glob(pieces)) if queries_sql.is_sqlite() else ("~", glob.regex(pieces))
    row = queries_sql.fetch_one(f"SELECT CAST(%s AS text) {operator} %s", (name, rendered))
    assert row is not None
    assert bool(row[0]) == fnmatch.fnmatchcase(name, pattern)
