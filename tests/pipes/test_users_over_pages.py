"""Users and roles over pages and API: what an admin does there, and what is refused."""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.pipes import factors, people
from apps.pipes.audit import Actor
from apps.pipes.keys import create_key
from apps.pipes.models import AuditEntry, Role
from apps.views.models import View
from tests.console.conftest import PASSWORD as WORDS
from tests.pipes.test_factors import SECRET, code_of

ROOT = Actor("root")
PASSWORD = "correct-horse-battery"


@pytest.fixture
def ada(small: None) -> User:
    return people.create(ROOT, "ada", PASSWORD, Role.ADMIN)


@pytest.fixture
def browser(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client


@pytest.fixture
def vera(ada: User) -> User:
    return people.create(ROOT, "vera", PASSWORD, Role.VIEWER)


def test_the_list_shows_role_views_and_state_and_filters(browser: Client, vera: User) -> None:
    people.change_role(ROOT, vera, Role.VIEWER, [View.objects.get(slug="alpha")])
    people.invite(ROOT, "newcomer", Role.OPERATOR)
    page = browser.get("/people/").content.decode()
    assert all(word in page for word in ("ada", "vera", "newcomer", "alpha", "invited"))
    only = browser.get("/people/?role=operator").content.decode()
    assert "/people/newcomer/" in only
    assert "/people/vera/" not in only
    assert "/people/vera/" in browser.get("/people/?role=viewer&q=ver").content.decode()


def test_the_list_costs_as_many_queries_for_many_users_as_for_few(browser: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get("/people/").status_code == 200
        return len(queries)

    cost()
    few = cost()
    for number in range(30):
        person = User.objects.create(username=f"user-{number}")
        people._give_role(person, Role.VIEWER, [View.objects.get(slug="alpha")])
    assert cost() == few


def test_an_invitation_is_shown_once_and_works(browser: Client) -> None:
    shown = browser.post("/people/new/", {"username": "nia", "password": "", "role": "viewer", "restricted": "on", "views": []})
    assert shown.headers["Cache-Control"] == "no-store"
    link = re.search(r"http://testserver(/invitation/[^<]+)", shown.content.decode())
    assert link
    guest = Client()
    form_at = guest.get(link.group(1)).headers["Location"]
    guest.post(form_at, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert guest.post("/login/", {"username": "nia", "password": PASSWORD}).status_code == 302
    assert people.describe(people.find("nia"))["views"] == []


def test_a_password_that_the_policy_refuses_is_told_at_its_field(browser: Client) -> None:
    refused = browser.post("/people/new/", {"username": "nia", "password": "short", "role": "viewer"})
    assert refused.status_code == 422
    assert "too short" in refused.content.decode()
    twice = browser.post("/people/new/", {"username": "ada", "password": WORDS, "role": "viewer"})
    assert "already" in twice.content.decode()


def test_role_and_views_are_changed(browser: Client, vera: User) -> None:
    alpha = View.objects.get(slug="alpha")
    browser.post("/people/vera/", {"role": "viewer", "restricted": "on", "views": [alpha.pk]})
    assert people.describe(vera)["views"] == ["alpha"]
    refused = browser.post("/people/vera/", {"role": "operator", "restricted": "on", "views": [alpha.pk]})
    assert (refused.status_code, "Only a viewer" in refused.content.decode()) == (422, True)
    browser.post("/people/vera/", {"role": "operator"})
    assert people.describe(people.find("vera"))["role"] == "operator"
    entry = AuditEntry.objects.filter(verb="person.role").first()
    assert entry
    assert (entry.actor, entry.before["role"], entry.after["role"]) == ("ada", "viewer", "operator")


def test_the_last_admin_is_neither_demoted_nor_switched_off_nor_deleted(browser: Client) -> None:
    assert browser.post("/people/ada/", {"role": "viewer"}).status_code == 422
    for url, form in (("/people/ada/switch/", {"active": "no"}), ("/people/ada/delete/", {})):
        answer = browser.post(url, form, follow=True)
        assert "Somebody must stay an admin" in answer.content.decode()
    ada = User.objects.get(username="ada")
    assert ada.is_active
    assert ada.is_superuser


def test_switching_off_and_on_resetting_and_deleting(browser: Client, vera: User) -> None:
    factors.add_app(ROOT, vera, SECRET, code_of(SECRET))
    hers = Client()
    hers.force_login(vera)
    browser.post("/people/vera/factor/reset/")
    assert not factors.has_factor(vera)
    browser.post("/people/vera/logins/end/")
    assert hers.get("/").status_code == 302
    browser.post("/people/vera/switch/", {"active": "no"})
    assert hers.post("/login/", {"username": "vera", "password": PASSWORD}).status_code == 200
    browser.post("/people/vera/switch/", {"active": "yes"})
    assert hers.post("/login/", {"username": "vera", "password": PASSWORD}).status_code == 302
    browser.post("/people/vera/delete/")
    assert hers.get("/").status_code == 302
    assert not User.objects.filter(username="vera").exists()
    verbs = list(AuditEntry.objects.filter(actor="ada", target="people.vera").order_by("id").values_list("verb", flat=True))
    assert verbs == ["factor.reset", "person.logout", "person.disable", "person.enable", "person.delete"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_others_see_no_users(ada: User, role: Role) -> None:
    client = Client()
    client.force_login(people.create(ROOT, "other", PASSWORD, role))
    assert client.get("/people/").status_code == 403
    assert client.post("/people/ada/switch/", {"active": "no"}).status_code == 403
    assert "/people/" not in client.get("/profile/").content.decode()


def test_the_api_does_the_same(ada: User) -> None:
    _, secret = create_key("management", scopes=["admin"])
    api = Client(headers={"X-API-Key": secret})
    made = api.post("/api/v1/manage/people", {"username": "nia", "role": "operator"}, content_type="application/json")
    assert made.status_code == 201
    assert made.json()["link"].startswith("/invitation/")
    assert api.get("/api/v1/manage/people/nia").json()["logins"] == []
    assert api.post("/api/v1/manage/people/nia/link").status_code == 201
    assert api.delete("/api/v1/manage/people/nia/logins").status_code == 204
    assert api.delete("/api/v1/manage/people/nia/second-factor").status_code == 204
    assert api.delete("/api/v1/manage/people/nia").status_code == 204
    assert api.delete("/api/v1/manage/people/ada").status_code == 409


def test_a_key_for_users_alone_makes_nobody_mightier_than_itself(ada: User) -> None:
    _, secret = create_key("management", scopes=["people", "viewer"])
    api = Client(headers={"X-API-Key": secret})
    assert (
        api.post("/api/v1/manage/people", {"username": "nia", "role": "admin"}, content_type="application/json").status_code == 403
    )
    assert api.patch("/api/v1/manage/people/ada", {"password": WORDS}, content_type="application/json").status_code == 403
    assert api.post("/api/v1/manage/people/ada/link").status_code == 403
    assert (
        api.post("/api/v1/manage/people", {"username": "nia", "role": "viewer"}, content_type="application/json").status_code == 201
    )


def test_a_change_of_several_things_happens_whole_or_not_at_all(ada: User, vera: User) -> None:
    _, secret = create_key("management", scopes=["admin"])
    api = Client(headers={"X-API-Key": secret})
    body = {"role": "operator", "password": "short"}
    assert api.patch("/api/v1/manage/people/vera", body, content_type="application/json").status_code == 422
    assert people.describe(people.find("vera"))["role"] == "viewer"
