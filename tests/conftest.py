"""Ground of every test: a home of its own, so no test touches anything of a real installation; a real Redis; a real server.

Fixtures for all areas: `redis_server`, `server`, `world`, `make_world`. What they are made of lives in tests/blackbox/.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# before Django reads its settings; each xdist worker is a process of its own, so each gets a home of its own
os.environ["FUSTOR_HOME"] = tempfile.mkdtemp(prefix="fustor-test-")
if test_database_url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = test_database_url
    os.environ["FUSTOR_TEST_DB_NAME"] = f"test_fustor_{os.getpid()}"

import pytest
from django.conf import settings
from pytest_django import DjangoDbBlocker

from tests.blackbox.processes import RunningRedis, RunningServer
from tests.blackbox.world import World, server_database


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RunningRedis]:
    """A real Redis at `settings.FUSTOR_REDIS_URL`, for cache, channel layer and broker of the test process itself."""
    with RunningRedis(settings.FUSTOR_REDIS_URL, Path(os.environ["FUSTOR_HOME"])) as running:
        yield running


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A real server: Redis, daphne, Celery worker with beat, on a home, database and port of its own. One per test session."""
    with RunningServer() as running:
        yield running


@pytest.fixture
def make_world(
    request: pytest.FixtureRequest, server: RunningServer, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[..., World]]:
    """`make_world(view={…}, pipe={…}, driver="fs", pipes=1)`, as often as needed. The ORM talks to the server's database."""
    if {"db", "transactional_db"} & set(request.fixturenames):
        pytest.fail("`world` uses the server's own database; it cannot be combined with `db` or the django_db mark")
    worlds: list[World] = []

    def make(**options: object) -> World:
        worlds.append(World(server, **options))  # type: ignore[arg-type]  # World checks its own options
        return worlds[-1]

    with django_db_blocker.unblock(), server_database(server):
        yield make
        for world in worlds:
            world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A receiver, a pipe, an `fs` view and their keys, for one test alone."""
    return make_world()
