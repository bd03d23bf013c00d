"""One's own account: logins that are listed and ended, password, look; invitations."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from apps.pipes import logins, people
from apps.pipes.audit import Actor
from apps.pipes.models import AuditEntry, Login, Role
from apps.runtime import clock
from apps.runtime.problems import NotFound

ROOT = Actor("root")
PASSWORD = "correct-horse-battery"
NEW = "staple-of-the-horse"


@pytest.fixture
def vera(small: None) -> User:
    people.create(ROOT, "ada", PASSWORD, Role.ADMIN)
    return people.create(ROOT, "vera", PASSWORD, Role.VIEWER)


def entered(name: str = "vera", agent: str = "Firefox on the desk") -> Client:
    client = Client(headers={"User-Agent": agent})
    assert client.post("/login/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


def test_each_login_is_listed_with_browser_address_and_last_seen(vera: User, time_stands_still: clock.ManualClock) -> None:
    here, there = entered(), entered(agent="Phone <b>")
    time_stands_still.advance(3600)
    there.get("/")
    page = here.get("/profile/").content.decode()
    assert "Firefox on the desk" in page
    assert "Phone &lt;b&gt;" in page
    first, second = logins.of(vera, here.session.session_key)
    assert (first.is_here, first.login.browser, second.login.address) == (True, "Firefox on the desk", "127.0.0.1")
    assert second.last_seen_at.timestamp() == clock.now()


def test_a_login_that_is_ended_is_out_at_once(vera: User) -> None:
    here, there = entered(), entered()
    other = logins.of(vera, here.session.session_key)[1]
    here.post(f"/profile/logins/{other.login.pk}/end/")
    assert there.get("/pipes/").status_code == 302
    assert here.get("/pipes/").status_code == 200
    assert AuditEntry.objects.filter(verb="person.logout", actor="vera").count() == 1


def test_all_others_end_and_this_one_stays(vera: User) -> None:
    here, *others = entered(), entered(), entered()
    here.post("/profile/logins/end/")
    assert [client.get("/pipes/").status_code for client in others] == [302, 302]
    assert here.get("/pipes/").status_code == 200


def test_nobody_ends_the_login_of_another(vera: User) -> None:
    hers, ada = entered(), User.objects.get(username="ada")
    login = Login.objects.get(user=vera)
    with pytest.raises(NotFound):
        logins.end_one(ROOT, ada, login.pk)
    assert hers.get("/pipes/").status_code == 200


def test_logging_out_and_tidying_leave_no_rows(vera: User) -> None:
    client, lost = entered(), entered()
    client.post("/logout/")
    assert Login.objects.filter(user=vera).count() == 1
    Session.objects.filter(pk=lost.session.session_key).delete()
    logins.tidy()
    assert not Login.objects.filter(user=vera).exists()


def test_a_new_password_ends_other_logins_and_keeps_this_one(vera: User) -> None:
    here, there = entered(), entered()
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert here.post("/profile/password/", {**form, "old_password": "wrong"}).status_code == 422
    assert here.post("/profile/password/", {**form, "new_password1": "short", "new_password2": "short"}).status_code == 422
    assert here.post("/profile/password/", form).status_code == 302
    assert here.get("/pipes/").status_code == 200
    assert there.get("/pipes/").status_code == 302
    assert [seen.is_here for seen in logins.of(vera, here.session.session_key)] == [True]
    told = str(list(AuditEntry.objects.values()))
    assert PASSWORD not in told
    assert NEW not in told


def test_theme_and_time_zone_are_kept_and_used(vera: User) -> None:
    client = entered()
    client.post("/profile/look/", {"theme": "dark", "time_zone": "Asia/Shanghai"})
    page = client.get("/profile/").content.decode()
    assert '<html lang="en" data-theme="dark">' in page
    assert " CST" in page
    client.post("/profile/look/", {"theme": "dark", "time_zone": "Mars/Olympus"})
    assert "There is no time zone" in client.get("/profile/").content.decode()
    vera.refresh_from_db()
    assert vera.person.time_zone == "Asia/Shanghai"
    assert vera.person.role == Role.VIEWER


def test_an_invitation_sets_the_password_once(vera: User) -> None:
    user, path = people.invite(ROOT, "newcomer", Role.OPERATOR)
    assert not user.has_usable_password()
    client = Client()
    form_at = client.get(path).headers["Location"]
    assert path.rsplit("/", 2)[1] not in form_at, "the token leaves the address"
    assert client.post(form_at, {"new_password1": "short", "new_password2": "short"}).status_code == 200
    assert client.post(form_at, {"new_password1": PASSWORD, "new_password2": PASSWORD}).headers["Location"] == "/login/"
    entered("newcomer")
    assert "good no more" in Client().get(path, follow=True).content.decode()
    assert path not in str(list(AuditEntry.objects.values()))


def test_a_newer_link_for_somebody_without_password_replaces_nothing_but_a_used_one_is_dead(vera: User) -> None:
    first, second = people.new_link(ROOT, vera), people.new_link(ROOT, vera)
    client = Client()
    form_at = client.get(second).headers["Location"]
    client.post(form_at, {"new_password1": NEW, "new_password2": NEW})
    assert "good no more" in Client().get(first, follow=True).content.decode()
