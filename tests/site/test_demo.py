"""The simulated fleet tells what its made-up storage holds, through the API that every agent uses."""

import asyncio
import contextlib
import time
from random import Random

import httpx
import pytest

from apps.pipes import keys
from apps.pipes.models import ApiKey
from fustor_site.demo import fleet
from fustor_site.demo.storage import Storage
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer
from tests.blackbox.world import server_database


@pytest.mark.parametrize("seed", range(5))
def test_what_is_said_of_changes_comes_to_what_the_storage_holds(seed: int) -> None:
    storage = Storage(Random(seed))
    storage.fill(100, 1_000_000.0)
    told = {row["path"]: row for row in storage.rows()}
    for number in range(300):
        for kind, rows in storage.change(1_000_000.0 + number):
            for row in rows:
                if kind == "delete":
                    del told[row["path"]]
                else:
                    told[row["path"]] = row
    held = {row["path"]: (row["size"], row["modified_time"]) for row in storage.rows()}
    assert {path: (row["size"], row["modified_time"]) for path, row in told.items()} == held


@pytest.mark.blackbox
@pytest.mark.django_db(transaction=True)
def test_the_fleet_brings_every_view_to_life_and_its_keys_open_nothing_afterwards() -> None:
    with RunningServer() as server, server_database(server):
        secrets = fleet.configure()
        _, query = keys.create_key("query", all_views=True)

        async def watch() -> dict[str, int]:
            running = asyncio.create_task(fleet.run(server.url, secrets, 200, Random(1), time.time()))
            try:
                async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": query}, timeout=PATIENCE_SECONDS) as http:
                    return await asyncio.wait_for(_files(http), 4 * PATIENCE_SECONDS)
            finally:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running

        files = asyncio.run(watch())
        fleet.revoke()
        assert set(files) == {"demo-projects", "demo-scratch", "demo-archive"}
        assert min(files.values()) >= 150
        assert fleet.configure().keys() == set(fleet.HOSTS), "it can be started again"
        assert ApiKey.objects.filter(name=fleet.KEY_NAME, revoked_at=None).count() == len(fleet.HOSTS)


async def _files(http: httpx.AsyncClient) -> dict[str, int]:
    """Files by view, once every view is complete."""
    found: dict[str, int] = {}
    while len(found) < 3:
        for view in ("demo-projects", "demo-scratch", "demo-archive"):
            answer = await http.get(f"/api/v1/views/{view}/stats")
            told = answer.json()
            members = told.get("members", [told])
            if answer.status_code == 200 and all(member.get("total_files") for member in members):
                found[view] = sum(member["total_files"] for member in members)
        await asyncio.sleep(0.1)
    return found
