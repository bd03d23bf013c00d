"""`/metrics`: who may read it, and that its numbers are those of the view."""

from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from apps.pipes.keys import create_key
from tests.blackbox.client import d, f
from tests.blackbox.processes import PATIENCE_SECONDS
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox


@pytest.fixture
def scrape(world: World) -> Callable[[], dict[tuple[str, ...], float]]:
    key = create_key("management", scopes=["read"])[1]

    def read() -> dict[tuple[str, ...], float]:
        url, headers = f"{world.server.url}/metrics", {"Authorization": f"Bearer {key}"}
        answer = httpx.get(url, headers=headers, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        samples = (sample for family in text_string_to_metric_families(answer.text) for sample in family.samples)
        # the text format sorts labels by name
        return {(sample.name, *sample.labels.values()): sample.value for sample in samples}

    return read


def test_numbers_are_those_of_the_view(world: World, scrape: Callable[[], dict[tuple[str, ...], float]]) -> None:
    client = world.client()
    client.S()
    client.snapshot([d("/", 1.0), d("/a", 1.0), f("/a/x", 1.0, 100), f("/a/y", 1.0, 11)])
    numbers = scrape()
    assert numbers["fustor_tree_files", "", world.view.slug] == 2
    assert numbers["fustor_tree_directories", "", world.view.slug] == 1
    assert numbers["fustor_tree_bytes", "", world.view.slug] == 111
    assert numbers["fustor_tree_has_leader", "", world.view.slug] == 1
    assert numbers["fustor_live_sessions", world.pipe.slug] == 1
    assert numbers["fustor_rows_total", world.pipe.slug] == 4
    assert 0 <= numbers["fustor_tree_snapshot_age_seconds", "", world.view.slug] < 60
    assert numbers["fustor_broker_up",] == 1
    client.X()
    assert ("fustor_live_sessions", world.pipe.slug) not in scrape()


@pytest.mark.parametrize("kind", ["none", "receiver", "query"])
def test_only_management_keys_may_read(world: World, kind: str) -> None:
    keys = {"none": {}, "receiver": {"X-API-Key": world.key}, "query": {"X-API-Key": world.query_key}}
    answer = httpx.get(f"{world.server.url}/metrics", headers=keys[kind], timeout=PATIENCE_SECONDS)
    assert answer.status_code == (401 if kind == "none" else 403)
    assert answer.json()["fix"]
