"""Every page of the console answers, shows what it should, asks for a login, and costs a constant number of queries."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.runtime import clock
from apps.sessions.models import Session
from apps.views.models import ChangeBatch
from apps.views.pages.consistency import SHELVES
from tests.console.conftest import Fleet, build_fleet, parts_of

LISTS = (
    "/",
    "/pipes/",
    "/views/",
    "/sessions/",
    "/sessions/?show=ended",
    "/jobs/",
    "/jobs/?state=FAILED&kind=audit",
    "/locate/",
    "/agents/",
    "/receivers/",
    "/keys/",
    "/keys/?state=revoked&kind=query",
    "/system/",
    "/changes/",
)


def detail_urls(fleet: Fleet) -> list[str]:
    return [
        reverse("pipe", args=[fleet.pipe.slug]),
        reverse("view", args=[fleet.view.slug]),
        reverse("session", args=[fleet.leader.number]),
        reverse("job", args=[fleet.running.pk]),
        reverse("tree", args=[fleet.view.slug]),
        reverse("tree", args=[fleet.view.slug]) + "?path=/runs&sort=size",
        reverse("search", args=[fleet.view.slug]) + "?q=*.bam",
        reverse("search", args=[fleet.view.slug]),
        reverse("inspect", args=[fleet.view.slug]) + "?path=/runs/sample-0000.bam",
        reverse("inspect", args=[fleet.view.slug]) + "?path=/gone",
        *(reverse("consistency", args=[fleet.view.slug]) + f"?show={shelf}" for shelf in SHELVES),
        "/locate/?q=sample-000",
        "/locate/?q=/runs",
    ]


def test_every_page_answers_with_one_heading(fleet: Fleet, reader: Client) -> None:
    for url in (*LISTS, *detail_urls(fleet)):
        response = reader.get(url)
        assert response.status_code == 200, url
        assert response.content.count(b"<h1") == 1, url
        assert b"<style" not in response.content, url
        assert b" style=" not in response.content, url


def test_an_id_with_dots_has_every_page(reader: Client) -> None:
    dotted = build_fleet("lab.example.org")
    for url in detail_urls(dotted):
        assert reader.get(url).status_code == 200, url


def test_a_nul_in_an_address_is_no_error_of_the_server_on_either_database(admin_client: Client) -> None:
    for url in ("/people/a%00b/", "/keys/%00/rotate/", "/api/v1/manage/people/%00"):
        assert admin_client.get(url).status_code == 404, url
    for url in ("/pipes/?q=%00", "/audit/?q=%00"):
        assert admin_client.get(url).status_code == 400, url


def test_every_page_wants_a_login(fleet: Fleet, client: Client) -> None:
    for url in (*LISTS, *detail_urls(fleet)):
        response = client.get(url)
        assert response.status_code == 302, url
        assert response["Location"].startswith("/login/"), url


def test_pages_of_an_empty_server_say_what_comes_next(reader: Client) -> None:
    for url in LISTS:
        assert reader.get(url).status_code == 200, url
    assert "No pipe yet" in reader.get("/").content.decode()


@pytest.mark.parametrize("url", ["/pipes/nothing/", "/views/nothing/", "/sessions/999/", "/views/nothing/tree/"])
def test_what_does_not_exist_is_not_found(reader: Client, url: str) -> None:
    response = reader.get(url)
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_pipe_page_shows_role_and_phases_apart(fleet: Fleet, reader: Client) -> None:
    html = reader.get(reverse("pipe", args=[fleet.pipe.slug])).content.decode()
    for word in ("leader", "follower", "running", "message", "audit"):
        assert f"<span>{word}</span>" in html
    assert "4,120 found" in html


def test_a_polling_page_gets_the_same_parts_as_the_socket(fleet: Fleet, reader: Client) -> None:
    parts = parts_of(reader.get(reverse("pipe", args=[fleet.pipe.slug]), headers={"X-Fustor-Parts": "1"}))
    assert set(parts) == {"pipe-summary", "pipe-sessions", "pipe-arrival", "pipe-jobs", "pipe-machine", "pipe-failovers"}
    assert fleet.leader.task_id in parts["pipe-sessions"]


def test_session_ids_are_never_shown_whole(fleet: Fleet, reader: Client) -> None:
    whole = (str(fleet.leader.id), fleet.leader.id.hex)
    for url in (*LISTS, *detail_urls(fleet)):
        html = reader.get(url).content.decode()
        assert not any(text in html for text in whole), url


def test_explorer_lists_directories_first_and_marks_files(fleet: Fleet, reader: Client) -> None:
    root = reader.get(reverse("tree", args=[fleet.view.slug])).content.decode()
    assert root.index("<span>inbox</span>") < root.index("<span>runs</span>")
    runs = reader.get(reverse("tree", args=[fleet.view.slug]) + "?path=/runs").content.decode()
    assert "sample-0029.bam" in runs
    assert "suspect" in runs
    assert "blind spot" in runs


def test_explorer_pages_and_sorts(reader: Client) -> None:
    fleet = build_fleet("large", files=450)
    url = reverse("tree", args=[fleet.view.slug]) + "?path=/runs"
    assert "sample-0199.bam" in reader.get(url).content.decode()
    assert 'rel="next"' in reader.get(f"{url}&sort=mtime").content.decode()
    assert "sample-0449.bam" in reader.get(f"{url}&sort=size").content.decode()


def test_a_path_that_is_gone_says_so(fleet: Fleet, reader: Client) -> None:
    response = reader.get(reverse("tree", args=[fleet.view.slug]) + "?path=/gone")
    assert response.status_code == 404
    assert "holds no directory here" in response.content.decode()


def queries_of(reader: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        reader.get(url)
    return len(queries)


def test_pages_cost_the_same_queries_for_one_fleet_and_for_six(fleet: Fleet, reader: Client) -> None:
    # /locate/ looks into every view by design: its bound is tested with the query itself
    urls = [url for url in (*LISTS, *detail_urls(fleet)) if not url.startswith("/locate/?")]
    before = {url: queries_of(reader, url) for url in urls}
    for number in range(5):
        build_fleet(f"more-{number}", files=60)
    assert Session.objects.count() == 12
    assert {url: queries_of(reader, url) for url in urls} == before
    assert max(before.values()) <= 30


def test_login_shows_the_form_and_refuses_a_wrong_password(client: Client, db: None) -> None:
    assert client.get("/login/").status_code == 200
    refused = client.post("/login/", {"username": "reader", "password": "wrong"})
    assert refused.status_code == 200
    assert 'role="alert"' in refused.content.decode()


def test_too_many_wrong_passwords_lock_with_a_page_that_says_for_how_long(client: Client, db: None) -> None:
    for _ in range(10):
        response = client.post("/login/", {"username": "reader", "password": "wrong"}, REMOTE_ADDR="192.0.2.9")
    assert response.status_code == 429
    assert "Try again in 15 minutes" in response.content.decode()


def test_changes_per_minute_are_counted_for_the_views_the_reader_sees(fleet: Fleet, reader: Client) -> None:
    now = clock.now_ms()
    ChangeBatch.objects.create(tree=fleet.tree, last_seq=5, at=now, source="realtime", count=5, entries=b"[]")
    ChangeBatch.objects.create(tree=fleet.tree, last_seq=9, at=now - 7_200_000, source="realtime", count=4, entries=b"[]")
    hour = reader.get("/series/changes/?span=1h").json()
    assert len(hour["at"]) == len(hour["changes"]) == 60
    assert sum(hour["changes"]) == 5
    assert sum(reader.get("/series/changes/?span=1h&view=other").json()["changes"]) == 0
    day = reader.get("/series/changes/?span=24h").json()
    assert round(sum(day["changes"]) * 15) == 9


@pytest.mark.parametrize(
    "path", ["/", "/views/", "/pipes/", "/sessions/", "/keys/", "/receivers/", "/agents/", "/locate/?q=sample"]
)
def test_an_id_with_a_dot_breaks_no_page(db: None, client: Client, path: str) -> None:
    build_fleet("lab.example")
    client.force_login(get_user_model().objects.create_superuser("ada"))
    assert client.get(path).status_code == 200
    for part in ("", "tree/", "search/?q=x", "consistency/"):
        assert client.get(f"/views/lab.example/{part}").status_code == 200
