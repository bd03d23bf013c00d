"""Scenarios 134–144 against a real server: every route of the API, every kind of wrong key, and what the right one may do."""

import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from apps.pipes import services
from apps.pipes.audit import Actor
from apps.pipes.keys import create_key
from apps.pipes.models import ApiKey, AuditEntry
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox
# answers to anybody, on purpose
OPEN_ROUTES: frozenset[str] = frozenset()


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def routes(http: httpx.Client, world: World) -> list[tuple[str, str]]:
    """(method, path) of every route in the OpenAPI document, with ids filled in."""
    paths: dict[str, dict[str, Any]] = http.get("/api/v1/openapi.json").json()["paths"]
    found = [
        (method.upper(), _filled(path, world)) for path, methods in paths.items() if path not in OPEN_ROUTES for method in methods
    ]
    assert len(found) > 50
    return found


def _filled(path: str, world: World) -> str:
    known = {"view_id": world.view.slug, "pipe_id": world.pipe.slug, "kind": "pipes", "action": "pause"}

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        return known.get(name, "1" if name in {"number", "token_id"} else str(uuid.uuid4()))

    return re.sub(r"{(?:\w+:)?(\w+)}", fill, path)


def statuses(http: httpx.Client, every: list[tuple[str, str]], headers: dict[str, str]) -> dict[str, int]:
    return {f"{method} {path}": http.request(method, path, headers=headers).status_code for method, path in every}


def test_s134_every_route_without_a_key_is_401(http: httpx.Client, world: World) -> None:
    answers = statuses(http, routes(http, world), {})
    assert {route: status for route, status in answers.items() if status != 401} == {}


