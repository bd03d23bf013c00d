"""Emptying a view, Locate as CSV, old paths on the System page."""

import csv
import io

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from apps.pipes import keys
from apps.pipes.config import service
from apps.pipes.keys import create_key
from apps.pipes.models import AuditEntry, LegacyUse, Person
from apps.pipes.services import put_settings
from apps.runtime import clock
from apps.runtime.spreadsheet import cell
from apps.views.models import Directory, File, Tree
from tests.console.conftest import Fleet, build_fleet


@pytest.fixture
def chief(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    session = client.session
    session["proven_at"] = clock.now()
    session.save()
    return client


def rows(answer: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode())))  # type: ignore[attr-defined]  # a response


def test_a_view_is_emptied_after_its_name_was_typed_and_that_is_on_record(fleet: Fleet, chief: Client) -> None:
    url = f"/views/{fleet.view.slug}/reset/"
    page = chief.get(url).content.decode()
    assert "30 files" in page
    wrong = chief.post(url, {"name": "archiv"})
    assert wrong.status_code == 422
    assert "Nothing was done" in wrong.content.decode()
    assert File.objects.count() == 30
    chief.post(url, {"name": "archive"})
    assert not File.objects.exists()
    assert Directory.objects.count() == 1, "the root"
    assert Tree.objects.get().snapshot_complete_at is None
    assert AuditEntry.objects.get(verb="view.reset").target == "views.archive"


def test_emptying_is_for_admins(fleet: Fleet, reader: Client) -> None:
    assert reader.get("/views/archive/reset/").status_code == 403
    assert reader.post("/views/archive/reset/", {"name": "archive"}).status_code == 403
    assert File.objects.exists()


def test_emptying_asks_who_is_there(fleet: Fleet, chief: Client) -> None:
    session = chief.session
    session.pop("proven_at", None)
    session.save()
    assert "password" in chief.get("/views/archive/reset/").content.decode().lower()
    assert chief.post("/views/archive/reset/", {"name": "archive"}).status_code == 403
    assert File.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_reset_through_the_api_is_on_record(fleet: Fleet, client: Client) -> None:
    keys.forget()
    _, secret = create_key("management", scopes=["admin"])
    assert client.delete("/api/v1/views/archive/reset", headers={"X-API-Key": secret}).status_code == 204
    entry = AuditEntry.objects.get(verb="view.reset")
    assert (entry.target, entry.address) == ("views.archive", "127.0.0.1")


def test_places_go_out_as_csv_that_no_spreadsheet_runs(fleet: Fleet, reader: Client) -> None:
    directory = Directory.objects.get(path="/runs")
    File.objects.create(directory=directory, name='=cmd("x")-evil.bam', size=5, mtime=1.7e9)
    answer = reader.get("/locate/export/?q=evil")
    assert answer["Content-Disposition"] == 'attachment; filename="places.csv"'
    (row,) = rows(answer)
    assert (row["view"], row["path"], row["bytes"]) == ("archive", '/runs/=cmd("x")-evil.bam', "5")
    assert row["modified"] == "2023-11-14T22:13:20+00:00"
    assert row["state"] in ("settled", "changing", "unknown")
    assert len(rows(reader.get("/locate/export/?q=sample-000"))) == 10
    assert "/locate/export/?q=sample-000" in reader.get("/locate/?q=sample-000").content.decode()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_what_would_run_as_a_formula_is_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert (cell(-1), cell(None), cell("a=1")) == ("-1", "", "a=1")


def test_the_export_holds_what_the_reader_may_see_and_says_what_was_not_searched(fleet: Fleet, reader: Client) -> None:
    other = build_fleet("other")
    Tree.objects.filter(pk=other.tree.pk).update(snapshot_complete_at=None)
    found = rows(reader.get("/locate/export/?q=sample-0001"))
    assert [(row["view"], row["state"]) for row in found if row["view"] == "other"] == [("other", "not searched to the end")]
    person = get_user_model().objects.get(username="reader")
    Person.objects.create(user=person, restricted=True)
    assert rows(reader.get("/locate/export/?q=sample-0001")) == []
    assert rows(reader.get("/locate/export/")) == []


def test_the_system_page_says_who_still_calls_old_paths(fleet: Fleet, reader: Client) -> None:
    assert "Nobody calls them" in reader.get("/system/").content.decode()
    LegacyUse.objects.create(path="/api/v1/ingest/session", caller="10.0.0.7 (abc123)", count=41, last_at=clock.now_datetime())
    html = reader.get("/system/").content.decode()
    assert "10.0.0.7 (abc123)" in html
    assert "41 calls so far" in html
    put_settings({"legacy_paths": False}, service.Author("anna"))
    assert "switched off" in reader.get("/system/").content.decode()
