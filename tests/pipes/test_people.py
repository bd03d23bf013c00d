"""People and the permission table."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from apps.pipes import people
from apps.pipes.audit import Actor
from apps.pipes.models import AuditEntry, Role
from apps.pipes.permissions import TABLE, Verb, allowed, visible_views
from apps.runtime.problems import Conflict, Invalid
from apps.views.models import View

ROOT = Actor("root")
PASSWORD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def an_admin(small: None) -> User:
    return people.create(ROOT, "admin", PASSWORD, Role.ADMIN)


EXPECTED = {
    Role.VIEWER: {"read", "survey"},
    Role.OPERATOR: {"read", "survey", "run", "control"},
    Role.ADMIN: {verb.value for verb in Verb},
}


@pytest.mark.parametrize("role", list(Role))
def test_the_table_gives_each_role_its_verbs(role: Role) -> None:
    user = people.create(ROOT, f"some-{role}", PASSWORD, role)
    assert {verb.value for verb in Verb if allowed(user, verb)} == EXPECTED[role]
    assert set(TABLE) == set(EXPECTED)


def test_nobody_and_switched_off_users_may_nothing() -> None:
    user = people.create(ROOT, "vera", PASSWORD, Role.OPERATOR)
    people.switch(ROOT, user, active=False)
    assert not any(allowed(who, verb) for who in (AnonymousUser(), user) for verb in Verb)


def test_a_verb_that_is_not_in_the_table_is_a_mistake_not_a_no(an_admin: User) -> None:
    with pytest.raises(ValueError, match="fly"):
        allowed(an_admin, "fly")


def test_a_restricted_viewer_sees_the_listed_views_only() -> None:
    alpha, beta = View.objects.order_by("slug")
    vera = people.create(ROOT, "vera", PASSWORD, Role.VIEWER, [alpha])
    assert (allowed(vera, "read", alpha), allowed(vera, "read", beta)) == (True, False)
    assert list(visible_views(vera)) == [alpha]


def test_the_last_admin_stays() -> None:
    admin = User.objects.get(username="admin")
    with pytest.raises(Conflict):
        people.change_role(ROOT, admin, Role.VIEWER)
    with pytest.raises(Conflict):
        people.switch(ROOT, User.objects.get(username="admin"), active=False)
    assert User.objects.get(username="admin").is_superuser


def test_switching_off_ends_the_login_at_once() -> None:
    user = people.create(ROOT, "vera", PASSWORD, Role.VIEWER)
    browser = Client()
    browser.force_login(user)
    assert browser.get("/api/v1/views").status_code == 200
    people.switch(ROOT, user, active=False)
    assert browser.get("/api/v1/views").status_code == 401


def test_a_login_reads_but_writes_only_with_a_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="admin"))
    assert browser.get("/api/v1/manage/configuration").status_code == 200
    refused = browser.post("/api/v1/manage/keys", {"kind": "query", "all_views": True}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")


@pytest.mark.parametrize("password", ["short", "password123", "1234567890123"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        people.create(ROOT, "vera", password, Role.VIEWER)
    assert refused.value.field == "password"


def test_the_audit_log_outlives_the_user() -> None:
    user = people.create(ROOT, "vera", PASSWORD, Role.VIEWER)
    user.delete()
    entry = AuditEntry.objects.get(target="people.vera")
    assert (entry.verb, entry.actor) == ("person.create", "root")
    assert PASSWORD not in str(entry.after)


def test_a_viewer_is_refused_and_the_attempt_is_kept() -> None:
    browser = Client()
    browser.force_login(people.create(ROOT, "vera", PASSWORD, Role.VIEWER))
    answer = browser.put("/api/v1/manage/objects/views/new", {"fields": {}}, content_type="application/json")
    assert answer.status_code == 403
    entry = AuditEntry.objects.get(outcome="denied")
    assert (entry.actor, entry.verb, entry.target) == ("vera", "configure", "views.new")
