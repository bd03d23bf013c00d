"""Test before saving, end to end: a real agent under a real server looks at what a form would have it run."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.blackbox.processes import PATIENCE_SECONDS, wait_until
from tests.e2e.installation import Installation, installation

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("trial")) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def http(running: Installation) -> Iterator[httpx.Client]:
    key = running.manage("create_key", "--kind", "management", "--plain").splitlines()[-1]
    with httpx.Client(base_url=f"{running.url}/api/v1/manage", headers={"X-API-Key": key}, timeout=PATIENCE_SECONDS) as client:
        yield client


def verdicts(http: httpx.Client, path: str, **body: Any) -> dict[str, list[tuple[str, str]]]:
    """About → (level, words) once the agent has looked."""
    started: dict[str, Any] = {}

    def connected() -> bool:
        started.update(http.post(path, json=body).raise_for_status().json())
        return started["trial"] is not None

    def known() -> dict[str, Any]:
        told: dict[str, Any] = http.get(f"/trials/{started['trial']}").raise_for_status().json()
        return told

    wait_until(connected, PATIENCE_SECONDS, "the agent to connect")

    wait_until(lambda: not known()["waits"], PATIENCE_SECONDS, "the agent to look")
    found: dict[str, list[tuple[str, str]]] = {}
    for verdict in known()["verdicts"]:
        found.setdefault(verdict["about"], []).append((verdict["level"], verdict["words"]))
    return found


def test_a_real_agent_tells_whether_a_source_would_work(running: Installation, http: httpx.Client) -> None:
    wait_until(lambda: http.get("/agents").json()["count"] == 1, PATIENCE_SECONDS, "the local agent")
    agent = http.get("/agents").json()["agents"][0]["agent_id"]
    (running.watch / "inside").mkdir()
    good = verdicts(http, "/trials", kind="sources", agent=agent, fields={"uri": str(running.watch / "inside")})
    assert {level for about in ("agent", "path", "key", "clock", "watches") for level, _ in good[about]} == {"ok"}, good
    bad = verdicts(http, "/trials", kind="sources", agent=agent, fields={"uri": str(running.watch / "nowhere")})
    assert bad["path"][0][0] == "bad"
    assert "nowhere" in bad["path"][0][1]
    assert bad["watches"][0][0] == "unknown"
