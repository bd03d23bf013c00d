"""Phases that the agent starts by itself because its server speaks protocol 2 and creates no jobs: the leader's snapshot, then
audits and sentinels at their intervals, and a scan after every gap.
"""

import asyncio
import time
import uuid
from collections.abc import Callable

from agent_runner import log
from agent_runner.drivers import Grant, Lease
from agent_runner.job_runner import JobRunner
from agent_runner.phases.scan import JobContext

_log = log.get("schedule")
TURN_SECONDS = 0.5


class OwnSchedule:
    """Runs while a protocol 2 session lives. `is_leader` is asked before each run."""

    def __init__(self, jobs: JobRunner, context: Callable[[], JobContext], grant: Grant, is_leader: Callable[[], bool]) -> None:
        self._jobs, self._context, self._is_leader = jobs, context, is_leader
        self._audit_every, self._sentinel_every = grant.audit_interval_sec, grant.sentinel_interval_sec
        self._scans: set[str] = set()

    def scan_soon(self, path: str) -> None:
        """A gap: the path must be looked at again."""
        self._scans.add(path)

    async def run(self) -> None:
        """Never returns."""
        had_snapshot = False
        next_audit = next_sentinel = 0.0
        while True:
            await asyncio.sleep(TURN_SECONDS)
            if not self._is_leader():
                had_snapshot = False
                continue
            now = time.monotonic()
            if not had_snapshot:
                had_snapshot = await self._phase("snapshot")
                next_audit, next_sentinel = now + self._audit_every, now + self._sentinel_every
            elif self._scans:
                await self._phase("scan", self._scans.pop())
            elif self._audit_every > 0 and now >= next_audit:
                await self._phase("audit")
                next_audit = time.monotonic() + self._audit_every
            elif self._sentinel_every > 0 and now >= next_sentinel:
                await self._phase("sentinel")
                next_sentinel = time.monotonic() + self._sentinel_every

    async def _phase(self, kind: str, path: str = "/") -> bool:
        context = self._context()
        lease = Lease(job_id=str(uuid.uuid4()), kind=kind, path=path, session_id=context.session_id, task_id=context.task_id)
        return await self._jobs.start(context, lease.job_id, kind, lease) == 0
