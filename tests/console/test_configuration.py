"""Configuration, keys and enrolment in the browser: plan before apply, stale edits refused, secrets shown once, roles respected."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from apps.pipes import enrolment
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.keys import authenticate
from apps.pipes.models import Agent, ApiKey, Enrolment, Pipe, Receiver, Revision
from tests.console.conftest import Fleet

YAML = """
receivers:
  lab: {driver: http, api_keys: []}
views:
  lab: {driver: fs, api_keys: []}
pipes:
  lab: {receiver: lab, views: [lab], session_timeout_seconds: 45}
"""


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    return client


def applied(admin: Client, text: str, base: int) -> object:
    return admin.post("/configuration/", {"text": text, "base": base, "step": "apply", "message": "first try"})


def test_the_plan_is_shown_and_nothing_changes(admin: Client) -> None:
    html = admin.post("/configuration/", {"text": YAML, "base": 0, "step": "check"}).content.decode()
    assert "3 create" in html
    assert not Pipe.objects.exists()


def test_applying_makes_one_revision_with_author_and_reason(admin: Client) -> None:
    applied(admin, YAML, 0)
    revision = Revision.objects.get()
    assert (revision.author, revision.message) == ("chief", "first try")
    assert Pipe.objects.get(slug="lab").session_timeout_seconds == 45
    html = admin.get(f"/changes/{revision.number}/").content.decode()
    assert "3 create" in html


def test_faults_name_the_place_and_nothing_is_applied(admin: Client) -> None:
    response = admin.post("/configuration/", {"text": YAML.replace("receiver: lab", "receiver: other"), "base": 0, "step": "apply"})
    assert response.status_code == 422
    assert "pipes.lab" in response.content.decode()
    assert not Pipe.objects.exists()


def test_an_edit_of_an_old_revision_is_refused_and_keeps_the_text(admin: Client) -> None:
    applied(admin, YAML, 0)
    response = applied(admin, YAML.replace("45", "50"), 0)
    assert response.status_code == 409  # type: ignore[attr-defined]  # a response of the test client
    assert "session_timeout_seconds: 50" in response.content.decode()  # type: ignore[attr-defined]  # likewise
    assert Pipe.objects.get(slug="lab").session_timeout_seconds == 45


def test_an_older_revision_is_restored_as_a_new_one(admin: Client) -> None:
    applied(admin, YAML, 0)
    first = service.latest_number()
    applied(admin, YAML.replace("45", "50"), first)
    admin.post(f"/changes/{first}/restore/", {"base": service.latest_number()})
    assert Pipe.objects.get(slug="lab").session_timeout_seconds == 45
    assert Revision.objects.count() == 3


def test_the_export_is_yaml_without_secrets(admin: Client, fleet: Fleet) -> None:
    response = admin.get("/configuration/export/")
    assert "fustor.yaml" in response["Content-Disposition"]
    assert "archive-pipe" in response.content.decode()


def test_a_key_is_shown_once_and_works_with_its_scope(admin: Client, fleet: Fleet) -> None:
    response = admin.post("/keys/new/", {"kind": "query", "name": "portal", "views": [fleet.view.pk]})
    secret = re.search(r'data-text="([^"]+)"', response.content.decode())
    assert secret is not None
    assert response["Cache-Control"] == "no-store"
    assert secret[1] not in admin.get("/keys/").content.decode()
    principal = authenticate(secret[1], "127.0.0.1")
    assert list(principal.readable_views()) == [fleet.view]


def test_a_key_without_a_scope_is_refused_at_the_field(admin: Client, fleet: Fleet) -> None:
    response = admin.post("/keys/new/", {"kind": "receiver", "name": "nothing"})
    assert response.status_code == 422
    assert "field-error" in response.content.decode() or 'role="alert"' in response.content.decode()


def test_a_revoked_key_is_listed_as_revoked(admin: Client, fleet: Fleet) -> None:
    key = ApiKey.objects.get()
    admin.post(reverse("revoke_key", args=[key.ref]))
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert str(key) in admin.get("/keys/?state=revoked").content.decode()


def test_a_token_gives_the_command_for_the_host(admin: Client, fleet: Fleet) -> None:
    answer = admin.post("/agents/enrol/", {"name": "rack 4", "max_uses": 2, "valid_seconds": 3600, "pipe": fleet.pipe.pk})
    assert "fustor-agent run --server http://testserver --token fke" in answer.content.decode()


def test_a_waiting_host_is_approved(admin: Client, fleet: Fleet) -> None:
    token, _secret = enrolment.make_token(Actor("chief"), enrolment.Terms(pipe=fleet.pipe))
    wish = enrolment.ask(token, enrolment.Ask("new-host", "f" * 16, "c" * 32, hostname="new.example"))
    assert "new.example" in admin.get("/agents/pending/").content.decode()
    admin.post(reverse("decide_enrolment", args=[wish.pk]), {"decision": "approve"})
    assert Enrolment.objects.get(pk=wish.pk).state == Enrolment.State.APPROVED
    assert Agent.objects.filter(slug="new-host").exists()


def test_the_audit_log_tells_who_changed_what(admin: Client) -> None:
    applied(admin, YAML, 0)
    html = admin.get("/audit/?q=pipes.lab").content.decode()
    assert "configuration.create" in html
    assert "chief" in html
    assert "configuration.create" not in admin.get("/audit/?outcome=denied").content.decode()


def test_a_viewer_configures_nothing_and_makes_no_key(fleet: Fleet, reader: Client) -> None:
    for url in ("/configuration/", "/configuration/export/", "/keys/new/", "/agents/enrol/", "/agents/pending/", "/audit/"):
        assert reader.get(url).status_code == 403, url
    assert reader.post("/configuration/", {"text": YAML, "step": "apply"}).status_code == 403
    assert Receiver.objects.count() == 1
    assert reader.get("/changes/").status_code == 200
