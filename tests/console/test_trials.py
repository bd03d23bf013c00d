"""Test before saving: the agent that would run it is asked, its findings are shown one by one, what nobody knows is unknown."""

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from apps.pipes import services
from apps.pipes.config.service import Author
from apps.pipes.keys import create_key
from apps.pipes.models import Agent, KeyKind, Pipe, Receiver, Source
from apps.sessions.models import Command, Session
from apps.sessions.services import commands
from tests.console.conftest import Fleet

ANNA = Author("anna")
FOUND = {
    "findings": [
        {"what": "agent id is archive-host-1", "good": True, "fix": "", "about": "agent"},
        {"what": "try: https://here answers, the key is good for pipe p", "good": True, "fix": "", "about": "key"},
        {"what": "try: the clocks differ by +7200.0 s", "good": False, "fix": "Run NTP here or there.", "about": "clock"},
        {"what": "try: /data is not there", "good": False, "fix": "Mount it.", "about": "path"},
    ]
}


@pytest.fixture
def admin(fleet: Fleet, client: Client) -> Client:
    """An admin; agent archive-host-1 is connected, host-9 is not."""
    client.force_login(get_user_model().objects.create_superuser("chief"))
    Session.objects.filter(pk=fleet.leader.pk).update(protocol=3)
    for agent in ("archive-host-1", "archive-host-2", "host-9"):
        services.put_object("agents", agent, {"labels": {"site": "north"}}, ANNA)
    services.put_object("sources", "nas", {"uri": "/data"}, ANNA)
    services.put_object("senders", "here", {}, ANNA)
    return client


def source(**changes: str) -> dict[str, str]:
    return {"id": "", "driver": "fs", "shown_driver": "fs", "uri": "/data", "trial_agent": "archive-host-1", **changes}


def tried(admin: Client, kind: str, data: dict[str, Any]) -> str:
    return admin.post(f"/trials/{kind}/", data, headers={"HX-Request": "true"}).content.decode()


def test_the_agent_is_asked_and_nothing_is_saved(admin: Client) -> None:
    page = tried(admin, "sources", source())
    command = Command.objects.get()
    assert command.type == "check_config"
    assert command.parameters["config"]["sources"]["try"]["uri"] == "/data"
    assert f"/trials/{command.pk}/" in page
    assert "as soon as its next heartbeat" in page
    assert Source.objects.count() == 1


def test_its_findings_stand_one_by_one_with_what_to_do(admin: Client, fleet: Fleet) -> None:
    tried(admin, "sources", source())
    command = Command.objects.get()
    commands.acknowledge(fleet.leader, [(str(command.pk), "DONE", FOUND, "")])
    page = admin.get(f"/trials/{command.pk}/").content.decode()
    assert "/data is not there" in page
    assert "Mount it." in page
    assert "the clocks differ by +7200.0 s" in page
    assert "The agent did not tell." in page
    assert "hx-get" not in page


def test_a_refusal_of_the_agent_is_shown_as_its_own_words(admin: Client, fleet: Fleet) -> None:
    tried(admin, "sources", source())
    command = Command.objects.get()
    commands.acknowledge(fleet.leader, [(str(command.pk), "FAILED", {}, "this agent does not carry out 'check_config'")])
    assert "does not carry out" in admin.get(f"/trials/{command.pk}/").content.decode()


def test_an_agent_that_is_not_connected_leaves_things_unknown(admin: Client) -> None:
    page = tried(admin, "sources", source(trial_agent="host-9"))
    assert "host-9 is not connected" in page
    assert "Only the agent can tell." in page
    assert not Command.objects.exists()


def test_an_agent_of_protocol_2_says_that_it_cannot(admin: Client) -> None:
    assert "speaks protocol 2" in tried(admin, "sources", source(trial_agent="archive-host-2"))


def test_what_is_wrong_in_the_form_is_said_before_the_agent_is_asked(admin: Client) -> None:
    assert "Not a whole number" in tried(admin, "sources", source(**{"driver_params.scan_processes": "many"}))
    assert "Expected int" in tried(admin, "sources", source(**{"driver_params.scan_processes": "0"}))
    assert not Command.objects.exists()


def test_a_key_that_opens_nothing_is_pointed_out(admin: Client, fleet: Fleet) -> None:
    data = {"agent": "host-9", "id": "home", "source": "nas", "sender": "here", "pipe": fleet.pipe.slug}
    assert "No key that host-9 is known to have opens pipe" in tried(admin, "agent-pipes", data)
    create_key(kind=KeyKind.AGENT, agent=Agent.objects.get(slug="host-9"))
    assert "Its own key opens pipe" in tried(admin, "agent-pipes", data)
    data["agent"] = "archive-host-1"
    assert "The receiver key that it uses opens pipe" in tried(admin, "agent-pipes", data)
    other = Pipe.objects.create(slug="other", receiver=Receiver.objects.get())
    assert "No key that archive-host-1" in tried(admin, "agent-pipes", data | {"pipe": other.slug})


def test_a_sender_is_tried_without_any_storage(admin: Client) -> None:
    page = tried(
        admin,
        "senders",
        {"driver": "http", "shown_driver": "http", "ident": "here", "uri": "https://here", "trial_agent": "archive-host-1"},
    )
    assert "Server and key" in page
    assert "Watches" not in page


def test_without_scripts_it_is_a_page_of_its_own(admin: Client) -> None:
    assert "Nothing is saved yet" in admin.post("/trials/sources/", source()).content.decode()
    assert admin.post("/trials/views/", {}).status_code == 404
    assert admin.post("/trials/sources/", source(trial_agent="")).status_code == 422


def test_only_who_configures_may_try(reader: Client) -> None:
    assert reader.post("/trials/sources/", source()).status_code == 403


def test_programs_try_and_reload_with_the_same_service(admin: Client, fleet: Fleet) -> None:
    def post(path: str, body: dict[str, Any] | None = None) -> Any:
        return admin.post(f"/api/v1/manage{path}", json.dumps(body or {}), content_type="application/json")

    answer = post("/trials", {"kind": "sources", "agent": "archive-host-1", "fields": {"uri": "/data"}}).json()
    assert answer["waits"] is True
    commands.acknowledge(fleet.leader, [(answer["trial"], "DONE", FOUND, "")])
    known = admin.get(f"/api/v1/manage/trials/{answer['trial']}").json()
    assert known["waits"] is False
    assert {"about": "path", "level": "bad", "words": "/data is not there", "fix": "Mount it."} in known["verdicts"]
    wrong = post(
        "/trials", {"kind": "sources", "agent": "archive-host-1", "fields": {"uri": "", "driver_params": {"scan_nice": 99}}}
    )
    assert {fault["where"] for fault in wrong.json()["faults"]} == {"sources.try.uri"}
    away = post("/trials", {"kind": "sources", "agent": "host-9", "fields": {"uri": "/data"}}).json()
    assert (away["trial"], away["waits"]) == (None, False)
    assert post("/trials", {"kind": "views", "agent": "host-9", "fields": {}}).json()["field"] == "kind"
    assert post("/agents/archive-host-1/reload").status_code == 200
    assert post("/agents/host-9/reload").status_code == 409
    assert post("/agents/none/check").status_code == 404
    assert Command.objects.filter(type="reload_config").count() == 1
