"""Group 13 of the scenarios: kill -9, restart, Redis away, the database away, an orderly stop. Each on a server of its own."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from django.db import connection
from psycopg import sql
from pytest_django import DjangoDbBlocker

from apps.sessions.models import Job, Leadership
from apps.views.models import Audit
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer, wait_until
from tests.blackbox.world import World, server_database

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]


@pytest.fixture
def crashing(django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[RunningServer, World]]:
    """A server that may be killed, and a world on it. Batches wait 5 s for the database, not 20."""
    with RunningServer(FUSTOR_SQLITE_BUSY_SECONDS="5") as server, django_db_blocker.unblock(), server_database(server):
        yield server, World(server)


class Stream(threading.Thread):
    """Pushes one file after the other until told to stop; `acknowledged` are those that the server said are in."""

    def __init__(self, client: V2Client, prefix: str) -> None:
        super().__init__(daemon=True)
        self.client, self.prefix = client, prefix
        self.acknowledged: list[str] = []
        self.refused: dict[int, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            path = f"/{self.prefix}{number}"
            try:
                answer = self.client.P("rt", [f(path, time.time())], "insert", batch_id=path)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                self.acknowledged.append(path)
                number += 1
            else:
                self.refused[answer.status_code] = self.refused.get(answer.status_code, 0) + 1
                time.sleep(0.05)

    def wait_for_more(self, count: int) -> None:
        wanted = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= wanted, PATIENCE_SECONDS, f"{count} more acknowledged batches")

    def stop(self) -> None:
        self.over.set()
        self.join(2 * PATIENCE_SECONDS)
        assert not self.is_alive()


def leader(world: World) -> V2Client:
    client = world.client("a:p")
    client.S(timeout=600)
    client.snapshot([d("/", 1)])
    return client


def test_s145_kill_9_loses_nothing_that_was_acknowledged(crashing: tuple[RunningServer, World]) -> None:
    server, world = crashing
    client = leader(world)
    stream = Stream(client, "f")
    stream.start()
    for _ in range(2):
        stream.wait_for_more(20)
        server.stop_web(signal.SIGKILL)
        server.start_web()
    stream.wait_for_more(20)
    stream.stop()
    assert set(stream.acknowledged) <= client.reader.paths()
    assert client.reader.ST().json()["total_files"] == len(set(stream.acknowledged))


def test_s146_a_restart_in_mid_audit_deletes_nothing(crashing: tuple[RunningServer, World]) -> None:
    server, world = crashing
    client = leader(world)
    client.P("sn", [d("/a", 1), f("/a/x", 1), f("/a/y", 1)], "insert", end=True)
    client.AS()
    client.P("au", [d("/", 2), d("/a", 2), f("/a/x", 1)])
    server.stop_web(signal.SIGKILL)
    server.start_web()
    client.AE()
    assert client.reader.paths() == {"/", "/a", "/a/x", "/a/y"}
    assert not Audit.objects.filter(tree__view=world.view, state=Audit.State.COMPLETE).exists()


def test_s147_epochs_sessions_and_jobs_survive_a_restart(crashing: tuple[RunningServer, World]) -> None:
    server, world = crashing
    client = leader(world)
    job_id = client.reader.Q("/", on_demand_scan="true").json()["job_id"]
    epoch = Leadership.objects.get(tree__view=world.view).epoch
    for stop, start in ((server.stop_web, server.start_web), (server.stop_worker, server.start_worker)):
        stop(signal.SIGKILL)
        start()
    assert client.reader.Q().status_code == 200
    assert [order["job_id"] for order in client.HB().json()["commands"]] == [str(Job.objects.get(request=job_id).id)]
    assert client.S().json()["epoch"] >= epoch + 1


def test_s149_redis_away_costs_no_batch_no_query_and_no_heartbeat(crashing: tuple[RunningServer, World]) -> None:
    server, world = crashing
    client = leader(world)
    server.redis.kill()
    for number in range(5):
        assert client.P("rt", [f(f"/x{number}", 1)], "insert").status_code == 200
        assert client.HB().status_code == 200
    assert len(client.reader.paths()) == 6
    server.redis.start()
    assert client.HB().status_code == 200


def test_s149_jobs_wait_for_the_worker_and_run_once(crashing: tuple[RunningServer, World]) -> None:
    server, world = crashing
    client = leader(world)
    server.redis.kill()
    client.reader.Q("/", on_demand_scan="true")
    (order,) = client.HB().json()["commands"]
    server.redis.start()
    client.P("rt", [], source_type="job_complete", metadata={"scan_path": "/", "job_id": order["job_id"]})
    time.sleep(1)
    assert client.HB().json()["commands"] == []
    assert [job.state for job in Job.objects.filter(pipe=world.pipe, kind="scan")] == ["DONE"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="locks the whole database as only SQLite can")
def test_s148_a_database_that_is_away_means_503_and_no_acknowledgement(crashing: tuple[RunningServer, World]) -> None:
    server, world = crashing
    client = leader(world)
    client.reader.Q("/", on_demand_scan="true")
    with sqlite3.connect(server.database.name, isolation_level=None, timeout=PATIENCE_SECONDS) as lock:
        lock.execute("BEGIN IMMEDIATE")
        refused = client.P("rt", [f("/x", 1)], "insert")
        beat = client.HB()
        lock.execute("ROLLBACK")
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert (beat.status_code, beat.json()["commands"]) == (200, [])
    assert len(client.HB().json()["commands"]) == 1
    assert client.reader.paths() == {"/"}
    assert client.P("rt", [f("/x", 1)], "insert").status_code == 200
    assert client.reader.paths() == {"/", "/x"}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is never away, only locked")
def test_s148_a_postgresql_that_is_away_means_503_and_everything_goes_on_when_it_is_back(
    crashing: tuple[RunningServer, World],
) -> None:
    server, world = crashing
    client = leader(world)
    stream = Stream(client, "f")
    stream.start()
    stream.wait_for_more(10)
    connection.close()
    name = sql.Identifier(server.database.name)
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as cluster:
        cluster.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [server.database.name])
        try:
            wait_until(lambda: stream.refused.get(503, 0) > 2, PATIENCE_SECONDS, "a push that is refused")
            away = client.reader.Q("/")
        finally:
            cluster.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
    assert away.status_code == 503
    assert int(away.headers["Retry-After"]) > 0
    wait_until(lambda: client.reader.Q("/").status_code == 200, PATIENCE_SECONDS, "the database to be used again")
    stream.wait_for_more(10)
    stream.stop()
    assert set(stream.refused) == {503}
    assert set(stream.acknowledged) <= client.reader.paths()


def test_s155_an_orderly_stop_under_load_is_quick_and_loses_nothing(crashing: tuple[RunningServer, World]) -> None:
    server, world = crashing
    client = leader(world)
    stream = Stream(client, "f")
    stream.start()
    stream.wait_for_more(20)
    begun = time.monotonic()
    server.stop_web(signal.SIGTERM)
    assert time.monotonic() - begun <= 10
    server.start_web()
    stream.stop()
    assert set(stream.acknowledged) <= client.reader.paths()
