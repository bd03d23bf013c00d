"""Denied attempts on the data path: the audit log tells who tried what, without the secret, and stays short however often."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

import httpx
import pytest
from django.db.models import QuerySet

from apps.pipes import denials, services
from apps.pipes.audit import Actor
from apps.pipes.denials import MOST_SUBJECTS, WINDOW_SECONDS, Attempt, Denials
from apps.pipes.hashing import make_secret
from apps.pipes.keys import create_key
from apps.pipes.models import AuditEntry
from apps.runtime.clock import ManualClock, now_datetime
from tests.blackbox.own_server import server
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer
from tests.blackbox.world import World

__all__ = ["server"]  # a fixture: where many others were refused lately, one more shares an entry with them
SESSION = "/api/v1/pipe/session"


@pytest.fixture
def address() -> str:
    """An address of this host that no other test calls from: attempts without a known key are counted by address."""
    chance = Random()
    return f"127.{chance.randint(1, 254)}.{chance.randint(1, 254)}.{chance.randint(1, 254)}"


@pytest.fixture
def http(server: RunningServer, address: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=server.url, timeout=PATIENCE_SECONDS, transport=httpx.HTTPTransport(local_address=address)
    ) as client:
        yield client


def told(address: str) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(address=address, outcome="denied", verb=denials.VERB)


@pytest.mark.blackbox
def test_a_wrong_key_is_told_once_however_often_it_is_tried(http: httpx.Client, world: World, address: str) -> None:
    wrong = make_secret("fkr")
    for _ in range(20):
        assert http.get(SESSION, headers={"X-API-Key": wrong}).status_code == 401
    entry = told(address).get()
    assert (entry.actor, entry.target, entry.detail) == (f"unknown key {wrong[:8]}…", "/api/v1/pipe", "no such key")
    assert wrong[8:] not in str(AuditEntry.objects.filter(pk=entry.pk).values().get())
    assert entry.request_id
    http.get(f"/api/v1/views/{world.view.slug}/stats", headers={"X-API-Key": "password-of-somebody"})
    assert told(address).count() == 2, "another part of the API"
    assert told(address).latest("id").actor == "unknown key"


@pytest.mark.blackbox
def test_no_key_is_an_attempt_of_nobody_and_pages_and_the_openapi_document_are_none(
    http: httpx.Client, address: str, world: World
) -> None:
    http.get("/api/v1/openapi.json")
    http.get("/api/v1/manage/configuration")
    assert not told(address).exists()
    assert http.get(SESSION).status_code == 401
    assert told(address).get().actor == "nobody"


@pytest.mark.blackbox
def test_known_keys_are_named_with_the_reason(
    http: httpx.Client, world: World, make_world: Callable[..., World], address: str
) -> None:
    revoked, revoked_secret = create_key("query", name="old", views=[world.view])
    services.revoke_key(Actor("test"), revoked)
    expired, expired_secret = create_key("query", views=[world.view], expires_at=now_datetime() - timedelta(seconds=1))
    elsewhere, elsewhere_secret = create_key("query", views=[world.view], allowed_networks=["192.0.2.0/24"])
    foreign, foreign_secret = create_key("query", views=[make_world().view])
    stats = f"/api/v1/views/{world.view.slug}/stats"
    for secret, status in ((revoked_secret, 401), (expired_secret, 401), (elsewhere_secret, 401), (foreign_secret, 403)):
        for _ in range(3):
            assert http.get(stats, headers={"Authorization": f"Bearer {secret}"}).status_code == status
    assert dict(told(address).values_list("actor", "detail")) == {
        f"query key old {revoked}": "the key is revoked",
        f"query key {expired}": "the key has expired",
        f"query key {elsewhere}": "the key is not good from this network",
        f"query key {foreign}": f"This key may not read view {world.view.slug}.",
    }
    assert told(address).count() == 4


@pytest.mark.blackbox
def test_a_key_of_the_wrong_kind_or_for_another_pipe_is_told(http: httpx.Client, world: World, address: str) -> None:
    assert http.get(SESSION, headers={"X-API-Key": world.query_key}).status_code == 403
    assert told(address).get().detail == "A query key cannot be used here."
    wish = {"task_id": "a:p", "pipe_id": "other\ud800" + "x" * 1000}
    answer = http.post(SESSION, headers={"X-API-Key": world.key, "Content-Type": "application/json"}, content=json.dumps(wish))
    assert answer.status_code == 403, answer.text
    entry = told(address).latest("id")
    assert entry.actor.startswith("receiver key")
    assert entry.detail.startswith("This key may not push into pipe other�xxx")
    assert len(entry.detail) == denials.LONGEST_REASON


@pytest.mark.blackbox
def test_a_good_key_leaves_nothing(http: httpx.Client, world: World, address: str) -> None:
    assert http.get(SESSION, headers={"X-API-Key": world.key}).status_code == 200
    early = http.get(f"/api/v1/views/{world.view.slug}/stats", headers={"X-API-Key": world.query_key})
    assert early.status_code == 503, "nothing was scanned yet"
    assert not AuditEntry.objects.filter(address=address).exists()


def attempt(who: str) -> Attempt:
    return Attempt(Actor(who, "192.0.2.1"), "/api/v1/pipe", "no such key", (who, "/api/v1/pipe", "no such key"))


@pytest.mark.django_db
def test_the_next_entry_counts_what_came_between(time_stands_still: ManualClock) -> None:
    lately = Denials()
    due = []
    for _ in range(int(WINDOW_SECONDS) + 1):
        due += lately.note(attempt("guess"))
        time_stands_still.advance(1)
    written = [denials.write(found).detail for found in due]
    assert written == ["no such key", f"no such key ({int(WINDOW_SECONDS) - 1} more since the entry before)"]


def test_the_count_of_one_who_stopped_is_written_when_somebody_else_is_refused(time_stands_still: ManualClock) -> None:
    lately = Denials()
    for _ in range(3):
        lately.note(attempt("guess"))
    assert lately.note(attempt("other")) == [attempt("other")]
    time_stands_still.advance(WINDOW_SECONDS)
    assert lately.note(attempt("third")) == [attempt("third"), replace(attempt("guess"), repeated=2)]
    assert lately.note(attempt("guess")) == [attempt("guess")]


def test_many_who_try_share_one_entry(time_stands_still: ManualClock) -> None:
    lately = Denials()
    due = [found for number in range(10 * MOST_SUBJECTS) for found in lately.note(attempt(f"{number}"))]
    assert len(due) == MOST_SUBJECTS + 1
    assert due[-1].actor.name == "many others"
    time_stands_still.advance(WINDOW_SECONDS)
    assert lately.note(attempt("new"))[0] == attempt("new"), "there is room again"
