"""Sessions under load: `python bench/heartbeat.py [--sessions 1000] [--interval 10] [--seconds 30] [--watchers 200] [--ingest]`.

Starts a server of its own (web, worker, Redis), opens the sessions, lets each beat at the interval while pages of the console watch
the fleet and the pipe, and prints the latencies of the heartbeats as the agents see them, and what the web process spent on one;
with `--ingest`, beside a session that pushes snapshot batches as fast as they are taken.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("FUSTOR_HOME", tempfile.mkdtemp(prefix="fustor-bench-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django

django.setup()

import aiohttp
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from apps.pipes.keys import create_key
from apps.pipes.models import Pipe, PipeView, Receiver
from apps.views.models import View
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import server_database

ROWS = 1_000
WATCHED = ("/ws/fleet", "/ws/pipe/bench")


def prepare(server: RunningServer) -> tuple[str, str]:
    """(receiver key, login cookie of an administrator) for a pipe whose sessions outlive the run."""
    with server_database(server):
        receiver = Receiver.objects.create(slug="bench")
        pipe = Pipe.objects.create(slug="bench", receiver=receiver, session_timeout_seconds=300)
        PipeView.objects.create(pipe=pipe, view=View.objects.create(slug="bench"))
        browser = Client()
        browser.force_login(get_user_model().objects.create_superuser("bench"), backend="django.contrib.auth.backends.ModelBackend")
        cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
        return create_key("receiver", receiver=receiver, pipes=[pipe])[1], f"{settings.SESSION_COOKIE_NAME}={cookie}"


def cpu_seconds(pid: int) -> tuple[float, float]:
    """(event loop, all other threads): processor seconds that the web process has used."""
    tick = os.sysconf("SC_CLK_TCK")
    used = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end while it is looked at
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            used[int(task.name)] = (int(fields[11]) + int(fields[12])) / tick
    loop = used.pop(pid)
    return loop, sum(used.values())


def resident(pid: int, field: str) -> int:
    """MB of memory that a process holds (`VmRSS`), or ever held (`VmHWM`)."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) // 1024


