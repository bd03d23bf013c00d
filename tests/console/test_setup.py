"""Set-up: the steps in order, resumed where they were left, skipped, refused to who may not, and noticed when the host arrives."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.pipes import enrolment, people
from apps.pipes.audit import Actor
from apps.pipes.models import EnrolmentToken, Pipe, Receiver, Revision, Role
from apps.views.models import View
from tests.console.conftest import build_fleet

ROOT = Actor("root")
PASSWORD = "correct-horse-battery"


def client_of(role: Role) -> Client:
    client = Client()
    client.force_login(people.create(ROOT, f"a-{role}", PASSWORD, role))
    return client


@pytest.fixture
def admin(db: None) -> Client:
    return client_of(Role.ADMIN)


def make_all(client: Client) -> None:
    client.post("/setup/", {"step": "receiver", "ident": "http"})
    client.post("/setup/", {"step": "view", "ident": "files"})
    client.post("/setup/", {"step": "pipe", "ident": "files", "receiver": Receiver.objects.get().pk, "view": View.objects.get().pk})


def token_in(page: str) -> str:
    found = re.search(r"--token (fke_\S+) ", page)
    assert found
    return found.group(1)


def ask(secret: str) -> enrolment.Enrolment:
    token = enrolment.token_of(secret, "192.0.2.9")
    return enrolment.ask(token, enrolment.Ask("host-1", "aa:bb:cc:dd", "c" * 40, "host-1.lab", "1.0", "192.0.2.9"))


def test_an_admin_of_an_empty_installation_is_led_here(admin: Client) -> None:
    assert admin.get("/").headers["Location"] == "/setup/"
    make_all(admin)
    assert admin.get("/").status_code == 200


def test_it_can_be_skipped_and_found_again(admin: Client) -> None:
    assert admin.post("/setup/skip/").headers["Location"] == "/"
    page = admin.get("/")
    assert page.status_code == 200
    assert 'href="/setup/"' in page.content.decode()
    assert admin.get("/setup/").status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_others_are_neither_led_here_nor_let_in(db: None, role: Role) -> None:
    client = client_of(role)
    assert client.get("/").status_code == 200
    assert client.get("/setup/").status_code == 403
    assert client.post("/setup/", {"step": "receiver", "ident": "http"}).status_code == 403
    assert not Receiver.objects.exists()


def test_each_step_makes_one_object_in_a_revision_of_its_own(admin: Client) -> None:
    make_all(admin)
    pipe = Pipe.objects.get()
    assert (pipe.receiver.slug, [view.slug for view in pipe.views.all()]) == ("http", ["files"])
    assert Revision.objects.filter(author="a-admin").count() == 3
    assert "Make the command" in admin.get("/setup/").content.decode()


def test_a_step_resumes_where_somebody_else_left_it(admin: Client) -> None:
    Receiver.objects.create(slug="theirs")
    page = admin.get("/setup/").content.decode()
    assert "theirs" in page
    assert 'name="step" value="view"' in page
    admin.post("/setup/", {"step": "receiver", "ident": "again"})
    assert Receiver.objects.count() == 1, "a step that is done is not done again"


def test_a_name_that_cannot_be_is_told_at_its_field(admin: Client) -> None:
    answer = admin.post("/setup/", {"step": "receiver", "ident": "not a name"})
    assert answer.status_code == 422
    assert 'class="field-error"' in answer.content.decode()


def test_the_command_is_shown_once_and_the_host_is_noticed(admin: Client) -> None:
    make_all(admin)
    shown = admin.post("/setup/", {"step": "agent", "auto_approve": "on"})
    assert shown.headers["Cache-Control"] == "no-store"
    secret = token_in(shown.content.decode())
    assert secret not in admin.get("/setup/").content.decode()
    assert "Waiting for the host" in admin.get("/setup/host/").content.decode()
    ask(secret)
    assert "is approved" in admin.get("/setup/host/").content.decode()
    assert EnrolmentToken.objects.get().pipe == Pipe.objects.get()


def test_a_host_that_waits_is_approved_or_turned_down_here(admin: Client) -> None:
    make_all(admin)
    wish = ask(token_in(admin.post("/setup/", {"step": "agent"}).content.decode()))
    part = admin.get("/setup/host/").content.decode()
    assert "waits for your approval" in part
    assert "aa:bb:cc:dd" in part
    admin.post("/setup/decide/", {"decision": "approve"})
    wish.refresh_from_db()
    assert wish.state == "approved"


def test_a_host_that_was_turned_down_is_told_and_another_command_can_be_made(admin: Client) -> None:
    make_all(admin)
    ask(token_in(admin.post("/setup/", {"step": "agent"}).content.decode()))
    admin.post("/setup/decide/", {"decision": "reject"})
    page = admin.get("/setup/").content.decode()
    assert "was turned down" in page
    assert "Make the command" in page


def test_a_live_view_ends_it_and_nothing_asks_any_more(admin: Client) -> None:
    build_fleet()
    page = admin.get("/setup/").content.decode()
    assert "the view is live" in page
    assert "hx-trigger" not in page
    assert User.objects.count() == 1
