"""Scenarios 158 and 164, scaled down: many sessions and readers at once for a while; old times cost no more than new ones.

Heartbeats are held against what the same server takes when it has nothing else to do, for the machine may be shared; the
figures of a machine of its own come from bench/heartbeat.py and bench/ingest.py.
"""

import os
import random
import statistics
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from tests.blackbox.client import V2Client, d, f
from tests.blackbox.world import World

pytestmark = [pytest.mark.blackbox, pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("FUSTOR_LOAD_SECONDS", "15"))
SESSIONS, EVENTS_PER_BATCH, READERS = 20, 20, 2
BEAT_TARGET_SECONDS = 0.2


def opened(world: World, task: str) -> V2Client:
    client = world.client(task)
    assert client.S(timeout=600).status_code == 200
    return client


def for_seconds(work: Callable[[int], None], seconds: float) -> Callable[[], None]:
    end = time.monotonic() + seconds

    def loop() -> None:
        turn = 0
        while time.monotonic() < end:
            work(turn)
            turn += 1

    return loop


def beats(client: V2Client, found: list[float]) -> Callable[[int], None]:
    def beat(turn: int) -> None:
        begun = time.monotonic()
        assert client.HB().status_code == 200
        found.append(time.monotonic() - begun)
        time.sleep(0.1)

    return beat


def test_s158_many_sessions_and_readers_cost_no_heartbeat_and_no_memory(world: World) -> None:
    leader = opened(world, "leader:p")
    leader.snapshot([d("/", 1)])
    clients = [opened(world, f"agent{number}:p") for number in range(SESSIONS)]
    assert world.server.web is not None
    web = psutil.Process(world.server.web.pid)
    quiet: list[float] = []
    for_seconds(beats(leader, quiet), 2)()

    acknowledged: set[str] = set()
    refused: set[int] = set()
    latencies: list[float] = []
    resident: list[int] = []

    def push(client: V2Client, number: int) -> Callable[[int], None]:
        def batch(turn: int) -> None:
            # the same files again and again after a while, as on storage that is worked on
            paths = [f"/{number}/{turn % 10}-{event}" for event in range(EVENTS_PER_BATCH)]
            answer = client.P("rt", [f(path, time.time()) for path in paths], batch_id=f"{number}-{turn}")
            acknowledged.update(paths) if answer.status_code == 200 else refused.add(answer.status_code)
            time.sleep(0.2)

        return batch

    def read(turn: int) -> None:
        assert leader.reader.ST().status_code == 200
        assert leader.reader.Q("/", max_depth=1).status_code == 200
        resident.append(web.memory_info().rss)
        time.sleep(0.1)

    work = [push(client, number) for number, client in enumerate(clients)]
    work += [beats(leader, latencies), *([read] * READERS)]
    threads = [threading.Thread(target=for_seconds(one, SECONDS)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 60)
        assert not thread.is_alive()

    assert refused <= {429, 503}
    assert acknowledged <= world.reader.paths()
    settled = resident[len(resident) // 3 :]
    assert max(settled[-10:]) <= 1.05 * max(settled[:10]) + 8_000_000, "memory grows with the work done"
    # the median, for the clients share these cores; a heartbeat that waits for batches waits for every one of them
    assert statistics.median(latencies) <= max(BEAT_TARGET_SECONDS, 10 * statistics.median(quiet))


def cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def test_s164_old_times_cost_no_more_than_new_ones(world: World) -> None:
    """Processor time of the server for the same batches, in turns, so that a busy machine is busy for both."""
    client = opened(world, "a:p")
    client.snapshot([d("/", 1)])
    assert world.server.web is not None
    web = psutil.Process(world.server.web.pid)
    chance = random.Random(164)
    spent: dict[str, list[float]] = {"fresh": [], "old": []}
    for turn in range(12):
        for kind, seconds in spent.items():
            moments = [time.time() - (chance.uniform(1e6, 3e8) if kind == "old" else 0) for _ in range(2000)]
            before = cpu(web)
            for part in range(4):
                rows = [f(f"/{kind}{turn}/{part}-{number}", moment) for number, moment in enumerate(moments[part::4])]
                assert client.P("rt", rows, "insert", batch_id=f"{kind}{turn}-{part}").status_code == 200
            seconds.append(cpu(web) - before)
    # clock ticks are 10 ms, and the first turns warm up: a tenth of the whole, and some ticks
    fresh, old = sum(spent["fresh"][2:]), sum(spent["old"][2:])
    assert old <= 1.1 * fresh + 0.1, spent
