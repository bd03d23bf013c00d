"""Fixtures of all areas: a real Redis, a real server, a world on it. What they are made of lives in tests/blackbox/."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from apps.pipes import append_only
from tests.blackbox.processes import RunningRedis, RunningServer
from tests.blackbox.world import World, server_database
from tests.chromium import chromium, page

__all__ = ["chromium", "page"]

# how long an example takes says nothing about it on a machine that is busy
hypothesis.settings.register_profile(
    "patient", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def emptying_includes_the_audit_log() -> Iterator[None]:
    """Between two tests that commit, Django empties the database. The audit log refuses that, so its triggers step aside."""
    original = connection.ops.execute_sql_flush

    def flush(statements: list[str]) -> None:
        with append_only.lifted(connection):
            original(statements)

    connection.ops.execute_sql_flush = flush  # type: ignore[method-assign]  # this connection only, for the session
    yield
    connection.ops.execute_sql_flush = original  # type: ignore[method-assign]


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
