"""A server that speaks the wire and remembers what it was told: real HTTP, no rules. Used by the tests of this directory."""

import asyncio
import json
import time
import uuid
from typing import Any

import zstandard
from aiohttp import web

from fustor_site.supervisor import ports
from tests.blackbox.processes import PATIENCE_SECONDS


class RecordingServer:
    """Answers as PROTOCOL says. `view` is what a reader who believes everything would know: path → row."""

    def __init__(self, *, protocol: int = 3, role: str = "leader") -> None:
        self.protocol, self.role = protocol, role
        self.batches: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []
        self.closed: list[str] = []
        self.commands: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.progress: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []
        self.suspects: list[str] = []
        self.audit_state = "COMPLETE"
        self.answer_next: list[web.Response] = []
        self.most_bytes = 1 << 30
        self.let_through = asyncio.Semaphore(1 << 30)
        self.arrived = 0
        self.heartbeat_status = 200
        # an old agent beats at half of it; a native one is told when to beat, and no loaded machine ends its session
        self.session_timeout = 60 if protocol >= 3 else 2
        self.clock_ahead_seconds = 0.0
        self.epoch = 1
        self.url = ""
        self._seqs: dict[tuple[str, str], int] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> "RecordingServer":
        """Listens on a free port, on the same one after a stop."""
        self._port = self._port or ports.free()
        app = web.Application(client_max_size=1 << 30)
        base = "/api/v1/pipe"
        app.router.add_post(f"{base}/session/", self._open)
        app.router.add_get(f"{base}/session/", self._whoami)
        app.router.add_post(f"{base}/session/{{id}}/heartbeat", self._heartbeat)
        app.router.add_delete(f"{base}/session/{{id}}", self._close)
        app.router.add_post(f"{base}/ingest/{{id}}/events", self._events)
        app.router.add_post(f"{base}/jobs/{{id}}/lease", self._lease)
        app.router.add_post(f"{base}/jobs/{{id}}/progress", self._progress)
        app.router.add_post(f"{base}/jobs/{{id}}/finish", self._finish)
        app.router.add_post(f"{base}/consistency/audit/start", self._ok)
        app.router.add_get(f"{base}/consistency/sentinel/tasks", self._tasks)
        app.router.add_post(f"{base}/consistency/sentinel/feedback", self._feedback)
        self._runner = web.AppRunner(app, auto_decompress=False, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.url = f"http://127.0.0.1:{self._port}"
        return self

    async def stop(self) -> None:
        """Is gone until it is started again."""
        assert self._runner is not None
        await self._runner.cleanup()

    def order(self, kind: str, path: str = "/", *, recursive: bool = True) -> str:
        """Makes a job and the command for it. Returns the job's id."""
        job_id = str(uuid.uuid4())
        self.jobs[job_id] = {"kind": kind, "path": path, "recursive": recursive, "state": "QUEUED"}
        type_ = "scan" if kind == "scan" else f"run_{kind}"
        self.commands.append({"type": type_, "id": f"c-{job_id}", "job_id": job_id, "path": path, "recursive": recursive})
        return job_id

    def events(self, *, source: str | None = None) -> list[dict[str, Any]]:
        """Every event so far, in the order of arrival."""
        return [event for batch in self.batches for event in batch["events"] if source is None or event["message_source"] == source]

    def rows(self, *, source: str | None = None) -> list[dict[str, Any]]:
        """Every row so far."""
        return [row for event in self.events(source=source) for row in event.get("rows", [])]

    @property
    def view(self) -> dict[str, dict[str, Any]]:
        """What the events add up to."""
        known: dict[str, dict[str, Any]] = {}
        for event in self.events():
            _apply(known, event)
        return known

    def gaps(self) -> list[str]:
        """The reasons of the gaps so far."""
        return [event["reason"] for event in self.events() if event["event_type"] == "gap"]

    async def until(self, condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits for something to become true; fails with what was seen instead."""
        end = asyncio.get_running_loop().time() + seconds
        while not condition():
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(
                    f"not within {seconds} s; view: {sorted(self.view)[:40]}; gaps: {self.gaps()}; jobs: {self.jobs}"
                )
            await asyncio.sleep(0.02)

    async def job_ends(self, job_id: str) -> dict[str, Any]:
        """Waits for a job's outcome."""
        await self.until(lambda: self.jobs[job_id]["state"] in ("DONE", "FAILED", "CANCELLED"))
        return self.jobs[job_id]

    async def _open(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.sessions.append(body)
        answer: dict[str, Any] = {
            "session_id": str(uuid.uuid4()),
            "role": self.role,
            "session_timeout_seconds": self.session_timeout,
            "audit_interval_sec": 1.0,
            "sentinel_interval_sec": 1.0,
            "message": "",
        }
        if self.protocol >= 3:
            answer |= {"protocol": 3, "epoch": self.epoch, "committed_seq": 0, "commands": self.commands, "heartbeat_interval": 0.2}
        return web.json_response(answer)

    async def _whoami(self, request: web.Request) -> web.Response:
        if request.headers.get("X-API-Key") != "good":
            return web.json_response({"detail": "unknown key"}, status=401)
        known = {"view_id": "v", "status": "authorized", "pipe_id": "p", "view_ids": ["v"]}
        return web.json_response(known | {"server_time": time.time() + self.clock_ahead_seconds})

    async def _heartbeat(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.heartbeats.append(body)
        if self.heartbeat_status != 200:
            status, self.heartbeat_status = self.heartbeat_status, 200
            return web.json_response({"detail": "told to"}, status=status)
        for report in body.get("command_reports", []):
            self.commands = [command for command in self.commands if command["id"] != report["id"]]
        return web.json_response({"status": "ok", "role": self.role, "commands": self.commands, "epoch": self.epoch})

    async def _close(self, request: web.Request) -> web.Response:
        self.closed.append(request.match_info["id"])
        return web.json_response({"status": "terminated", "session_id": request.match_info["id"]})

    async def _events(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if self.protocol < 3 and "Content-Encoding" in request.headers:
            return web.json_response({"detail": "an old server reads plain JSON only"}, status=400)
        if request.headers.get("Content-Encoding") == "zstd":
            raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
        self.arrived += 1
        await self.let_through.acquire()
        if len(raw) > self.most_bytes:
            return web.json_response({"detail": "too large"}, status=413)
        batch = json.loads(raw)
        if self.answer_next:
            return self.answer_next.pop(0)
        if "seq" in batch:
            key = (batch["session_id"], batch["stream"])
            expected = self._seqs.get(key, 0) + 1
            if batch["seq"] > expected:
                return web.json_response({"expected": expected}, status=409)
            if batch["seq"] < expected:
                return web.json_response({"status": "ok", "count": 0, "committed_seq": expected - 1})
            self._seqs[key] = batch["seq"]
        self.batches.append(batch)
        answer: dict[str, Any] = {"status": "ok", "count": len(batch["events"]), "committed_seq": batch.get("seq")}
        if batch["is_end"] and batch["source_type"] == "audit":
            answer["audit"] = {"id": batch.get("audit_id"), "state": self.audit_state}
        return web.json_response(answer)

    async def _lease(self, request: web.Request) -> web.Response:
        job_id = request.match_info["id"]
        job = self.jobs[job_id]
        if job["state"] != "QUEUED":
            return web.json_response({"detail": "leased"}, status=409)
        job["state"] = "RUNNING"
        body = await request.json()
        job["worker"] = body["worker"]
        task_id = self.sessions[-1]["task_id"]
        answer = {key: job[key] for key in ("kind", "path", "recursive")} | {
            "job_id": job_id,
            "attempt": job.get("attempt", 1),
            "lease_seconds": 5,
            "session_id": body.get("session_id", ""),
            "epoch": self.epoch,
            "task_id": task_id,
            "audit_id": f"{job_id}-1",
        }
        return web.json_response(answer)

    async def _progress(self, request: web.Request) -> web.Response:
        self.progress.append(await request.json())
        cancel = bool(self.jobs[request.match_info["id"]].get("cancel"))
        return web.json_response({"cancel": cancel, "lease_seconds": 5})

    async def _finish(self, request: web.Request) -> web.Response:
        self.jobs[request.match_info["id"]].update(await request.json())
        return web.json_response({"job_id": request.match_info["id"], "state": "DONE"})

    async def _tasks(self, request: web.Request) -> web.Response:
        return web.json_response({"type": "suspect_check", "paths": self.suspects, "view_id": "v"} if self.suspects else {})

    async def _feedback(self, request: web.Request) -> web.Response:
        self.feedback.append(await request.json())
        return web.json_response({"status": "processed", "drivers_updated": 1})

    async def _ok(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "audit_started", "drivers_handled": 1})


def _apply(known: dict[str, dict[str, Any]], event: dict[str, Any]) -> None:
    if event["event_type"] == "delete":
        for row in event["rows"]:
            _drop(known, row["path"])
        return
    if event["event_type"] == "move":
        source, target = event["from"], event["to"]
        _drop(known, target)
        parent = target.rpartition("/")[0]
        if parent and parent not in known:
            # the server does not know where it went: what was at the old place is gone
            _drop(known, source)
        for path in [path for path in known if path == source or path.startswith(source + "/")]:
            known[target + path[len(source) :]] = known.pop(path)
    for row in event.get("rows", []):
        if row.get("kind") != "dir_close":
            known[row["path"]] = row


def _drop(known: dict[str, dict[str, Any]], gone: str) -> None:
    for path in [path for path in known if path == gone or path.startswith(gone + "/")]:
        del known[path]
