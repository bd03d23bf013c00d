"""The coordinator of one AgentPipe: keeps a session open, beats, sends realtime, and starts what the server orders.

It does no I/O on the storage itself: the source watches in threads, scans run in processes. Started by the supervisor. Its parts:
session.py, realtime.py, pipe_jobs.py, mount.py, heartbeat.py, commands.py.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from agent_runner import active, log
from agent_runner.batches import Stream
from agent_runner.commands import Action, Commands
from agent_runner.config import PipeConfig
from agent_runner.drivers import Grant, HeartbeatAnswer, Sender, Source, make_sender
from agent_runner.error_recovery import Recovery
from agent_runner.heartbeat import Heartbeat
from agent_runner.host import Host
from agent_runner.job_runner import JobRunner
from agent_runner.mount import Mount
from agent_runner.phases.scan import JobContext
from agent_runner.pipe_jobs import PipeJobs
from agent_runner.problems import AgentProblem, SessionObsolete
from agent_runner.realtime import Realtime
from agent_runner.session import Session
from fustor_schema.pipestate import PipeState
from fustor_schema.sources import PROTOCOL_V3, SourceType

HEALTH_SECONDS = 5.0
# a server that was restarted is back within seconds; one that is down is asked ever less often
FIRST_RETRY_SECONDS = 0.5


class AgentPipe:
    """One Source → Sender. Raises ConfigProblem when its configuration cannot be used."""

    def __init__(self, config: PipeConfig, host: Host, source: Source) -> None:
        self.config, self.source, self._host = config, source, host
        self._log = log.get("pipe").bind(pipe=config.id)
        self._directory = host.home.pipe_directory(config.id)
        self._sender: Sender = make_sender(config.sender)
        self._mount = Mount(source, self._note_error)
        self._session = Session(config, host, source, self._sender, self._mount)
        self._jobs = PipeJobs(config, source, self._session, self._mount, self._directory, JobRunner(host.job_processes))
        self._realtime = Realtime(config, source, self._sender, self._directory, self._jobs.on_gap)
        self._recovery = Recovery(first=FIRST_RETRY_SECONDS, alert=self._alert)
        self._actions: dict[str, Action] = {**host.actions, **self._jobs.actions(), "report_config": self._report_config}
        self._commands: Commands | None = None
        self._lifecycle = PipeState.INITIALIZING
        self._reported: list[dict[str, Any]] = []
        self.last_error = ""

    async def run(self) -> None:
        """Runs until cancelled: session after session. Nothing that the server or the storage does ends it."""
        collecting = asyncio.create_task(self._realtime.collect(), name=f"collector {self.config.id}")
        try:
            while True:
                await asyncio.sleep(await self._one_session())
        finally:
            self._lifecycle = PipeState.STOPPING
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
            await self._jobs.stop()
            await self._session.close()
            await self._sender.close()
            self._realtime.keep()

    async def _one_session(self) -> float:
        """Opens a session and serves it until it fails. Returns how many seconds to wait before the next."""
        try:
            grant = await self._session.open()
            self._lifecycle = PipeState.RUNNING
            self._host.session_changed()
            await self._serve(grant)
        except SessionObsolete as problem:
            self._log.warning("session is over", reason=str(problem))
            self._note_error(str(problem))
            # at once, unless it happens again and again
            again = self._recovery.failures > 0
            pause = self._recovery.failed(problem)
            return pause if again else 0.0
        except AgentProblem as problem:
            self._note_error(str(problem))
            self._lifecycle = PipeState.ERROR
            pause = self._recovery.failed(problem)
            self._log.error("session failed", reason=str(problem), fix=problem.fix, retry_seconds=round(pause, 1))
            return pause
        return 0.0

    async def _serve(self, grant: Grant) -> None:
        """Runs the session's tasks until one of them fails. Raises what it raised."""
        heartbeat = Heartbeat(self._sender, grant.session_id, grant.session_timeout_seconds, grant.heartbeat_interval, self._report)
        self._commands = Commands(self._actions, heartbeat.beat_now)
        running = [heartbeat.run(self._answered), self._watch_health(), self._realtime.send(grant)]
        if grant.protocol < PROTOCOL_V3:
            running.append(self._jobs.run_own_schedule(grant))
        self._commands.take(grant.commands)
        try:
            await first_failure(running)
        finally:
            await self._commands.stop()

    def _report(self) -> dict[str, Any]:
        """The body of the next heartbeat."""
        self._reported = self._commands.reports() if self._commands else []
        return {
            "can_realtime": self.source.ready,
            "agent_status": self.health(),
            "job_queue": self._host.job_queue(),
            "command_reports": self._reported,
        }

    def _answered(self, answer: HeartbeatAnswer) -> None:
        self._recovery.succeeded()
        self._session.take_role(answer.role)
        assert self._commands is not None
        self._commands.reported(self._reported)
        self._commands.take(answer.commands)

    async def _watch_health(self) -> None:
        """Looks every few seconds whether the storage is still the same and realtime still moves, and what audits found active."""
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            self._attend_active()
            await self._mount.check()
            self._realtime.check_progress()

    def _attend_active(self) -> None:
        try:
            changed = active.take(self._directory)
        except OSError as error:
            self._log.warning("what audits found active is not known", reason=str(error))
            return
        if changed:
            self.source.attend(changed)

    async def _report_config(self, command: dict[str, Any]) -> dict[str, Any]:
        """Sends the configuration that runs, without keys."""
        grant = self._session.grant
        assert grant is not None, "commands come with a session"
        metadata = {"filename": str(command.get("filename") or "agent.yaml"), "config_yaml": self._host.config_yaml()}
        stream = Stream(grant.session_id, protocol=grant.protocol, stream=f"config-{command.get('id', '')}")
        body = stream.batch([], source_type=SourceType.CONFIG_REPORT.value, metadata=metadata)
        await self._sender.push(grant.session_id, self._sender.pack(body))
        return {}

    def _alert(self, failures: int, error: str) -> None:
        self._log.critical("the agent cannot work and keeps trying", failures=failures, last_error=error)

    def _note_error(self, error: str) -> None:
        self.last_error = error

    def job_context(self) -> JobContext:
        """What a job process must know to work for this AgentPipe now. Without a session, `session_id` is empty."""
        return self._jobs.context()

    @property
    def is_connected(self) -> bool:
        """True while a session is open: commands arrive."""
        return self._lifecycle is PipeState.RUNNING

    @property
    def has_reports(self) -> bool:
        """True while the server was not told how some command ended."""
        return self._commands is not None and bool(self._commands.reports())

    def state(self) -> PipeState:
        """Lifecycle and phases as flags."""
        state = self._lifecycle
        if state is PipeState.RUNNING:
            state |= PipeState.MESSAGE if self.source.ready else PipeState.STOPPED
        elif self._session.grant is not None:
            state |= PipeState.RECONNECTING
        return state

    def health(self) -> dict[str, Any]:
        """The health report of this AgentPipe: every part tells its own."""
        return {
            **self._host.health(),
            "agent_id": self._host.agent_id,
            "pipe_id": self.config.id,
            "state": str(int(self.state())),
            "is_realtime_ready": self.source.ready,
            **self._session.health(),
            **self._realtime.health(),
            **self._jobs.health(),
            "source": self.source.health(),
            "last_error": self.last_error or self._recovery.last_error,
        }


async def first_failure(running: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs everything until one ends; ends the others and raises what the first one raised."""
    tasks = [asyncio.create_task(item) for item in running]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
