"""Drafts, rollouts and settings over HTTP against a real server: what the console does, a program can do."""

import uuid
from collections.abc import Iterator

import httpx
import pytest
from django.utils import timezone

from apps.pipes.keys import create_key
from apps.pipes.models import Agent, KeyKind
from tests.blackbox.own_server import server
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World

__all__ = ["server"]  # a fixture
pytestmark = pytest.mark.blackbox


@pytest.fixture
def name() -> str:
    return f"n{uuid.uuid4().hex[:8]}"


@pytest.fixture
def admin(server: RunningServer, world: World) -> Iterator[httpx.Client]:
    _, secret = create_key("management", scopes=["admin"])
    with httpx.Client(base_url=f"{server.url}/api/v1/manage", headers={"X-API-Key": secret}, timeout=30) as client:
        yield client


def wanted_by(server: RunningServer, agent: Agent, name: str) -> str:
    """The path that the agent's own configuration says."""
    _, secret = create_key(KeyKind.AGENT, agent=agent)
    answer = httpx.get(f"{server.url}/api/v1/pipe/agents/self/config", headers={"X-API-Key": secret}, timeout=30)
    uri: str = answer.json()["config"]["sources"][name]["uri"]
    return uri


def test_a_draft_is_reviewed_and_rolled_out_halted_and_rolled_back(admin: httpx.Client, server: RunningServer, name: str) -> None:
    first, second = f"{name}-a", f"{name}-b"
    pipes = f"{{home: {{source: {name}, sender: {name}}}}}"
    agents = "\n".join(f"  {agent}: {{labels: {{{name}: '{agent}'}}, pipes: {pipes}}}" for agent in (first, second))
    text = f"sources: {{{name}: {{uri: /old}}}}\nsenders: {{{name}: {{}}}}\nagents:\n{agents}"
    assert admin.post("/configuration/import", json={"files": [{"content": text}]}).status_code == 200
    Agent.objects.filter(slug__in=(first, second)).update(enrolled_at=timezone.now())
    hosts = {agent.slug: agent for agent in Agent.objects.filter(slug__in=(first, second))}

    drafted = admin.put(f"/draft/objects/sources/{name}", json={"fields": {"uri": "/new"}})
    assert drafted.status_code == 200
    review = admin.get("/draft/review").json()
    assert [(step["ident"], step["action"]) for step in review["steps"]] == [(name, "update")]
    assert sorted(agent["agent"] for agent in review["effect"]["agents"]) == [first, second]
    assert admin.get("/drafts").json()[0]["base"] == drafted.json()["base"]
    wrong = admin.post("/draft/apply", json={"rollout": {"waves": ["north"]}})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "waves")

    applied = admin.post("/draft/apply", json={"message": "move", "rollout": {"waves": [f"{name}={first}"]}}).json()
    number = applied["revision"]
    assert admin.get("/draft").status_code == 404
    rollout = admin.get(f"/rollouts/{number}").json()
    assert (rollout["state"], rollout["waves"], rollout["counts"]) == (
        "running", [f"{name}={first}", "the rest"], {"sent": 1, "waiting": 1},
    )  # fmt: skip
    assert (wanted_by(server, hosts[first], name), wanted_by(server, hosts[second], name)) == ("/new", "/old")
    overtaking = admin.patch(f"/objects/sources/{name}", json={"fields": {"uri": "/newest"}})
    assert (overtaking.status_code, overtaking.json()["code"]) == (409, "rollout_open")

    assert admin.post(f"/rollouts/{number}/now").json()["wave"] == 2
    assert wanted_by(server, hosts[second], name) == "/new"
    back = admin.post(f"/rollouts/{number}/rollback", json={}).json()
    assert back["revision"] > number
    assert wanted_by(server, hosts[second], name) == "/old"
    late = admin.post(f"/rollouts/{number}/continue")
    assert (late.status_code, late.json()["code"]) == (409, "rollout_over")
    assert number in [item["revision"] for item in admin.get("/rollouts").json()]


def test_settings_are_read_and_changed_with_the_revision_that_was_seen(admin: httpx.Client) -> None:
    seen = admin.get("/settings").json()
    assert seen["otherwise"]["feed_days"] == 7
    assert "feed_days" in str(seen["schema"])
    changed = admin.put("/settings", json={"settings": {"feed_days": 6}, "expected": seen["revision"]}).json()
    assert changed["steps"][0]["changes"] == [{"field": "feed_days", "before": None, "after": 6}]
    assert admin.put("/settings", json={"settings": {}, "expected": seen["revision"]}).status_code == 409
    assert "settings:\n  feed_days: 6" in admin.get("/configuration/export").text
    refused = admin.put("/settings", json={"settings": {"feed_days": 0}})
    assert (refused.status_code, refused.json()["field"]) == (422, "settings.feed_days")
    admin.put("/settings", json={"settings": {}})
    assert admin.get("/settings").json()["settings"] == {}
