"""Ground of these tests: a clock that stands still, no keys remembered from another test, a small configuration."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from apps.pipes import keys, usage
from apps.pipes.config import service
from apps.pipes.config.plan import Plan
from apps.pipes.config.reading import Text, read
from apps.pipes.failures import failures
from apps.pipes.models import Revision
from apps.runtime import clock
from tests.blackbox.processes import RunningRedis

SMALL = """
receivers:
  http-main:
    api_keys:
      - {key: key-of-a-receiver-000000000001, pipe_id: one}
views:
  alpha:
    api_keys: [{key: key-of-a-reader-00000000000001}]
    driver_params: {hot_file_threshold: 60}
  beta: {}
pipes:
  one: {receiver: http-main, views: [alpha], session_timeout_seconds: 5}
"""


@pytest.fixture(autouse=True)
def fresh_process(redis_server: RunningRedis) -> None:
    """Forget what this process remembers of keys: another test's database knew them."""
    keys.forget()
    usage.forget()
    failures.forget()
    cache.clear()


@pytest.fixture
def time_stands_still() -> Iterator[clock.ManualClock]:
    with clock.use(manual := clock.ManualClock()):
        yield manual


@pytest.fixture
def small(db: None) -> None:
    """The small configuration, imported."""
    load(SMALL)


def load(text: str, *, replace: bool = False, expected: int | None = None) -> tuple[Plan, Revision | None]:
    """Import one text."""
    reading = read([Text("test.yaml", text)], variables={}, known_ref=keys.ref_of)
    return service.change(service.Wanted(reading.document, reading.secrets, replace), service.Author("tester"), expected=expected)
