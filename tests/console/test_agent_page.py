"""The page of one agent: how it is, what it should run and says it runs, what its sessions report, and the orders on it."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.pipes import agents, people, services
from apps.pipes.audit import Actor
from apps.pipes.config.service import Author
from apps.pipes.models import Agent, AuditEntry
from apps.runtime import clock
from apps.sessions.models import Command, Session
from apps.sessions.services import commands
from apps.views.models import View
from tests.console.conftest import Fleet

ANNA = Author("anna")
HOST = "archive-host-1"
REPORT = {
    "queue": 1234,
    "rss_bytes": 90 * 1024 * 1024,
    "last_error": "no answer to a batch",
    "source": {"watches": 800, "watch_limit": 900, "coverage": 0.5},
    "scans": [{"kind": "audit", "found": 81_234, "per_second": 2_345.6, "directory": "/runs/now"}],
}


@pytest.fixture
def admin(fleet: Fleet, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    services.put_object("sources", "nas", {"uri": "/mnt/uploads"}, ANNA)
    services.put_object("senders", "here", {}, ANNA)
    pipe = {"source": "nas", "sender": "here", "pipe": fleet.pipe.slug}
    services.put_object("agents", HOST, {"labels": {"site": "north"}, "pipes": {"uploads": pipe}}, ANNA)
    Session.objects.filter(agent_name=HOST).update(protocol=3, agent_status=REPORT)
    return client


def test_it_shows_health_drift_and_what_is_configured(admin: Client) -> None:
    agent = Agent.objects.get(slug=HOST)
    Agent.objects.filter(pk=agent.pk).update(enrolled_at=clock.now_datetime())
    agent.refresh_from_db()
    agents.report(agent, agent.desired_revision - 1, "senders.here: variable FUSTOR_KEY is not set")
    page = admin.get(f"/agents/{HOST}/").content.decode()
    for words in (
        "drifted",
        "FUSTOR_KEY is not set",
        "site: north",
        "/mnt/uploads",
        "1,234",
        "of 900",
        "partly watched",
        "90.0 MiB",
        "audit: 81,234 found, 2,345/s",
        "/runs/now",
    ):
        assert words in page, words
    assert f"/configuration/agents/{HOST}/" in page


def test_a_running_scan_stands_beside_its_session(admin: Client, fleet: Fleet) -> None:
    for url in (f"/pipes/{fleet.pipe.slug}/", f"/sessions/{fleet.leader.number}/"):
        page = admin.get(url).content.decode()
        assert "audit: 81,234 found, 2,345/s" in page, url
        assert "/runs/now" in page, url


@pytest.mark.parametrize("scans", ["<b>", [1], [{"found": "x", "directory": 3, "per_second": None}]])
def test_what_an_agent_says_in_wrong_types_is_not_shown(admin: Client, scans: object) -> None:
    status = {"queue": "<b>", "source": [1], "rss_bytes": {}, "last_error": ["x"], "scans": scans}
    Session.objects.update(agent_status=status)
    assert admin.get(f"/agents/{HOST}/").status_code == 200


def test_an_agent_that_nobody_configured_can_be(admin: Client) -> None:
    Agent.objects.create(slug="stray", last_seen_at=clock.now_datetime())
    page = admin.get("/agents/stray/").content.decode()
    assert "/configuration/new/agents/?id=stray" in page
    assert "Not connected" in page
    assert admin.get("/agents/none/").status_code == 404


def test_reload_and_check_reach_the_agent(admin: Client, fleet: Fleet) -> None:
    admin.post(f"/agents/{HOST}/reload/")
    page = admin.post(f"/agents/{HOST}/check/", headers={"HX-Request": "true"}).content.decode()
    assert {command.type for command in Command.objects.all()} == {"reload_config", "check_config"}
    assert Command.objects.get(type="check_config").parameters["config"]["sources"]["nas"]["uri"] == "/mnt/uploads"
    assert f"opens pipe {fleet.pipe.slug}" in page


def test_reloading_an_agent_that_is_away_says_so(admin: Client) -> None:
    Session.objects.update(ended_at=clock.now_datetime())
    assert "is not connected" in admin.post(f"/agents/{HOST}/reload/", follow=True).content.decode()


def opt_in() -> None:
    Session.objects.filter(agent_name=HOST).update(client_info={"allow_commands": ["upgrade"]})


def test_s143_an_upgrade_is_offered_only_where_the_host_opted_in(admin: Client) -> None:
    assert "ask-upgrade" not in admin.get(f"/agents/{HOST}/").content.decode()
    refused = admin.post(f"/agents/{HOST}/upgrade/", follow=True).content.decode()
    assert "has not opted in to upgrades" in refused
    assert not Command.objects.exists()
    opt_in()
    assert "ask-upgrade" in admin.get(f"/agents/{HOST}/").content.decode()


def test_s143_an_upgrade_is_ordered_once_put_on_record_and_its_end_shown(admin: Client, fleet: Fleet) -> None:
    opt_in()
    admin.post(f"/agents/{HOST}/upgrade/")
    command = Command.objects.get()
    assert (command.type, command.parameters, command.actor) == ("upgrade", {}, "chief")
    assert AuditEntry.objects.filter(verb="agent.upgrade", target=f"agents.{HOST}", actor="chief").count() == 1
    assert "is under way" in admin.post(f"/agents/{HOST}/upgrade/", follow=True).content.decode()
    commands.acknowledge(fleet.leader, [(str(command.pk), "FAILED", {}, "exit code 3. Its last lines:\nno <space> left")])
    page = admin.get(f"/agents/{HOST}/").content.decode()
    assert "Failed" in page
    assert "no &lt;space&gt; left" in page
    admin.post(f"/agents/{HOST}/upgrade/")
    assert Command.objects.count() == 2


def test_programs_order_an_upgrade_and_ask_how_it_went(admin: Client, fleet: Fleet) -> None:
    url = f"/api/v1/manage/agents/{HOST}/upgrade"
    assert admin.get(url).status_code == 404
    refused = admin.post(url)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_opted_in")
    opt_in()
    ordered = admin.post(url).json()
    commands.acknowledge(fleet.leader, [(ordered["command"], "DONE", {"exit_code": 0, "output": "upgraded"}, "")])
    told = admin.get(url).json()
    assert (told["state"], told["output"], told["actor"]) == ("DONE", "upgraded", "chief")
    Session.objects.update(ended_at=clock.now_datetime())
    assert admin.post(url).status_code == 409


def test_s143_who_may_not_configure_orders_no_upgrade_and_reads_no_output(admin: Client, fleet: Fleet, client: Client) -> None:
    opt_in()
    client.force_login(people.create(Actor("root"), "op", "correct-horse-battery", "operator"))
    now = clock.now_datetime()
    told = "the index is https://name:secret@host"
    Command.objects.create(
        session=fleet.leader, type="upgrade", state="FAILED", error=told, created_at=now, finished_at=now, deadline=now
    )
    page = client.get(f"/agents/{HOST}/").content.decode()
    assert "ask-upgrade" not in page
    assert "Failed" in page
    assert "secret" not in page
    assert client.post(f"/agents/{HOST}/upgrade/").status_code == 403
    assert client.post(f"/api/v1/manage/agents/{HOST}/upgrade").status_code == 403
    assert Command.objects.count() == 1


def test_a_viewer_looks_and_orders_nothing(admin: Client, reader: Client) -> None:
    page = reader.get(f"/agents/{HOST}/").content.decode()
    assert "Reload" not in page
    assert reader.post(f"/agents/{HOST}/reload/").status_code == 403
    assert reader.post(f"/agents/{HOST}/check/").status_code == 403


def test_a_restricted_viewer_sees_its_own_pipes_of_the_agent_only(admin: Client, fleet: Fleet, client: Client) -> None:
    services.put_object("receivers", "secret", {}, ANNA)
    services.put_object("views", "secret", {}, ANNA)
    services.put_object("pipes", "secret", {"receiver": "secret", "views": ["secret"]}, ANNA)
    services.put_object("sources", "hidden", {"uri": "/mnt/hidden"}, ANNA)
    both = {
        "uploads": {"source": "nas", "sender": "here", "pipe": fleet.pipe.slug},
        "other": {"source": "hidden", "sender": "here", "pipe": "secret"},
    }
    services.edit_object("agents", HOST, {"pipes": both}, ANNA)
    guest = people.create(Actor("root"), "guest", "correct-horse-battery", "viewer", [fleet.view])
    client.force_login(guest)
    page = client.get(f"/agents/{HOST}/").content.decode()
    assert "/mnt/uploads" in page
    assert "/mnt/hidden" not in page
    stranger = people.create(Actor("root"), "stranger", "correct-horse-battery", "viewer", [View.objects.get(slug="secret")])
    client.force_login(stranger)
    assert "/mnt/uploads" not in client.get(f"/agents/{HOST}/").content.decode()


def test_more_pipes_cost_no_more_queries(admin: Client, fleet: Fleet) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(f"/agents/{HOST}/").status_code == 200
        return len(captured)

    few = queries()
    pipes = {f"p{number}": {"source": "nas", "sender": "here", "pipe": fleet.pipe.slug} for number in range(20)}
    services.edit_object("agents", HOST, {"pipes": pipes}, ANNA)
    assert queries() == few