class Fleet:
    """Sessions that beat and pages that watch; `latencies` in ms, `failures` by status, `frames` of `octets` bytes that the
    pages got, `mute`: how many pages got none."""

    def __init__(self, http: aiohttp.ClientSession, pages: aiohttp.ClientSession, url: str, options: argparse.Namespace) -> None:
        self.http, self.pages, self.url, self.options = http, pages, url, options
        self.latencies: list[float] = []
        self.failures: dict[int, int] = {}
        self.rows = self.frames = self.octets = 0
        self.mute = options.watchers
        self.cpu = (0.0, 0.0)
        self.resident = (0, 0)

    async def open(self, number: int) -> str:
        """Open the session of agent `number`; its id."""
        async with self.http.post("/api/v1/pipe/session", json={"task_id": f"agent{number}:bench"}) as answer:
            return str((await answer.json())["session_id"])

    async def beat(self, session_id: str, number: int, end: float) -> None:
        """Beat at the interval until the end, out of step with the others."""
        body = {"can_realtime": True, "agent_status": {"agent_id": f"agent{number}", "pipe_id": "bench", "state": "66"}}
        await asyncio.sleep(random.uniform(0, self.options.interval))
        while time.perf_counter() < end:
            begun = time.perf_counter()
            async with self.http.post(f"/api/v1/pipe/session/{session_id}/heartbeat", json=body) as answer:
                await answer.read()
            if answer.status == 200:
                self.latencies.append(1000 * (time.perf_counter() - begun))
            else:
                self.failures[answer.status] = self.failures.get(answer.status, 0) + 1
            await asyncio.sleep(max(0.0, self.options.interval - (time.perf_counter() - begun)))

    async def push(self, session_id: str, end: float) -> None:
        """Snapshot batches, one after the other, as fast as they are acknowledged."""
        number = 0
        while time.perf_counter() < end:
            async with self.http.post(f"/api/v1/pipe/{session_id}/events", json=_batch(number)) as answer:
                await answer.read()
            self.rows += ROWS if answer.status == 200 else 0
            number += 1

    async def watch(self, path: str, cookie: str, end: float) -> None:
        """A page of the console: take frames and say that they are shown."""
        headers = {"Cookie": cookie, "Origin": self.url}
        async with self.pages.ws_connect(path, headers=headers) as socket:
            # not receive's own timeout: that one starts again with every ping of the server
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(end - time.perf_counter()):
                    await self._show(socket)

    async def _show(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take frames for ever. They are not read to the end: a thousand sessions and all their watchers share this process."""
        await self._shown(socket)
        self.mute -= 1
        while True:
            await self._shown(socket)

    async def _shown(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        frame = await socket.receive_str()
        number = frame[len('{"number":') : frame.index(",")]
        self.frames += 1
        self.octets += len(frame)
        await socket.send_str(f'{{"shown":{number}}}')


def _batch(number: int) -> dict[str, Any]:
    rows = [
        {"path": f"/d{number}/f{file}", "size": file, "modified_time": 1.7e9, "created_time": 1.7e9, "is_directory": False}
        for file in range(ROWS)
    ]
    event = {"event_type": "insert", "rows": rows, "event_schema": "fs", "table": "files", "message_source": "snapshot"}
    return {"source_type": "snapshot", "events": [event | {"index": int(time.time() * 1000), "fields": []}]}


async def measure(server: RunningServer, key: str, cookie: str, options: argparse.Namespace) -> Fleet:
    """Open, beat, watch and, where asked, push."""
    assert server.web is not None
    connector = aiohttp.TCPConnector(limit=options.connections)
    async with (
        aiohttp.ClientSession(server.url, headers={"X-API-Key": key}, connector=connector) as http,
        aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=options.watchers or 1)) as pages,
    ):
        fleet = Fleet(http, pages, server.url, options)
        begun = time.perf_counter()
        gate = asyncio.Semaphore(4)

        async def opened_in_turn(number: int) -> str:
            async with gate:
                return await fleet.open(number)

        opened = await asyncio.gather(*(opened_in_turn(number) for number in range(options.sessions)))
        print(f"{len(opened)} sessions opened in {time.perf_counter() - begun:.1f} s")
        end = time.perf_counter() + options.seconds
        work = [fleet.beat(session_id, number, end) for number, session_id in enumerate(opened)]
        work += [fleet.watch(WATCHED[number % len(WATCHED)], cookie, end) for number in range(options.watchers)]
        if options.ingest:
            work.append(fleet.push(opened[0], end))
        loop, threads = cpu_seconds(server.web.pid)
        before = resident(server.web.pid, "VmRSS")
        await asyncio.gather(*work)
        loop_after, threads_after = cpu_seconds(server.web.pid)
        fleet.cpu = (loop_after - loop, threads_after - threads)
        fleet.resident = (before, resident(server.web.pid, "VmHWM"))
        return fleet


def report(fleet: Fleet, options: argparse.Namespace) -> None:
    """One line a fact."""
    ordered = sorted(fleet.latencies)
    at = {share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99)}
    print(f"{len(ordered)} heartbeats, {len(ordered) / options.seconds:.0f}/s, failures {fleet.failures or 'none'}")
    print(
        f"p50 {at[0.5]:.1f} ms, p95 {at[0.95]:.1f} ms, p99 {at[0.99]:.1f} ms, longest {ordered[-1]:.1f} ms (target: p95 ≤ 200 ms)"
    )
    per_beat = [1000 * seconds / len(ordered) for seconds in fleet.cpu]
    print(
        f"web process: {fleet.resident[0]} MB resident before, {fleet.resident[1]} MB at most (target with 200 pages: under 300 MB)"
    )
    print(f"web process, per heartbeat: {per_beat[0]:.2f} ms of processor in the event loop, {per_beat[1]:.2f} ms in other threads")
    if options.watchers:
        frames, octets = fleet.frames / options.seconds, fleet.octets / options.seconds
        print(f"{options.watchers} pages watched and got {frames:.0f} frames/s, {octets / 1e6:.1f} MB/s; {fleet.mute} got none")
    if options.ingest:
        print(f"{fleet.rows / options.seconds:,.0f} rows/s ingested meanwhile")


def main() -> None:
    """Run and report; exit 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between two heartbeats of a session")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--watchers", type=int, default=200, help="pages of the console that are open meanwhile")
    parser.add_argument("--ingest", action="store_true", help="push snapshot batches meanwhile")
    options = parser.parse_args()
    with RunningServer() as server:
        key, cookie = prepare(server)
        fleet = asyncio.run(measure(server, key, cookie, options))
        report(fleet, options)
    if fleet.failures or fleet.mute or sorted(fleet.latencies)[int(0.95 * len(fleet.latencies))] > 200:
        sys.exit(1)


if __name__ == "__main__":
    main()
