"""The explorer's table of one directory: pages begin behind an entry, so they cost the same anywhere and lose nothing."""

import itertools
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.views.models import Directory, File, Tree
from apps.views.pages import listing
from apps.views.pages.listing import Listing, Spot
from tests.queries.trees import fill, make_view

pytestmark = pytest.mark.django_db

FOLDERS = [f"d{number}" for number in range(5)]
FILES = [f"f{number:02}" for number in range(8)]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 3)


@pytest.fixture
def tree() -> Tree:
    stored = make_view()
    fill(stored, [f"/wide/{name}" for name in FILES], {f"/wide/{name}": {} for name in FOLDERS})
    return stored


def page(tree: Tree, at: str | None = None, sort: str = "name") -> Listing:
    found = listing.listing(tree, "/wide", sort, Spot.read(at or ""))
    assert found is not None
    return found


def names(found: Listing) -> list[str]:
    return [entry.name for entry in found.entries]


def test_pages_by_name_forth_and_back_hold_every_entry_once(tree: Tree) -> None:
    pages = [page(tree)]
    while pages[-1].after:
        pages.append(page(tree, pages[-1].after))
    assert [name for found in pages for name in names(found)] == FOLDERS + FILES
    assert (pages[0].before, pages[0].total) == (None, 13)
    for earlier, later in itertools.pairwise(pages):
        back = page(tree, later.before)
        assert (names(back), back.before is None) == (names(earlier), earlier is pages[0])


def test_entries_that_come_and_go_shift_nothing(tree: Tree) -> None:
    second = page(tree, page(tree).after)
    Directory.objects.filter(tree=tree, path="/wide/d0").delete()
    assert names(page(tree, second.after)) == ["f01", "f02", "f03"]
    File.objects.filter(directory__path="/wide").delete()
    assert names(page(tree, second.after)) == ["d1", "d2", "d3"], "nothing is left behind there: the beginning is shown"


@pytest.mark.parametrize("sort", ["name", "size", "mtime"])
@pytest.mark.parametrize(
    "at", ["x", "d", "-", "f!", "-f", "d////", "Z" * 500, "\0", "fx~L2E=", "fnan~L2E=", "f1e999~L2E=", f"f{2**63}~L2E="]
)
def test_a_place_that_is_none_is_the_beginning(tree: Tree, at: str, sort: str) -> None:
    assert names(page(tree, at, sort)) == ["d0", "d1", "d2"]


@pytest.mark.parametrize("value", [None, 0, -5, 2**62, 1.5, -1e-300, 1_750_000_000.123456])
def test_names_that_are_no_text_and_any_value_are_places_too(value: int | float | None) -> None:
    for name in ("é", "\U0010ffff", "a b", "%2F", "~"):
        assert Spot.read(Spot(True, name, value=value).text) == Spot(True, name, value=value)


def every_page(tree: Tree, sort: str) -> list[Listing]:
    pages = [page(tree, sort=sort)]
    while pages[-1].after:
        pages.append(page(tree, pages[-1].after, sort))
    return pages


def test_sorted_pages_forth_and_back_hold_every_entry_once(tree: Tree) -> None:
    for number, name in enumerate(FILES):
        File.objects.filter(name=name).update(size=number // 3, mtime=[None, 5.0, -1.25][number % 3])
    Directory.objects.filter(path="/wide/d3").update(total_bytes=7, newest_mtime=9.5)
    expected = {
        "size": ["d3", "d0", "d1", "d2", "d4", "f06", "f07", "f03", "f04", "f05", "f00", "f01", "f02"],
        "mtime": ["d3", "d0", "d1", "d2", "d4", "f01", "f04", "f07", "f02", "f05", "f00", "f03", "f06"],
    }
    for sort, order in expected.items():
        pages = every_page(tree, sort)
        assert [name for found in pages for name in names(found)] == order
        for earlier, later in itertools.pairwise(pages):
            back = page(tree, later.before, sort)
            assert (names(back), back.before is None, back.sort) == (names(earlier), earlier is pages[0], sort)


def test_an_entry_that_grows_meanwhile_makes_no_other_come_twice(tree: Tree) -> None:
    first = page(tree, sort="size")
    File.objects.filter(name="f07").update(size=99)
    Directory.objects.filter(path="/wide/d4").update(total_bytes=99)
    second = page(tree, first.after, "size")
    assert (names(first), names(second)) == (["d0", "d1", "d2"], ["d3", "f07", "f00"])


def test_too_many_entries_are_sorted_by_name_only(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_SORTED", 12)
    found = page(tree, sort="size")
    assert (found.sort, found.sortable, names(found)) == ("name", False, ["d0", "d1", "d2"])


@pytest.mark.parametrize("sort", ["name", "size", "mtime"])
def test_no_page_counts_or_skips_entries(tree: Tree, sort: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        page(tree, page(tree, sort=sort).after, sort)
    assert not [query["sql"] for query in asked.captured_queries if "OFFSET" in query["sql"]]
    assert not [query["sql"] for query in asked.captured_queries if "COUNT" in query["sql"] and "views_file" in query["sql"]]


@pytest.mark.parametrize("sort", ["", "&sort=size", "&sort=mtime"])
def test_the_page_leads_on_and_back(tree: Tree, reader: Client, sort: str) -> None:
    address, seen = f"?path=/wide{sort}", []
    while True:
        shown = reader.get(f"/views/v/tree/{address}").content.decode()
        table = shown[shown.index('<table class="table list entries">') :]
        seen += re.findall(r"<span>([df]\d+)</span>", table)
        following = re.search(r'href="([^"]+)" rel="next"', table)
        if following is None:
            break
        address = unescape(following[1])
        assert parse_qs(urlsplit(address).query)["path"] == ["/wide"]
    assert seen == FOLDERS + FILES
    assert 'rel="prev"' in table
