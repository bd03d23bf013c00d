"""Chaos: agents, web, worker and Redis are killed and paused at random while batches and scans go on.

Checked all the while: at most one leader, epochs only rise. Checked at the end: every job is over, nothing acknowledged is lost.
`FUSTOR_CHAOS_SECONDS` (default 20) says for how long; the seed is printed and may be given as `FUSTOR_CHAOS_SEED`.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from django.db import OperationalError, connection
from pytest_django import DjangoDbBlocker

from apps.sessions.models import Job, Leadership
from fustor_site.supervisor import children
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer, wait_until
from tests.blackbox.world import World, server_database

pytestmark = [pytest.mark.blackbox, pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("FUSTOR_CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("FUSTOR_CHAOS_SEED", str(int(time.time()))))


class Agent(threading.Thread):
    """An agent that holds a session as well as it can, pushes files, runs the scans it is given, and now and then plays dead."""

    def __init__(self, world: World, name: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.client, self.agent_name = world.client(f"{name}:p"), name
        self.random = random.Random(seed)
        self.acknowledged: set[str] = set()
        self.over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            try:
                number += self._step(number)
            except httpx.TransportError:
                time.sleep(0.1)

    def _step(self, number: int) -> int:
        """One round; 1 when file `number` is in for certain."""
        if self.random.random() < 0.01:
            time.sleep(2.5)  # longer than the timeout: the session is lost
        beat = self.client.HB() if self.client.session_id else None
        if beat is None or beat.status_code == 419:
            self.client.S()
            return 0
        for order in beat.json().get("commands", []) if beat.status_code == 200 else []:
            self.client.P("rt", [], source_type="job_complete", metadata={"scan_path": "/", "job_id": order["job_id"]})
        path = f"/{self.agent_name}{number}"
        if self.client.P("rt", [f(path, time.time())], "insert", batch_id=path).status_code != 200:
            time.sleep(0.05)
            return 0
        self.acknowledged.add(path)
        return 1


class Samples(threading.Thread):
    """Looks at the leader of the tree all the time, over a connection of its own."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.view = world.view
        self.epochs: list[int] = []
        self.most_leaders = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OperationalError):
                leaders = list(Leadership.objects.filter(tree__view=self.view, session__ended_at__isnull=True))
                self.most_leaders = max(self.most_leaders, len(leaders))
                self.epochs.extend(leadership.epoch for leadership in leaders)
            time.sleep(0.02)
        connection.close()


def kill_web(server: RunningServer) -> None:
    server.stop_web(signal.SIGKILL)
    server.start_web()


def kill_worker(server: RunningServer) -> None:
    server.stop_worker(signal.SIGKILL)
    server.start_worker()


def kill_redis(server: RunningServer) -> None:
    server.redis.kill()
    time.sleep(0.5)
    server.redis.start()


def every_job_ended(server: RunningServer) -> bool:
    server.tend_worker()
    return not Job.objects.exclude(state__in=Job.ENDED).exists()


def pause_web(server: RunningServer) -> None:
    assert server.web is not None
    children.signal_group(server.web, signal.SIGSTOP)
    time.sleep(1.5)
    children.signal_group(server.web, signal.SIGCONT)


@pytest.fixture
def chaotic(django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[RunningServer, World]]:
    with RunningServer() as server, django_db_blocker.unblock(), server_database(server):
        world = World(server, pipe={"session_timeout_seconds": 2})
        first = world.client("first:p")
        first.S(timeout=600)
        first.snapshot([d("/", 1)])
        first.X()
        yield server, world


def test_nothing_is_lost_and_nobody_leads_twice(chaotic: tuple[RunningServer, World]) -> None:
    server, world = chaotic
    print(f"FUSTOR_CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    agents = [Agent(world, name, SEED + number) for number, name in enumerate("abc")]
    samples = Samples(world)
    for thread in (*agents, samples):
        thread.start()
    end = time.monotonic() + SECONDS
    # a slow machine may need longer for a failover, without which nothing would be proven
    while time.monotonic() < end or len(set(samples.epochs)) < 2:
        with contextlib.suppress(httpx.TransportError):
            world.reader.http.post("/jobs", json={"path": f"/scan{dice.randrange(1000)}"})
        time.sleep(dice.uniform(0.2, 1.0))
        dice.choice((kill_web, kill_worker, kill_redis, pause_web))(server)
    wait_until(lambda: every_job_ended(server), 2 * PATIENCE_SECONDS, "every job to end")
    for thread in (*agents, samples):
        thread.over.set()
        thread.join(2 * PATIENCE_SECONDS)
        assert not thread.is_alive()

    acknowledged = set().union(*(agent.acknowledged for agent in agents))
    assert acknowledged
    assert acknowledged <= world.reader.paths()
    assert samples.most_leaders == 1
    assert samples.epochs == sorted(samples.epochs)


def test_agents_find_back_after_everything_was_killed(chaotic: tuple[RunningServer, World]) -> None:
    server, world = chaotic
    client: V2Client = world.client("a:p")
    client.S(timeout=600)
    for kill in (kill_redis, kill_worker, kill_web):
        kill(server)
    wait_until(lambda: client.HB().status_code in (200, 419), PATIENCE_SECONDS, "an answer")
    client.S(timeout=600)
    assert client.P("rt", [f("/back", time.time())], "insert").status_code == 200
    assert "/back" in client.reader.paths()
