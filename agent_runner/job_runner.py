"""The jobs of one AgentPipe that came as commands: which run, how many at a time, how they ended. Used by pipe_jobs.py."""

import asyncio

from agent_runner import log
from agent_runner.drivers import Lease
from agent_runner.job_process import Order
from agent_runner.job_processes import JobProcesses
from agent_runner.phases.scan import JobContext

PHASES_AT_ONCE, SCANS_AT_ONCE, SENTINELS_AT_ONCE = 2, 2, 2
_log = log.get("jobs")


class JobRunner:
    """The same job id never runs twice at a time. Scans of a path have places of their own, for there may be hundreds of them, and
    so have sentinels, which are short: an audit must not wait behind the former, nor a sentinel behind an audit."""

    def __init__(self, processes: JobProcesses) -> None:
        self._processes = processes
        self._running: dict[str, asyncio.Task[int]] = {}
        self._phases = asyncio.Semaphore(PHASES_AT_ONCE)
        self._places = {"scan": asyncio.Semaphore(SCANS_AT_ONCE), "sentinel": asyncio.Semaphore(SENTINELS_AT_ONCE)}
        self.last_error = ""

    @property
    def running(self) -> list[str]:
        """The ids of the jobs that run or wait for a place."""
        return list(self._running)

    def start(self, context: JobContext, job_id: str, kind: str, lease: Lease | None = None) -> "asyncio.Task[int]":
        """Starts a job of a kind (`scan`, `audit` …), unless it runs already. The task's result is the exit code."""
        known = self._running.get(job_id)
        if known is not None:
            return known
        order = Order(job_id, context, lease)
        task = asyncio.create_task(self._run(order, self._places.get(kind, self._phases)), name=f"job {job_id}")
        self._running[job_id] = task
        task.add_done_callback(lambda _: self._running.pop(job_id, None))
        return task

    async def stop(self) -> None:
        """Ends every job and its process."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, order: Order, places: asyncio.Semaphore) -> int:
        async with places:
            code = await self._processes.run(order)
        if code:
            self.last_error = f"job {order.job_id} ended with exit code {code}"
            _log.error("job failed", job=order.job_id, exit_code=code)
        return code
