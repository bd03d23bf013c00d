"""Second factors: codes of an app, recovery codes, what the login asks, and what an admin must have."""

import time
from collections.abc import Iterator

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from apps.pipes import factors, people
from apps.pipes.audit import Actor
from apps.pipes.confirmation import PROVEN_AT
from apps.pipes.models import AuditEntry, Role
from apps.runtime import clock

ROOT = Actor("root")
PASSWORD = "correct-horse-battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def one_moment() -> Iterator[None]:
    """Codes are of half minutes: none ends while a test runs."""
    with time_machine.travel(time.time(), tick=False):
        yield


def code_of(secret: str, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


@pytest.fixture
def ada(small: None) -> User:
    return people.create(ROOT, "ada", PASSWORD, Role.ADMIN)


@pytest.fixture
def codes(ada: User) -> list[str]:
    """Ada has an app; her recovery codes."""
    return factors.add_app(ROOT, ada, SECRET, code_of(SECRET, -1))


def enter(client: Client, password: str = PASSWORD) -> str:
    answer = client.post("/login/?next=/pipes/", {"username": "ada", "password": password, "next": "/pipes/"})
    return answer.headers.get("Location", str(answer.status_code))


def test_the_password_alone_no_longer_logs_in(codes: list[str]) -> None:
    client = Client()
    assert enter(client) == "/login/second/"
    assert client.get("/pipes/").status_code == 302
    assert client.get("/api/v1/views").status_code == 401
    done = client.post("/login/second/", {"code": code_of(SECRET)})
    assert done.headers["Location"] == "/pipes/"
    assert client.get("/pipes/").status_code == 200


def test_a_code_is_good_once(codes: list[str]) -> None:
    code = code_of(SECRET)
    for client, expected in ((Client(), 302), (Client(), 200)):
        enter(client)
        assert client.post("/login/second/", {"code": code}).status_code == expected


def test_a_recovery_code_is_good_once(ada: User, codes: list[str]) -> None:
    assert len(codes) == 10
    for client, expected in ((Client(), 302), (Client(), 200)):
        enter(client)
        assert client.post("/login/second/", {"code": codes[3]}).status_code == expected
    assert factors.recovery_codes_left(ada) == 9


def test_wrong_codes_lock_out_as_wrong_passwords_do(codes: list[str]) -> None:
    client = Client()
    enter(client)
    answers = [client.post("/login/second/", {"code": "000000"}).status_code for _ in range(11)]
    assert (answers[0], answers[-1]) == (200, 429)
    assert client.post("/login/second/", {"code": code_of(SECRET)}).status_code == 429
    assert AuditEntry.objects.filter(actor="ada", verb="login", outcome="denied").exists()


def test_the_second_step_without_the_first_leads_back(codes: list[str]) -> None:
    assert Client().get("/login/second/").headers["Location"] == "/login/"
    assert Client().post("/login/second/", {"code": code_of(SECRET)}).headers["Location"] == "/login/"


def test_a_password_that_changed_meanwhile_ends_the_first_step(ada: User, codes: list[str]) -> None:
    client = Client()
    enter(client)
    people.set_password(ROOT, ada, "quite-another-password")
    assert client.post("/login/second/", {"code": code_of(SECRET)}).headers["Location"] == "/login/"


def test_secrets_lie_encrypted(codes: list[str]) -> None:
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert SECRET not in stored
    assert not any(code in stored for code in codes)
    assert SECRET not in str(list(AuditEntry.objects.values()))


def test_a_code_confirms_too(ada: User, codes: list[str]) -> None:
    client = Client()
    client.force_login(ada)
    session = client.session
    session[PROVEN_AT] = clock.now() - 3600
    session.save()
    assert "confirm_code" in client.get("/keys/new/").content.decode()
    back = client.post("/keys/new/", {"confirm_get": "1", "confirm_code": code_of(SECRET)})
    assert back.headers["Location"] == "/keys/new/"


def test_nothing_of_a_refused_form_is_kept_by_the_lock_out(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    session = client.session
    session[PROVEN_AT] = clock.now() - 3600
    session.save()
    client.post("/keys/new/", {"confirm_password": "nearly-right", "name": "secret-of-the-form"})
    kept = str(list(AccessAttempt.objects.values()))
    assert "nearly-right" not in kept
    assert "secret-of-the-form" not in kept


def test_an_app_is_taken_only_with_a_right_code_over_the_pages(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    page = client.get("/profile/app/")
    secret = client.session["new_app"]
    assert page.headers["Cache-Control"] == "no-store"
    assert "data:image/svg+xml;base64," in page.content.decode()
    assert client.post("/profile/app/", {"code": "123"}).status_code == 422
    assert not factors.has_factor(ada)
    shown = client.post("/profile/app/", {"code": code_of(secret)}).content.decode()
    assert shown.count("<code>") == 10
    assert factors.has_factor(ada)


def test_the_recovery_codes_go_with_the_last_factor(ada: User, codes: list[str]) -> None:
    client = Client()
    client.force_login(ada)
    factor = factors.factors_of(ada)[0]
    client.post(f"/profile/factors/{factor.pk}/remove/")
    assert not factors.kinds(ada)
    assert AuditEntry.objects.filter(verb="factor.remove", target="people.ada").count() == 1


def test_nobody_removes_the_factor_of_another(ada: User, codes: list[str]) -> None:
    eve = people.create(ROOT, "eve", PASSWORD, Role.ADMIN)
    client = Client()
    client.force_login(eve)
    client.post(f"/profile/factors/{factors.factors_of(ada)[0].pk}/remove/")
    assert factors.has_factor(ada)


def test_a_lost_phone_an_admin_resets(ada: User, codes: list[str]) -> None:
    assert factors.reset(ROOT, ada) == 1
    assert enter(Client()) == "/pipes/"


def test_where_admins_need_a_factor_they_may_only_make_one(ada: User, settings: Settings) -> None:
    settings.FUSTOR_ADMINS_NEED_SECOND_FACTOR = True
    client = Client()
    client.force_login(ada)
    assert client.get("/keys/").headers["Location"] == "/profile/"
    assert client.get("/api/v1/manage/configuration").status_code == 403
    assert client.get("/profile/").status_code == 200
    client.get("/profile/app/")
    client.post("/profile/app/", {"code": code_of(client.session["new_app"])})
    assert client.get("/keys/").status_code == 200
    viewer = people.create(ROOT, "vera", PASSWORD, Role.VIEWER)
    other = Client()
    other.force_login(viewer)
    assert other.get("/pipes/").status_code == 200
