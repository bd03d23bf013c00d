"""One run of one job: lease it, run its phase, report progress, finish it. The same function serves the Celery worker and the
subprocess that a command starts; neither is ever the process that beats the heart.
"""

import asyncio
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent_runner import log, scan_progress
from agent_runner.drivers import Lease, Sender, make_sender
from agent_runner.error_recovery import Recovery
from agent_runner.phases import audit, on_demand, sentinel, snapshot
from agent_runner.phases.counts import Counts
from agent_runner.phases.scan import JobContext, ScanJob, StorageRoot
from agent_runner.problems import AgentProblem, Busy, Refused, SenderProblem, Unreachable
from agent_runner.sources.fs.scanner import Listers
from fustor_schema.sources import SourceType

_log = log.get("job")
PROGRESS_SECONDS = 1.0
FINISH_TRIES = 8
SESSION_SECONDS, SESSION_TURN_SECONDS = 10.0, 0.05
# longer than a directory that hangs may take, several times over
STUCK_SECONDS = 300.0

DONE, FAILED, CANCELLED, TAKEN = "DONE", "FAILED", "CANCELLED", "TAKEN"


async def run_job(
    contexts: Callable[[], Sequence[JobContext]], job_id: str, listers: Listers | None = None, worker: str = ""
) -> str:
    """Leases a job and runs it for the AgentPipe that the lease names. `contexts` tells what the agent's pipes do now; `listers`
    keeps listing processes from one job to the next; `worker` is the name that leases, else this process. Returns the job's final
    state, TAKEN when somebody else has it, it is over, or no server of these knows it. Raises SenderProblem when the server cannot
    be told."""
    for known in _by_server(contexts()):
        sender = make_sender(known[0].sender)
        try:
            lease = await _lease(sender, job_id, known[0].session_id if len(known) == 1 else "", worker or own_name())
            if lease is None:
                continue
            context = await _context_of(lease, contexts)
            if context is not None:
                return await _Run(context, lease, sender, listers).run()
            await sender.finish_job(job_id, {"state": FAILED, "counts": {}, "error": f"{lease.task_id} does not run here"})
            return FAILED
        finally:
            await sender.close()
    return TAKEN


async def _context_of(lease: Lease, contexts: Callable[[], Sequence[JobContext]]) -> JobContext | None:
    """The pipe that the lease names, once it has the session of the lease: the server queues the first job while it answers the
    call that opens the session, so a worker may be here before the agent has read that answer."""
    deadline = time.monotonic() + SESSION_SECONDS
    while True:
        named = [context for context in contexts() if context.task_id == lease.task_id]
        if named and (named[0].session_id == lease.session_id or not lease.session_id):
            return named[0]
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(SESSION_TURN_SECONDS)


def _by_server(contexts: Sequence[JobContext]) -> list[list[JobContext]]:
    grouped: dict[bytes, list[JobContext]] = {}
    for context in contexts:
        grouped.setdefault(msgspec.json.encode(context.sender), []).append(context)
    return list(grouped.values())


async def _lease(sender: Sender, job_id: str, session_id: str, worker: str) -> Lease | None:
    try:
        return await sender.lease_job(job_id, session_id, worker)
    except Refused as problem:
        _log.warning("job not leased", job=job_id, reason=str(problem))
        return None


def own_name() -> str:
    """The name of this process as a worker."""
    return f"{socket.gethostname()}:{os.getpid()}"


async def run_unleased(context: JobContext, lease: Lease, listers: Listers | None = None) -> str:
    """Runs a phase for a server of protocol 2, which knows no leases. Returns the final state."""
    sender = make_sender(context.sender)
    try:
        return await _Run(context, lease, sender, listers, reports=False).run()
    finally:
        await sender.close()