@pytest.mark.parametrize("headers", [{"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"Authorization": "Bearer wrong"}])
def test_s135_every_route_with_a_wrong_key_is_401(http: httpx.Client, world: World, headers: dict[str, str]) -> None:
    answers = statuses(http, routes(http, world), headers)
    assert {route: status for route, status in answers.items() if status != 401} == {}


def test_s135_every_route_with_a_revoked_key_is_401(http: httpx.Client, world: World) -> None:
    key, secret = create_key("management", scopes=["admin"])
    services.revoke_key(Actor("test"), key)
    answers = statuses(http, routes(http, world), {"X-API-Key": secret})
    assert {route: status for route, status in answers.items() if status != 401} == {}


@pytest.mark.parametrize("secret", ["k" * 8000, "schlüssel".encode(), b"\xff\xfe", "a b"])
def test_s135_strange_keys_are_401(http: httpx.Client, world: World, secret: str | bytes) -> None:
    raw = secret.encode() if isinstance(secret, str) else secret
    answer = http.get(f"/api/v1/views/{world.view.slug}/stats", headers=[(b"X-API-Key", raw)])
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_s135_a_key_in_the_query_string_counts_for_nothing(http: httpx.Client, world: World) -> None:
    url = f"/api/v1/views/{world.view.slug}/stats"
    assert http.get(url, params={"api_key": world.query_key, "X-API-Key": world.query_key}).status_code == 401
    assert http.get(url, params={"X-API-Key": world.query_key}, headers={"X-API-Key": "wrong"}).status_code == 401


def test_s137_a_push_key_reads_nothing_and_a_query_key_pushes_nothing(http: httpx.Client, world: World) -> None:
    every = routes(http, world)
    views = [route for route in every if route[1].startswith("/api/v1/views")]
    pipe = [route for route in every if route[1].startswith("/api/v1/pipe/") and "/enrol" not in route[1]]
    assert set(statuses(http, views, {"X-API-Key": world.key}).values()) == {403}
    assert set(statuses(http, pipe, {"X-API-Key": world.query_key}).values()) == {403}
    assert http.post("/api/v1/pipe/session", json={"task_id": "a:p"}, headers={"X-API-Key": world.query_key}).status_code == 403


def test_s137_only_management_keys_manage(http: httpx.Client, world: World) -> None:
    manage = [route for route in routes(http, world) if route[1].startswith("/api/v1/manage")]
    for secret in (world.key, world.query_key):
        assert set(statuses(http, manage, {"X-API-Key": secret}).values()) == {403}


def test_s137_a_key_of_another_view_or_pipe_is_403(http: httpx.Client, make_world: Callable[..., World]) -> None:
    mine, other = make_world(), make_world()
    assert mine.client().S().status_code == 200
    foreign = {"X-API-Key": other.query_key}
    assert http.get(f"/api/v1/views/{mine.view.slug}/stats", headers=foreign).status_code == 403
    client = mine.client("b:p")
    assert client.S().status_code == 200
    for method, path in (
        ("POST", f"session/{client.session_id}/heartbeat"),
        ("DELETE", f"session/{client.session_id}"),
        ("POST", f"ingest/{client.session_id}/events"),
    ):
        answer = http.request(
            method, f"/api/v1/pipe/{path}", headers={"X-API-Key": other.key}, json={"events": [], "source_type": "message"}
        )
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
    assert client.HB().status_code == 200, "the session goes on"


def test_s139_a_revoked_key_is_refused_within_5_s_and_its_session_ends(world: World) -> None:
    client = world.client()
    assert client.S(timeout=600).status_code == 200
    assert client.HB().status_code == 200
    services.revoke_key(Actor("test"), ApiKey.objects.get(receiver=world.receiver))
    revoked = last_asked = time.monotonic()
    while (status := client.HB().status_code) != 401:
        assert status in {200, 419}, "still known, or ended already"
        assert last_asked - revoked <= 5, "who asks later than that is refused, however long the answer takes"
        time.sleep(0.1)
        last_asked = time.monotonic()
    assert not world.pipe.sessions.filter(ended_at=None).exists()


def test_s141_no_other_origin_may_use_credentials(http: httpx.Client, world: World) -> None:
    headers = {"Origin": "https://evil.example", "X-API-Key": world.query_key}
    answer = http.get(f"/api/v1/views/{world.view.slug}/stats", headers=headers)
    assert "Access-Control-Allow-Origin" not in answer.headers
    preflight = http.options(
        f"/api/v1/views/{world.view.slug}/stats", headers={**headers, "Access-Control-Request-Method": "DELETE"}
    )
    assert "Access-Control-Allow-Origin" not in preflight.headers


def test_s142_reset_needs_an_administrator(http: httpx.Client, world: World) -> None:
    url = f"/api/v1/views/{world.view.slug}/reset"
    assert http.delete(url, headers={"X-API-Key": world.query_key}).status_code == 403
    _, viewer = create_key("management", scopes=["viewer"])
    assert http.delete(url, headers={"X-API-Key": viewer}).status_code == 403
    _, admin = create_key("management", scopes=["admin"])
    assert http.delete(url, headers={"X-API-Key": admin}).status_code == 204


@pytest.mark.parametrize(("scope", "reads", "changes"), [("viewer", 200, 403), ("operator", 200, 403), ("configure", 403, 200)])
def test_a_management_key_does_only_what_its_scopes_say(
    http: httpx.Client, world: World, scope: str, reads: int, changes: int
) -> None:
    _, secret = create_key("management", scopes=[scope])
    headers = {"X-API-Key": secret}
    assert http.get("/api/v1/manage/configuration", headers=headers).status_code == reads
    body = {"fields": {"driver": "fs"}}
    name = f"v{uuid.uuid4().hex[:8]}"
    assert http.put(f"/api/v1/manage/objects/views/{name}", headers=headers, json=body).status_code == changes
    assert http.post("/api/v1/manage/keys", headers=headers, json={"kind": "query", "all_views": True}).status_code == 403
    denied = AuditEntry.objects.filter(outcome="denied", actor__contains=secret[-4:])
    assert denied.filter(verb="keys").exists()


def test_s144_session_ids_are_random_and_masked_in_lists(http: httpx.Client, world: World) -> None:
    client = world.client()
    client.S()
    assert uuid.UUID(client.session_id).version == 4
    for url, secret in (
        (f"/api/v1/views/{world.view.slug}/sessions", world.query_key),
        ("/api/v1/pipe/pipes", world.key),
        (f"/api/v1/pipe/pipes/{world.pipe.slug}", world.key),
    ):
        answer = http.get(url, headers={"X-API-Key": secret})
        assert answer.status_code == 200
        assert client.session_id not in answer.text
    guess = f"/api/v1/pipe/session/{uuid.uuid4()}/heartbeat"
    assert http.post(guess, headers={"X-API-Key": world.key}, json={"can_realtime": True}).status_code == 419
