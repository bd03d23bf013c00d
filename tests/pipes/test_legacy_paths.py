"""The old paths: they answer like the new ones, say that they go, and are counted."""

from collections.abc import Iterator

import httpx
import pytest
from django.test import Client

from apps.pipes.legacy_use import LegacyCounter
from apps.pipes.models import LegacyUse
from apps.runtime import clock
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World


@pytest.fixture
def http(server: RunningServer, world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"X-API-Key": world.key}, timeout=30) as client:
        yield client


@pytest.mark.blackbox
def test_a_session_lives_on_old_paths_like_on_new_ones(http: httpx.Client, world: World) -> None:
    opened = http.post("/api/v1/ingest/session/", json={"task_id": "old:p"})
    assert opened.status_code == 200
    assert opened.headers["Deprecation"].startswith("@")
    assert opened.headers["Sunset"].endswith("GMT")
    session = opened.json()["session_id"]
    pushed = http.post(
        f"/api/v1/ingest/{session}/events",
        json={"session_id": session, "source_type": "message", "is_end": False, "events": []},
    )
    assert (pushed.status_code, pushed.json()["status"]) == (200, "ok")
    new = http.post(f"/api/v1/pipe/session/{session}/heartbeat", json={"can_realtime": True})
    assert new.status_code == 200
    assert "Deprecation" not in new.headers


@pytest.mark.blackbox
def test_old_paths_check_the_key_too(http: httpx.Client) -> None:
    assert http.get("/api/v1/ingest/session", headers={"X-API-Key": "wrong"}).status_code == 401


@pytest.mark.django_db
def test_switched_off_they_are_not_there(settings: object) -> None:
    settings.FUSTOR_LEGACY_PATHS = False  # type: ignore[attr-defined]
    assert Client().get("/api/v1/ingest/session").status_code == 404


@pytest.mark.django_db
def test_calls_are_counted_by_path_and_caller() -> None:
    with clock.use(clock.ManualClock()) as now:
        counter = LegacyCounter()
        assert counter.note("/api/v1/ingest/session", "10.0.0.1 (abc)"), "the first call is written down at once"
        counter.write_down()
        for _ in range(4):
            assert not counter.note("/api/v1/ingest/session", "10.0.0.1 (abc)")
        counter.note("/api/v1/ingest/session", "10.0.0.2 (def)")
        counter.write_down()
    assert dict(LegacyUse.objects.values_list("caller", "count")) == {"10.0.0.1 (abc)": 5, "10.0.0.2 (def)": 1}
    assert now.now() > 0
