"""One simulated host: a session of its own, heartbeats, and as leader the scans, over the API that every agent uses."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import httpx
import structlog

from fustor_schema.pipestate import PipeState
from fustor_site.demo.storage import Change, Row, Storage

log = structlog.get_logger(__name__)

BATCH_ROWS = 1_000
SESSION_LOST = frozenset({404, 409, 419})
REST_SECONDS = 2.0
SECONDS_BETWEEN_SILENCES = 900.0
SILENCE_SECONDS = 60.0


class Lost(Exception):
    """The session is gone; a new one is opened."""


class Silent(Exception):
    """The host has had enough for a while: what a crash looks like from the server."""


class Host:
    """`name` is the agent's id, `key` that of its pipe. Hosts of one pipe share its storage, and each reports what it changes."""

    def __init__(self, name: str, pipe: str, key: str, storage: Storage, http: httpx.AsyncClient, dice: Random) -> None:
        self.name, self.pipe, self.storage, self.http, self.dice = name, pipe, storage, http, dice
        self._headers = {"X-API-Key": key}
        self.session_id = ""
        self.role = ""
        self.pushed = 0
        self._scanned_at = 0.0
        self._audit_seconds = 60.0

    async def live(self, changes_per_second: float) -> None:
        """Open a session and work in it, again and again, until cancelled."""
        while True:
            try:
                await self._open()
                async with asyncio.TaskGroup() as work:
                    for part in (self._beat(), self._watch(changes_per_second), self._scan(), self._tire()):
                        work.create_task(part)
            except* Lost as lost:
                log.info("a demo host opens a new session", host=self.name, because=str(lost.exceptions[0])[:200])
            except* Silent:
                await asyncio.sleep(SILENCE_SECONDS)
            except* httpx.HTTPError as errors:
                log.info("a demo host waits for the server", host=self.name, error=repr(errors.exceptions[0]))
                await asyncio.sleep(REST_SECONDS)

    async def _tire(self) -> None:
        await asyncio.sleep(self.dice.expovariate(1 / SECONDS_BETWEEN_SILENCES))
        raise Silent

    async def _open(self) -> None:
        body = {
            "task_id": f"{self.name}:{self.pipe}",
            "source_type": "fs",
            "session_timeout_seconds": 20,
            "client_info": {"source_uri": f"/mnt/{self.pipe}", "hostname": self.name, "version": "demo"},
        }
        answer = await self._post("/session", body)
        self._scanned_at = 0.0
        self.session_id, self.role = answer["session_id"], answer["role"]
        self._audit_seconds = max(30.0, float(answer.get("audit_interval_sec") or 60.0))

    async def _beat(self) -> None:
        while True:
            status = {
                "agent_id": self.name,
                "pipe_id": self.pipe,
                "state": str(int(PipeState.RUNNING | PipeState.MESSAGE)),
                "role": self.role,
                "events_pushed": self.pushed,
                "is_realtime_ready": True,
            }
            answer = await self._post(f"/session/{self.session_id}/heartbeat", {"can_realtime": True, "agent_status": status})
            self.role = answer["role"]
            await asyncio.sleep(5 + self.dice.random())

    async def _watch(self, changes_per_second: float) -> None:
        while True:
            await asyncio.sleep(self.dice.expovariate(changes_per_second))
            for kind, rows in self.storage.change(time.time()):
                await self._push("message", "realtime", [(kind, rows)])

    async def _scan(self) -> None:
        """A snapshot when this host comes to lead, then an audit every interval."""
        while True:
            if self.role == "leader":
                if not self._scanned_at:
                    await self._snapshot()
                elif time.monotonic() - self._scanned_at > self._audit_seconds:
                    await self._audit()
            await asyncio.sleep(1)

    async def _snapshot(self) -> None:
        for rows in self._batches():
            await self._push("snapshot", "snapshot", [("insert", rows)])
        await self._push("snapshot", "snapshot", [], end=True)
        self._scanned_at = time.monotonic()

    async def _audit(self) -> None:
        await self._post("/consistency/audit/start", {})
        for rows in self._batches():
            await self._push("audit", "audit", [("update", rows)])
        await self._push("audit", "audit", [], end=True)
        self._scanned_at = time.monotonic()

    def _batches(self) -> Iterator[list[Row]]:
        rows = list(self.storage.rows())
        return (rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS))

    async def _push(self, source_type: str, source: str, changes: Iterable[Change], *, end: bool = False) -> None:
        now = time.time()
        events = [_event(kind, rows, source, now) for kind, rows in changes]
        await self._post(f"/{self.session_id}/events", {"source_type": source_type, "is_end": end, "events": events})
        self.pushed += sum(len(event["rows"]) for event in events)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post(f"/api/v1/pipe{path}", json=body, headers=self._headers)
        if answer.status_code in SESSION_LOST:
            raise Lost(answer.text)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def _event(kind: str, rows: list[Row], source: str, now: float) -> dict[str, Any]:
    return {
        "event_type": kind,
        "fields": [],
        "rows": rows,
        "index": int(now * 1000),
        "timestamp": now,
        "event_schema": "fs",
        "table": "files",
        "message_source": source,
    }