class _Run:
    """A leased job while it runs. Its progress reports renew the lease and bring back the wish to cancel."""

    def __init__(self, context: JobContext, lease: Lease, sender: Sender, listers: Listers | None, *, reports: bool = True) -> None:
        self._listers = listers
        self._context, self._lease, self._sender, self._reports = context, lease, sender, reports
        self._counts = Counts()
        self._stopped_as = ("", "")
        # so that the server can tell a worker whose lease was lost from the one that runs the job now
        self._attempt = {"attempt": lease.attempt}
        self._log = _log.bind(job=lease.job_id, kind=lease.kind, path=lease.path)

    async def run(self) -> str:
        self._log.info("job started")
        phase = asyncio.create_task(self._phase())
        reporter = asyncio.create_task(self._report(phase)) if self._reports else None
        state, error = await self._outcome(phase)
        # before the server hears of it: whoever is told may stop this process at once
        self._log.info("job ended", state=state, error=error, **self._counts.summary())
        if reporter is not None:
            reporter.cancel()
            await asyncio.gather(reporter, return_exceptions=True)
            self._tell_agent(None)
            await self._finish({"state": state, "counts": self._counts.summary(), "error": error})
        return state

    async def _outcome(self, phase: "asyncio.Task[None]") -> tuple[str, str]:
        try:
            await phase
        except asyncio.CancelledError:
            if not self._stopped_as[0]:
                raise
            return self._stopped_as
        except (AgentProblem, OSError, sqlite3.Error) as problem:
            return FAILED, f"{type(problem).__name__}: {problem}"
        return DONE, ""

    async def _phase(self) -> None:
        if self._lease.kind == "sentinel":
            root = StorageRoot(self._context)
            root.check()
            self._counts.files = await sentinel.run(root.path, self._sender, root.check)
            return
        job = ScanJob(self._context, self._lease, self._sender, _SOURCE_TYPES[self._lease.kind], self._listers)
        self._counts = job.counts
        await _PHASES[self._lease.kind](job)

    async def _report(self, phase: "asyncio.Task[None]") -> None:
        """Reports until the phase ends. Stops the phase when the server says so, when the job is somebody else's by now, and when
        it makes no progress although the server takes its reports."""
        seen, since = self._mark(), time.monotonic()
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            self._tell_agent(self._counts.progress())
            try:
                answer = await self._sender.report_progress(self._lease.job_id, self._counts.progress() | self._attempt)
            except (Unreachable, Busy) as problem:
                # the lease outlives a short outage; a long one ends the job on the server's side
                self._log.warning("progress not reported", reason=str(problem))
                since = time.monotonic()
                continue
            except SenderProblem as problem:
                return self._stop(phase, FAILED, f"the job is no longer ours: {problem}")
            if answer.cancel:
                return self._stop(phase, CANCELLED, "")
            if self._mark() != seen:
                seen, since = self._mark(), time.monotonic()
            elif time.monotonic() - since > STUCK_SECONDS:
                return self._stop(phase, FAILED, f"no progress for {STUCK_SECONDS:.0f} s")

    def _tell_agent(self, progress: dict[str, Any] | None) -> None:
        """For its health report; None: over. A home that cannot be written ends no job."""
        directory = Path(self._context.state_directory)
        try:
            if progress is None:
                scan_progress.forget(directory, self._lease.job_id)
            elif self._lease.kind in _PHASES:
                scan_progress.tell(directory, self._lease, progress)
        except OSError as error:
            self._log.warning("progress not told to the agent", reason=str(error))

    def _mark(self) -> tuple[int, int]:
        return self._counts.found, self._counts.batches

    def _stop(self, phase: "asyncio.Task[None]", state: str, error: str) -> None:
        self._log.warning("job is stopped", state=state, reason=error)
        self._stopped_as = state, error
        phase.cancel()

    async def _finish(self, outcome: dict[str, Any]) -> None:
        recovery = Recovery(first=0.5, longest=10.0)
        for _ in range(FINISH_TRIES):
            try:
                await self._sender.finish_job(self._lease.job_id, outcome | self._attempt)
            except (Unreachable, Busy) as problem:
                await asyncio.sleep(recovery.failed(problem))
            except SenderProblem as problem:
                self._log.warning("outcome refused", reason=str(problem))
                return
            else:
                return
        self._log.error("outcome not reported: the server lets the lease expire", last_error=recovery.last_error)


_PHASES = {"snapshot": snapshot.run, "audit": audit.run, "scan": on_demand.run}
_SOURCE_TYPES = {
    "snapshot": SourceType.SNAPSHOT,
    "audit": SourceType.AUDIT,
    "scan": SourceType.ON_DEMAND,
}


def exit_code(state: str) -> int:
    """The exit code of a job process: 0 when there is nothing left to do."""
    return 0 if state in (DONE, TAKEN, CANCELLED) else 1
