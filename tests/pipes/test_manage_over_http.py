"""The management API and the agents' own routes over HTTP, against a real server."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from apps.pipes.config import service
from apps.pipes.config.document import Document, ViewDoc
from apps.pipes.keys import create_key
from apps.pipes.models import ApiKey
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox


@pytest.fixture
def admin(server: RunningServer, world: World) -> Iterator[httpx.Client]:
    _, secret = create_key("management", scopes=["admin"])
    with httpx.Client(base_url=f"{server.url}/api/v1/manage", headers={"X-API-Key": secret}, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"n{uuid.uuid4().hex[:8]}"


def test_a_file_is_planned_imported_exported_and_restored(admin: httpx.Client, name: str) -> None:
    text = f"receivers: {{{name}: {{}}}}\nviews: {{{name}: {{}}}}\npipes: {{{name}: {{receiver: {name}, views: [{name}]}}}}"
    body = {"files": [{"name": "a.yaml", "content": text}], "message": "first"}
    planned = admin.post("/configuration/plan", json=body).json()
    assert {(step["kind"], step["action"]) for step in planned["steps"]} == {
        (kind, "create") for kind in ("receivers", "views", "pipes")
    }
    assert planned["revision"] is None
    before = admin.get("/configuration").json()["revision"]
    imported = admin.post("/configuration/import", json={**body, "expected": before})
    assert imported.status_code == 200
    revision = imported.json()["revision"]
    assert revision > before
    stale = admin.patch(f"/objects/pipes/{name}", json={"fields": {"disabled": True}, "expected": before})
    assert (stale.status_code, stale.json()["code"], stale.json()["newest"]) == (409, "stale_revision", revision)
    changed = admin.patch(f"/objects/pipes/{name}", json={"fields": {"disabled": True}, "expected": revision})
    assert changed.json()["steps"][0]["changes"] == [{"field": "disabled", "before": False, "after": True}]
    assert f"  {name}:" in admin.get("/configuration/export").text
    difference = admin.get(f"/revisions/{changed.json()['revision']}/diff").json()
    assert difference["steps"][0]["ident"] == name
    assert admin.post(f"/revisions/{revision}/restore", json={}).status_code == 200
    assert admin.get(f"/objects/pipes/{name}").json()["fields"]["disabled"] is False
    for kind in ("pipes", "views", "receivers"):
        assert admin.delete(f"/objects/{kind}/{name}", params={"message": "clean up"}).status_code == 200
    assert admin.get(f"/objects/pipes/{name}").status_code == 404


def test_a_faulty_file_is_422_with_every_fault(admin: httpx.Client, name: str) -> None:
    text = f"pipes: {{{name}: {{receiver: nowhere, views: [nothing]}}}}\nviews: {{{name}: {{driver: tape}}}}"
    answer = admin.post("/configuration/import", json={"files": [{"content": text}]})
    assert answer.status_code == 422
    assert {fault["where"] for fault in answer.json()["faults"]} == {
        f"pipes.{name}.receiver",
        f"pipes.{name}.views",
        f"views.{name}.driver",
    }


def test_the_servers_environment_is_not_for_whoever_posts_a_text(admin: httpx.Client) -> None:
    answer = admin.post("/configuration/plan", json={"files": [{"content": "views: {v: {name: '${PATH}'}}"}]})
    assert answer.status_code == 422
    assert "PATH is not set" in answer.json()["detail"]


def test_a_key_is_issued_rotated_and_revoked(admin: httpx.Client, world: World) -> None:
    made = admin.post("/keys", json={"kind": "query", "views": [world.view.slug], "name": "portal"})
    assert made.status_code == 201
    secret, ref = made.json()["secret"], made.json()["ref"]
    assert secret not in admin.get(f"/keys/{ref}").text
    stats = f"{admin.base_url.copy_with(path='/api/v1/views')}/{world.view.slug}/stats"
    assert httpx.get(stats, headers={"X-API-Key": secret}, timeout=PATIENCE_SECONDS).status_code in {200, 503}
    rotated = admin.post(f"/keys/{ref}/rotate", json={"overlap_seconds": 0}).json()
    assert admin.delete(f"/keys/{rotated['ref']}").status_code == 204
    assert ApiKey.objects.get(ref=rotated["ref"]).revoked_because == "revoked"


def test_nobody_gives_away_what_they_do_not_hold(server: RunningServer, world: World) -> None:
    _, secret = create_key("management", scopes=["keys"])
    url, headers = f"{server.url}/api/v1/manage", {"X-API-Key": secret}
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as keeper:
        assert keeper.post("/keys", json={"kind": "management", "scopes": ["admin"]}).status_code == 403
        assert keeper.post("/keys", json={"kind": "management", "scopes": ["keys"]}).status_code == 201


def test_s020_adding_a_view_leaves_the_sessions_of_other_pipes_alone(admin: httpx.Client, world: World, name: str) -> None:
    client = world.client()
    assert client.S().status_code == 200
    text = f"views: {{{name}: {{}}}}\npipes: {{{name}: {{receiver: {world.receiver.slug}, views: [{name}]}}}}"
    assert admin.post("/configuration/import", json={"files": [{"content": text}]}).status_code == 200
    assert client.HB().status_code == 200
    assert client.HB().json()["role"] == "leader"


def test_a_host_enrols_fetches_its_configuration_and_reports(admin: httpx.Client, world: World, name: str) -> None:
    token = admin.post("/enrolment/tokens", json={"pipe": world.pipe.slug}).json()["secret"]
    url = admin.base_url.copy_with(path="/api/v1/pipe/agents")
    agents = httpx.Client(base_url=url, headers={"X-API-Key": token}, timeout=PATIENCE_SECONDS)
    claim = uuid.uuid4().hex
    asked = agents.post("/enrol", json={"agent_id": name, "fingerprint": "f" * 32, "claim": claim, "hostname": "h"}).json()
    assert asked["state"] == "pending"
    waiting = admin.get("/enrolment/requests", params={"state": "pending"}).json()
    assert asked["request_id"] in {request["id"] for request in waiting}
    assert admin.post(f"/enrolment/requests/{asked['request_id']}/approve").status_code == 200
    key = agents.post(f"/enrol/{asked['request_id']}", json={"claim": claim}).json()["key"]
    assert agents.get("/self/config").status_code == 401, "a token enrols and nothing else"
    agents.headers["X-API-Key"] = key
    wanted = agents.get("/self/config").json()
    assert wanted["config"]["agent_id"] == name
    assert agents.post("/self/report", json={"revision": wanted["revision"], "error": ""}).json() == {"status": "ok"}
    assert admin.get(f"/agents/{name}").json()["drifted"] is False
    agents.close()


def test_the_audit_log_tells_it_and_csv_is_safe(admin: httpx.Client, name: str) -> None:
    author = service.Author("=cmd()", "formula")
    service.change(service.Wanted(Document(views={name: ViewDoc()})), author)
    entries = admin.get("/audit", params={"target": f"views.{name}"}).json()
    assert [(entry["actor"], entry["verb"]) for entry in entries] == [("=cmd()", "configuration.create")]
    exported = admin.get("/audit/export", params={"target": f"views.{name}"}).text
    assert "'=cmd()" in exported
    assert ",=cmd()" not in exported
