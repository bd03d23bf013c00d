"""Before something grave a person proves again who is at the keyboard; nothing that was filled in is lost."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.pipes import people
from apps.pipes.audit import Actor
from apps.pipes.confirmation import PROVEN_AT
from apps.pipes.keys import create_key
from apps.pipes.models import ApiKey, AuditEntry, Role
from apps.pipes.principals import PersonPrincipal
from apps.runtime import clock
from apps.runtime.problems import Forbidden
from apps.views.access import administered_view

PASSWORD = "correct-horse-battery"
NEW_KEY = {"kind": "query", "name": "dash & board", "views": [], "all_views": "on"}


@pytest.fixture
def admin(small: None) -> User:
    return people.create(Actor("root"), "ada", PASSWORD, Role.ADMIN)


@pytest.fixture
def browser(admin: User) -> Client:
    """A browser that logged in a while ago."""
    client = Client()
    client.force_login(admin)
    grow_old(client)
    return client


def grow_old(client: Client) -> None:
    session = client.session
    session[PROVEN_AT] = clock.now() - 3600
    session.save()


def test_a_fresh_login_is_not_asked(admin: User) -> None:
    client = Client()
    client.force_login(admin)
    assert client.get("/keys/new/").status_code == 200


def test_an_old_login_is_asked_and_comes_back(browser: Client) -> None:
    asked = browser.get("/keys/new/?kind=query")
    assert (asked.status_code, asked.headers["Cache-Control"]) == (403, "no-store")
    assert "Confirm that it is you" in asked.content.decode()
    back = browser.post("/keys/new/?kind=query", {"confirm_password": PASSWORD, "confirm_get": "1"})
    assert (back.status_code, back.headers["Location"]) == (302, "/keys/new/?kind=query")
    assert browser.get("/keys/new/").status_code == 200


def test_a_form_that_was_sent_is_kept_and_done_after_the_password(browser: Client) -> None:
    asked = browser.post("/keys/new/", NEW_KEY)
    assert asked.status_code == 403
    assert not ApiKey.objects.filter(name="dash & board").exists()
    page = asked.content.decode()
    assert '<input type="hidden" name="name" value="dash &amp; board">' in page
    kept = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    done = browser.post("/keys/new/", {**kept, "name": "dash & board", "confirm_password": PASSWORD})
    assert done.status_code == 200
    assert ApiKey.objects.filter(name="dash & board").count() == 1


def test_a_wrong_password_changes_nothing_and_is_on_record(browser: Client) -> None:
    asked = browser.post("/keys/new/", {**NEW_KEY, "confirm_password": "wrong"})
    assert asked.status_code == 403
    assert "not right" in asked.content.decode()
    assert not ApiKey.objects.filter(name="dash & board").exists()
    assert AuditEntry.objects.filter(actor="ada", verb="login", outcome="denied").count() == 1


def test_the_password_of_somebody_else_is_no_proof(browser: Client) -> None:
    people.create(Actor("root"), "eve", "another-long-password", Role.VIEWER)
    asked = browser.post("/keys/new/", {**NEW_KEY, "confirm_username": "eve", "confirm_password": "another-long-password"})
    assert asked.status_code == 403


def test_too_many_wrong_passwords_lock_out(browser: Client) -> None:
    answers = [browser.post("/keys/new/", {"confirm_password": "wrong"}).status_code for _ in range(11)]
    assert answers[-1] == 429
    assert browser.post("/keys/new/", {"confirm_password": PASSWORD}).status_code == 429


def test_the_api_asks_a_login_too_but_never_a_key(browser: Client) -> None:
    body = {"kind": "query", "all_views": True}
    refused = browser.post("/api/v1/manage/keys", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "confirm_first")
    browser.post("/confirm/?next=/keys/", {"confirm_password": PASSWORD, "confirm_get": "1"})
    assert browser.post("/api/v1/manage/keys", body, content_type="application/json").status_code == 201
    _, secret = create_key("management", scopes=["keys"])
    with_key = Client().post("/api/v1/manage/keys", body, content_type="application/json", headers={"X-API-Key": secret})
    assert with_key.status_code == 201


def test_deleting_through_the_api_asks_a_login_too(browser: Client) -> None:
    refused = browser.delete("/api/v1/manage/objects/views/beta")
    assert (refused.status_code, refused.json()["code"]) == (403, "confirm_first")
    browser.post("/confirm/", {"confirm_password": PASSWORD, "confirm_get": "1"})
    assert browser.delete("/api/v1/manage/objects/views/beta").status_code == 200


def test_emptying_a_view_asks_a_login_too(admin: User) -> None:
    with pytest.raises(Forbidden) as refused:
        administered_view(PersonPrincipal(admin, confirmed=False), "alpha")
    assert refused.value.code == "confirm_first"
    assert administered_view(PersonPrincipal(admin, confirmed=True), "alpha").slug == "alpha"


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_the_way_back_stays_on_this_server(admin: User, wanted: str) -> None:
    client = Client()
    client.force_login(admin)
    assert client.get("/confirm/", {"next": wanted}).headers["Location"] == "/"


def test_htmx_is_sent_to_a_page_of_its_own(browser: Client) -> None:
    answer = browser.post(
        "/keys/new/", NEW_KEY, headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/keys/?state=usable"}
    )
    assert answer.headers["HX-Redirect"] == "/confirm/?next=%2Fkeys%2F%3Fstate%3Dusable"


def test_logins_and_refusals_are_in_the_audit_log(admin: User) -> None:
    viewer = people.create(Actor("root"), "vera", PASSWORD, Role.VIEWER)
    client = Client()
    assert client.post("/login/", {"username": "vera", "password": "wrong-password"}).status_code == 200
    assert client.post("/login/", {"username": "vera", "password": PASSWORD}).status_code == 302
    assert client.get("/audit/").status_code == 403
    client.post("/logout/")
    told = AuditEntry.objects.filter(actor=viewer.username).order_by("id").values_list("verb", "outcome", "target")
    assert list(told) == [
        ("login", "denied", "people.vera"),
        ("login", "done", "people.vera"),
        ("audit", "denied", "GET /audit/"),
        ("logout", "done", "people.vera"),
    ]
    assert PASSWORD not in str(list(AuditEntry.objects.values()))


def test_what_strangers_type_as_a_name_is_not_kept(admin: User) -> None:
    Client().post("/login/", {"username": "my-secret-password", "password": "x"})
    assert not AuditEntry.objects.filter(target__contains="my-secret").exists()
