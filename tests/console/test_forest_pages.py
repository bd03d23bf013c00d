"""Pages of a forest: without a chosen member they are about all of them, and say of every hit and copy whose it is."""

import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.views.models import Directory, File, Tree, View
from apps.views.pages import copies, search
from apps.views.services import drop_tree
from tests.queries.trees import fill, make_view

pytestmark = pytest.mark.django_db


@pytest.fixture
def forest() -> View:
    a, b = make_view("forest", "alpha"), make_view("forest", "beta")
    fill(a, {"/d/same": {}, "/d/longer": {"size": 9}, "/d/only-alpha": {}})
    fill(b, ["/d/same", "/d/longer", "/d/only-beta"])
    make_view("forest", "gamma", snapshot_complete_at=None)
    return a.view


def everyone_is_known(view: View) -> None:
    drop_tree(Tree.objects.get(view=view, scope="gamma"))


def shown(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(f"/views/forest/{address}")
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


def rows(text: str) -> list[str]:
    """The words of every row of the table."""
    body = text[text.index("<tbody>") : text.index("</tbody>")]
    return [re.sub(r"(<[^>]*>|\s)+", " ", row).strip() for row in body.split("</tr>")[:-1]]


def test_a_search_finds_hits_of_every_member_and_names_it(forest: View, reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE_SIZE", 2)
    address, found = "search/?q=only", []
    text = shown(reader, address)
    assert "Not searched" in text
    assert "gamma" in text[text.index("Not searched") :]
    found = [row.split(" ")[:2] for row in rows(text)]
    assert found == [["/d/only-alpha", "alpha"], ["/d/only-beta", "beta"]]
    assert "/views/forest/inspect/?path=%2Fd%2Fonly-beta&amp;scope=beta" in text


def test_pages_of_a_search_go_on_in_the_next_member(forest: View, reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE_SIZE", 1)
    address, found = "search/?q=longer", []
    while True:
        text = shown(reader, address)
        found += [row.split(" ")[:2] for row in rows(text)]
        following = re.search(r'href="([^"]+)" rel="next"', text)
        if following is None:
            break
        address = f"search/{unescape(following[1])}"
    assert found == [["/d/longer", "alpha"], ["/d/longer", "beta"]]


def test_one_member_is_searched_when_the_reader_chose_it(forest: View, reader: Client) -> None:
    text = shown(reader, "search/?q=only&scope=beta")
    assert [row.split(" ")[0] for row in rows(text)] == ["/d/only-beta"]
    assert "Not searched" not in text


def test_the_explorer_shows_copies_side_by_side(forest: View, reader: Client) -> None:
    everyone_is_known(forest)
    found = {row.split(" ")[0]: row for row in rows(shown(reader, "tree/?path=/d"))}
    assert list(found) == ["longer", "only-alpha", "only-beta", "same"]
    assert "missing in beta" in found["only-alpha"]
    assert "1 B – 9 B" in found["longer"]
    assert " size 1 B" in found["longer"]
    assert found["same"].startswith("same all 1 B")
    only = rows(shown(reader, "tree/?path=/d&only=differences"))
    assert [row.split(" ")[0] for row in only] == ["longer", "only-alpha", "only-beta"]


def test_a_member_that_cannot_be_asked_is_unknown(forest: View, reader: Client) -> None:
    assert "unknown in gamma" in rows(shown(reader, "tree/?path=/d"))[0]
    assert "No member that can be asked has a directory here" in shown(reader, "tree/?path=/nowhere")
    everyone_is_known(forest)
    shown(reader, "tree/?path=/nowhere", status=404)


def test_pages_of_copies_pass_nothing_over(forest: View, reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "PAGE_SIZE", 3)
    address, found = "tree/?path=/d", []
    while True:
        text = shown(reader, address)
        found += [row.split(" ")[0] for row in rows(text)]
        following = re.search(r'href="([^"]+)" rel="next"', text)
        if following is None:
            break
        address = f"tree/{unescape(following[1])}"
    assert found == ["longer", "only-alpha", "only-beta", "same"]


def test_the_explorer_of_one_member_is_that_of_a_view(forest: View, reader: Client) -> None:
    assert [row.split(" ")[0] for row in rows(shown(reader, "tree/?path=/d&scope=alpha"))] == ["longer", "only-alpha", "same"]
    refreshed = reader.get("/views/forest/tree/?path=/d", headers={"X-Fustor-Parts": "listing"})
    assert "only-beta" in refreshed.json()["parts"]["listing"]


def test_a_path_is_explained_member_by_member(forest: View, reader: Client) -> None:
    text = shown(reader, "inspect/?path=/d/only-alpha")
    assert "present in alpha; missing in beta; unknown in gamma" in text
    assert [row.split(" ")[0] for row in rows(text)] == ["alpha", "beta", "gamma"]
    assert "What decided it" in shown(reader, "inspect/?path=/d/only-alpha&scope=alpha")
    root = shown(reader, "inspect/?path=/&scope=alpha")
    assert "What decided it" in root
    assert ">None<" not in root
    assert shown(reader, "inspect/?path=/nowhere")


def test_before_any_snapshot_the_pages_say_so(reader: Client) -> None:
    make_view("forest", "alpha", snapshot_complete_at=None)
    for address in ("tree/", "inspect/", "search/?q=a"):
        assert "no complete snapshot yet" in shown(reader, address)


def test_what_a_page_costs_does_not_grow_with_its_entries(forest: View, reader: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            shown(reader, "tree/?path=/d")
        return len(asked)

    few = cost()
    beta = Tree.objects.get(view=forest, scope="beta")
    folder = Directory.objects.get(tree=beta, path="/d")
    File.objects.bulk_create(File(directory=folder, name=f"more{number}", size=1, mtime=1.0) for number in range(50))
    assert cost() == few
