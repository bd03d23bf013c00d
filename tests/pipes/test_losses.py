"""What a change of the configuration loses for good is told before it happens, with how much it is, wherever a plan is shown."""

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from apps.pipes import drafts, services
from apps.pipes.config import service
from apps.pipes.config.losses import Loss, losses_of
from apps.pipes.config.render import render
from apps.views.models import View
from apps.views.services import ensure_tree
from tests.console.test_object_forms import admin, filled
from tests.pipes.conftest import load
from tests.queries.trees import fill

__all__ = ["admin"]
pytestmark = pytest.mark.django_db

ANNA = service.Author("anna", "because")
TEXT = """
receivers: {http-main: {}}
views: {woods: {driver: fs-forest}, plain: {}}
pipes:
  one: {receiver: http-main, views: [woods]}
  two: {receiver: http-main, views: [woods, plain]}
"""
TOLD = "pipes.two: leaves the forest woods: its tree there with 4 items is lost. To keep that, disable the pipe instead."


@pytest.fixture(autouse=True)
def woods(db: None) -> View:
    """A forest whose tree of `two` holds three files in a directory, and one of `one` that holds nothing yet."""
    load(TEXT)
    view = View.objects.get(slug="woods")
    ensure_tree(view, "one")
    tree = ensure_tree(view, "two")
    tree.directories.all().delete()
    fill(tree, ["/d/a", "/d/b", "/d/c"])
    return view


def leaving() -> dict[str, Any]:
    return {"receiver": "http-main", "views": ["plain"]}


def members(view: View) -> set[str]:
    return set(view.trees.values_list("scope", flat=True))


def test_a_pipe_that_leaves_a_forest_loses_its_tree_and_the_plan_says_how_much(woods: View) -> None:
    plan = service.preview(service.Wanted(services.document_with("pipes", "two", leaving())))
    assert [str(notice) for notice in plan.notices] == [TOLD]
    done, _ = services.put_object("pipes", "two", leaving(), ANNA)
    assert (done.notices, members(woods)) == (plan.notices, {"one"})


def test_what_holds_nothing_and_what_stays_is_no_loss(woods: View) -> None:
    for fields in ({"receiver": "http-main", "views": ["woods"], "disabled": True}, {"receiver": "http-main", "views": ["woods"]}):
        assert not service.preview(service.Wanted(services.document_with("pipes", "two", fields))).notices
    assert not service.preview(service.Wanted(services.document_with("pipes", "one", leaving()))).notices
    services.switch_objects("pipes", ["one", "two"], enabled=False, author=ANNA)
    assert members(woods) == {"one", "two"}


def test_a_view_that_is_emptied_is_counted_as_a_whole(woods: View) -> None:
    now = render()
    assert losses_of(now, services.document_with("views", "woods", {"driver": "fs"})) == (Loss("woods", "", 4),)
    tree = ensure_tree(View.objects.get(slug="plain"), "")
    tree.directories.all().delete()
    fill(tree, ["/a"])
    plan = service.preview(service.Wanted(services.document_with("views", "plain", {"driver": "fs-forest"})))
    assert [str(notice) for notice in plan.notices] == ["views.plain: forgets what it knows: 1 item lost."]


def test_programs_and_the_command_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    file = tmp_path / "left.yaml"
    file.write_text(TEXT.replace("[woods, plain]", "[plain]"))
    call_command("import_config", str(file), "--dry-run")
    assert TOLD in "".join(capsys.readouterr())


def test_the_form_of_a_pipe_asks_before_it_saves(admin: Client, woods: View) -> None:
    address = "/configuration/pipes/two/edit/"
    data = filled(admin.get(address).content.decode()) | {"views": ["plain"], "step": "save"}
    asked = admin.post(address, data).content.decode()
    assert "Nothing was saved yet" in asked
    assert "the tree of pipe two in the forest woods, with 4 items" in asked
    assert members(woods) == {"one", "two"}
    again = admin.post(address, filled(asked) | {"step": "save"})
    assert (again.status_code, members(woods)) == (302, {"one"})


def test_every_page_with_a_plan_warns(admin: Client, woods: View) -> None:
    posted = {"text": TEXT.replace("[woods, plain]", "[plain]"), "step": "check", "base": str(service.latest_number())}
    assert "leaves the forest woods" in admin.post("/configuration/", posted).content.decode()
    drafts.put_object("chief", "pipes", "two", leaving())
    assert "leaves the forest woods" in admin.get("/changes/draft/").content.decode()
    deletion = admin.get("/configuration/pipes/two/delete/", follow=True).content.decode()
    assert "Its tree in the forest <strong>woods</strong> is lost, with <strong>4 items</strong>" in deletion
    first = service.latest_number()
    load("views: {later: {}}")
    assert "leaves the forest" not in admin.get(f"/changes/{first}/").content.decode()
    load("receivers: {http-main: {}}\nviews: {woods: {driver: fs-forest}}", replace=True)
    load(TEXT)
    emptied = first + 2
    fill_again(woods)
    assert "Restoring it has a price" in admin.get(f"/changes/{emptied}/").content.decode()


def fill_again(view: View) -> None:
    tree = ensure_tree(view, "two")
    tree.directories.all().delete()
    fill(tree, ["/a"])
