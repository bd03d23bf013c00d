"""The jobs of one AgentPipe: started by commands or, for a server of protocol 2, by its own schedule. Used by pipe.py."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from agent_runner import log, scan_progress
from agent_runner.commands import Action
from agent_runner.config import PipeConfig
from agent_runner.drivers import Grant, Lease, Source
from agent_runner.job_runner import JobRunner
from agent_runner.mount import Mount
from agent_runner.own_schedule import OwnSchedule
from agent_runner.phases.scan import JobContext
from agent_runner.problems import SenderProblem
from agent_runner.session import Session
from fustor_schema.sources import PROTOCOL_V3
from fustor_schema.wire import Event

READY_SECONDS = 0.05
_log = log.get("jobs")
_KINDS = {"run_snapshot": "snapshot", "run_audit": "audit", "run_sentinel": "sentinel", "scan": "scan"}


class PipeJobs:
    """Starts jobs in processes of their own, and tells them whom they work for."""

    def __init__(
        self, config: PipeConfig, source: Source, session: Session, mount: Mount, directory: Path, runner: JobRunner
    ) -> None:
        self._config, self._source, self._session, self._mount = config, source, session, mount
        self._directory, self._runner = directory, runner
        self._schedule: OwnSchedule | None = None

    def actions(self) -> dict[str, Action]:
        """The commands that start jobs."""
        return dict.fromkeys(_KINDS, self._start)

    def context(self) -> JobContext:
        """What a job process must know to work for this AgentPipe now. Without a session, `session_id` is empty."""
        grant = self._session.grant or Grant(session_id="", protocol=PROTOCOL_V3)
        sender = self._config.sender
        if grant.protocol < PROTOCOL_V3:
            sender = msgspec.structs.replace(sender, settings={**sender.settings, "compression": "none"})
        return JobContext(
            pipe_id=self._config.id,
            task_id=self._session.task_id,
            session_id=grant.session_id,
            protocol=grant.protocol,
            source=self._config.source,
            sender=sender,
            state_directory=str(self._directory),
            root_id=self._mount.root_id,
            fields_mapping=self._config.fields_mapping,
            epoch=grant.epoch,
            clock_ahead_ms=self._session.clock_ahead_ms(),
        )

    async def run_own_schedule(self, grant: Grant) -> None:
        """For a session with a server that creates no jobs. Never returns."""
        self._schedule = OwnSchedule(self._runner, self.context, grant, self._session.is_leader)
        try:
            await self._schedule.run()
        finally:
            self._schedule = None

    def on_gap(self, gap: Event) -> None:
        """What a gap covers is looked at again; a server of protocol 3 sees to that itself."""
        if self._schedule is not None:
            self._schedule.scan_soon(gap.scope or "/")

    async def stop(self) -> None:
        """Ends every job process."""
        await self._runner.stop()

    def health(self) -> dict[str, Any]:
        """The jobs' part of the health report."""
        try:
            scans = msgspec.to_builtins(scan_progress.read(self._directory))
        except OSError as error:
            _log.warning("how far the scans are is not known", reason=str(error))
            scans = []
        return {"jobs": self._runner.running, "scans": scans}

    async def _start(self, command: dict[str, Any]) -> dict[str, Any]:
        """A job that came as a command. It waits until the source watches: watch first, then list (R38)."""
        job_id = str(command.get("job_id") or command["id"])
        while not self._source.ready and self._source.alive:
            await asyncio.sleep(READY_SECONDS)
        context = self.context()
        kind = _KINDS[command["type"]]
        code = await self._runner.start(context, job_id, kind, _own_lease(command, job_id, kind, context))
        if code:
            raise SenderProblem(self._runner.last_error)
        return {"job_id": job_id}


def _own_lease(command: dict[str, Any], job_id: str, kind: str, context: JobContext) -> Lease | None:
    """A server of protocol 2 leases nothing: the command says all."""
    if context.protocol >= PROTOCOL_V3:
        return None
    return Lease(
        job_id=job_id,
        kind=kind,
        path=str(command.get("path") or "/"),
        recursive=bool(command.get("recursive", True)),
        session_id=context.session_id,
        task_id=context.task_id,
    )
