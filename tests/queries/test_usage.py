"""Usage by owner and by age: sums are exact in one request and over many, hard links count once in all."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.runtime.problems import Invalid, NotFound
from apps.views.models import Directory, OwnerTotal, Tree
from apps.views.queries import usage
from tests.queries.trees import T0, fill, make_view

pytestmark = pytest.mark.django_db
DAY = 86_400.0


@pytest.fixture
def tree() -> Tree:
    stored = make_view()
    fill(
        stored,
        {
            "/d/new": {"size": 10, "mtime": T0 - 1},
            "/d/week": {"size": 20, "mtime": T0 - 3 * DAY},
            "/d/e/old": {"size": 30, "mtime": T0 - 5 * 365 * DAY},
            "/d/e/undated": {"size": 40, "mtime": None},
            "/d-e/link1": {"size": 100, "mtime": T0 - 1, "nlink": 2, "inode": 9},
            "/d-e/link2": {"size": 100, "mtime": T0 - 1, "nlink": 2, "inode": 9},
        },
    )
    return stored


def ages(tree: Tree, path: str, **options: Any) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    cursor = None
    while True:
        answer = usage.by_age(tree, path, cursor, T0, **options)
        for age in answer["ages"]:
            before = found.get(age["age"], (0, 0, 0))
            found[age["age"]] = (before[0] + age["files"], before[1] + age["bytes"], before[2] + age["unique_bytes"])
        cursor = answer["next_cursor"]
        if cursor is None:
            return {age: figures for age, figures in found.items() if figures[0]}


def test_by_age(tree: Tree) -> None:
    assert ages(tree, "/d") == {"under 1d": (1, 10, 10), "under 7d": (1, 20, 20), "over 3y": (1, 30, 30), "unknown": (1, 40, 40)}


def test_s117_names_of_one_file_count_once_as_du_counts(tree: Tree) -> None:
    assert ages(tree, "/d-e") == {"under 1d": (2, 200, 100)}
    # one of three names lies in /part: du counts the file there in full, and once in all
    fill(make_view("w"), {"/d-e/foreign": {"size": 100, "nlink": 2, "inode": 9}})
    other = make_view("links")
    link = {"size": 90, "mtime": T0 - 1, "nlink": 3, "inode": 2**63 - 2**64}
    fill(other, {"/part/x": link, "/rest/y": link, "/rest/z": link, "/rest/same-number": {**link, "nlink": 1}})
    assert ages(other, "/part")["under 1d"] == (1, 90, 90)
    assert ages(other, "/rest")["under 1d"] == (3, 270, 180)
    assert ages(other, "/")["under 1d"] == (4, 360, 180)
    assert ages(tree, "/d-e") == {"under 1d": (2, 200, 100)}


def test_links_are_found_through_their_index(tree: Tree) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL plans by its statistics, which a small table does not have")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        usage.by_age(tree, "/", None, T0)
    statement = next(query["sql"] for query in asked.captured_queries if "EXISTS" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        plan = " | ".join(row[-1] for row in cursor.fetchall())
    assert "file_links" in plan
    assert "SCAN" not in plan


def test_age_is_by_the_storages_own_time(tree: Tree) -> None:
    tree.clock = {"offset": 2 * DAY}
    assert ages(tree, "/d")["under 7d"] == (2, 30, 30)


def test_answers_of_many_requests_add_up(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ages(tree, "/")
    monkeypatch.setattr(usage, "SLICE_DIRECTORIES", 0)
    assert ages(tree, "/", budget_seconds=0.0) == whole


def test_by_owner_reads_the_stored_totals(tree: Tree) -> None:
    directory = Directory.objects.get(tree=tree, path="/d")
    OwnerTotal.objects.create(directory=directory, uid=7, files=2, bytes=50)
    OwnerTotal.objects.create(directory=directory, uid=8, files=1, bytes=40)
    answer = usage.by_owner(tree, "/d")
    assert [(owner["uid"], owner["bytes"]) for owner in answer["owners"]] == [(7, 50), (8, 40)]
    assert (answer["total_files"], answer["total_bytes"]) == (4, 100)
    assert answer["unowned"] == {"files": 1, "bytes": 10}


def test_only_directories_have_usage(tree: Tree) -> None:
    for ask in (lambda path: usage.by_owner(tree, path), lambda path: usage.by_age(tree, path, None, T0)):
        with pytest.raises(NotFound):
            ask("/nowhere")
        with pytest.raises(Invalid):
            ask("/d/new")
