"""The coordinator of one AgentPipe: keeps a session open, beats, sends realtime, and starts what the server orders.

It does no I/O on the storage itself: the source watches in threads, scans run in processes. Started by the supervisor.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from agent_runner import active, clock, log, mapping
from agent_runner.asking import Asking
from agent_runner.batches import Stream
from agent_runner.commands import Action, Commands
from agent_runner.config import PipeConfig
from agent_runner.drivers import Grant, HeartbeatAnswer, Lease, Sender, Source, make_sender
from agent_runner.error_recovery import Recovery
from agent_runner.heartbeat import Heartbeat
from agent_runner.home import Home
from agent_runner.job_process import JobRunner
from agent_runner.own_schedule import OwnSchedule
from agent_runner.phases.message import Collector, MessagePhase
from agent_runner.phases.scan import JobContext
from agent_runner.problems import AgentProblem, SenderProblem, SessionObsolete, SourceProblem
from agent_runner.spool import Spool
from agent_runner.version import VERSION
from fustor_schema.pipestate import PipeState
from fustor_schema.sources import PROTOCOL_V3, Role, SourceType
from fustor_schema.wire import Event

IDENTITY_SECONDS = 5.0
READY_SECONDS = 0.05
# a server that was restarted is back within seconds; one that is down is asked ever less often
FIRST_RETRY_SECONDS = 0.5
CLOSE_SECONDS = 2.0
STUCK_SECONDS = 400.0
_JOB_KINDS = {"run_snapshot": "snapshot", "run_audit": "audit", "run_sentinel": "sentinel", "scan": "scan"}


@dataclass(frozen=True)
class Host:
    """What every pipe of this agent shares. `actions`: commands that concern the whole agent; `job_queue`: a job worker is up;
    `worker_ready` returns when it is, or when there is no use in waiting; `session_changed` is called when a pipe opened a
    session; `health`: the process's part of the health report; `config_yaml`: the configuration that runs, without keys;
    `allowed_commands`: remote commands that this host's owner opted in to (scenario 143)."""

    agent_id: str
    home: Home
    actions: dict[str, Action]
    job_queue: Callable[[], bool]
    worker_ready: Callable[[], Awaitable[None]]
    session_changed: Callable[[], None]
    health: Callable[[], dict[str, Any]]
    config_yaml: Callable[[], str]
    allowed_commands: tuple[str, ...]
    log_format: str


class AgentPipe:
    """One Source → Sender. Raises ConfigProblem when its configuration cannot be used."""

    def __init__(self, config: PipeConfig, host: Host, source: Source) -> None:
        self.config, self.source, self._host = config, source, host
        self.task_id = f"{host.agent_id}:{config.id}"
        self._log = log.get("pipe").bind(pipe=config.id)
        self._directory = host.home.pipe_directory(config.id)
        self._sender: Sender = make_sender(config.sender)
        self._spool = Spool(self._directory, config.spool_bytes)
        self._collector = Collector(source.events.subscribe(), self._spool, self._on_gap)
        self._recovery = Recovery(first=FIRST_RETRY_SECONDS, alert=self._alert)
        self._jobs = JobRunner(host.log_format)
        self._actions: dict[str, Action] = {
            **host.actions,
            **dict.fromkeys(_JOB_KINDS, self._start_job),
            "report_config": self._report_config,
        }
        self._grant: Grant | None = None
        self._server_clock: clock.ServerClock | None = None
        self._role = Role.FOLLOWER.value
        self._storage = Asking(self._ask_storage)
        self._root_id = ""
        self._facts: dict[str, Any] = {}
        self._message: MessagePhase | None = None
        self._heartbeat: Heartbeat | None = None
        self._commands: Commands | None = None
        self._schedule: OwnSchedule | None = None
        self._lifecycle = PipeState.INITIALIZING
        self._reported: list[dict[str, Any]] = []
        self.last_error = ""

    async def run(self) -> None:
        """Runs until cancelled: session after session. Nothing that the server or the storage does ends it."""
        collecting = asyncio.create_task(self._collector.run(), name=f"collector {self.config.id}")
        try:
            while True:
                await asyncio.sleep(await self._one_session())
        finally:
            self._lifecycle = PipeState.STOPPING
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
            await self._jobs.stop()
            await self._say_goodbye()
            self._spool.save()

    async def _one_session(self) -> float:
        """Opens a session and serves it until it fails. Returns how many seconds to wait before the next."""
        try:
            await self._serve(await self._open())
        except SessionObsolete as problem:
            self._log.warning("session is over", reason=str(problem))
            self.last_error = str(problem)
            # at once, unless it happens again and again
            return self._recovery.failed(problem) if self._recovery.failures else self._first_retry(problem)
        except AgentProblem as problem:
            self.last_error = str(problem)
            self._lifecycle = PipeState.ERROR
            pause = self._recovery.failed(problem)
            self._log.error("session failed", reason=str(problem), fix=problem.fix, retry_seconds=round(pause, 1))
            return pause
        return 0.0

    def _first_retry(self, problem: SessionObsolete) -> float:
        self._recovery.failed(problem)
        return 0.0

    def _alert(self, failures: int, error: str) -> None:
        self._log.critical("the agent cannot work and keeps trying", failures=failures, last_error=error)

    async def _open(self) -> Grant:
        self._root_id = await self._identity()
        await self._host.worker_ready()
        asked = clock.monotonic_ms()
        grant = await self._sender.open_session(self._session_request())
        self._grant, self._role = grant, grant.role
        if "server_ms" in grant.offset_probe:
            self._server_clock = clock.ServerClock(grant.offset_probe["server_ms"], (asked + clock.monotonic_ms()) / 2)
        self._lifecycle = PipeState.RUNNING
        self._log.info("session open", role=grant.role, protocol=grant.protocol, epoch=grant.epoch)
        self._host.session_changed()
        return grant

    async def _identity(self) -> str:
        """The mount's identity, empty when the storage does not answer: the control plane goes on without it."""
        try:
            identity, self._facts = await self._storage.ask(IDENTITY_SECONDS)
        except SourceProblem as problem:
            self.last_error = str(problem)
        except TimeoutError:
            self.last_error = f"{self.source.uri} does not answer"
        else:
            return identity
        return ""

    def _ask_storage(self) -> tuple[str, dict[str, Any]]:
        return self.source.identity(), self.source.facts()

    def _session_request(self) -> dict[str, Any]:
        request: dict[str, Any] = {
            "task_id": self.task_id,
            "source_type": self.source.driver,
            "client_info": {
                "source_uri": self.source.uri,
                "hostname": socket.gethostname(),
                "agent_version": VERSION,
                "allow_commands": list(self._host.allowed_commands),
            },
            "protocol": PROTOCOL_V3,
            "sent_at": clock.monotonic_ms(),
            "root_id": self._root_id,
            "host": {"hostname": socket.gethostname(), "version": VERSION, "pid": os.getpid(), **self._facts},
            "job_queue": self._host.job_queue(),
        }
        if self.config.session_timeout_seconds:
            request["session_timeout_seconds"] = self.config.session_timeout_seconds
        if self.config.server_pipe:
            request["pipe_id"] = self.config.server_pipe
        return request

    async def _serve(self, grant: Grant) -> None:
        """Runs the session's tasks until one of them fails. Raises what it raised."""
        encode = mapping.event_encoder(msgspec.to_builtins(self.config.fields_mapping), grant.protocol)
        stream = Stream(grant.session_id, protocol=grant.protocol, committed=grant.committed_seq)
        self._message = MessagePhase(self._sender, stream, self._spool, self._collector, encode)
        self._heartbeat = Heartbeat(
            self._sender, grant.session_id, grant.session_timeout_seconds, grant.heartbeat_interval, self._report
        )
        self._commands = Commands(self._actions, self._heartbeat.beat_now)
        running = [self._heartbeat.run(self._answered), self._watch_health(), self._message.run()]
        if grant.protocol < PROTOCOL_V3:
            self._schedule = OwnSchedule(self._jobs, self.job_context, grant, lambda: self._role == Role.LEADER)
            running.append(self._schedule.run())
        self._commands.take(grant.commands)
        try:
            await first_failure(running)
        finally:
            await self._commands.stop()
            self._schedule = self._message = None

    def _answered(self, answer: HeartbeatAnswer) -> None:
        self._recovery.succeeded()
        if answer.role != self._role:
            self._log.info("role changed", role=answer.role)
        self._role = answer.role
        assert self._commands is not None
        self._commands.reported(self._reported)
        self._commands.take(answer.commands)

    async def _watch_health(self) -> None:
        """Looks every few seconds whether the storage is still the same and realtime still moves, and what audits found active."""
        while True:
            await asyncio.sleep(IDENTITY_SECONDS)
            self._attend_active()
            now = await self._identity()
            if now and now != self._root_id:
                raise SessionObsolete(f"{self.source.uri} is another storage now: {now}, not {self._root_id or 'readable'}")
            if self._message is not None and asyncio.get_running_loop().time() - self._message.progress_at > STUCK_SECONDS:
                raise SessionObsolete("the message phase made no progress: started again")

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
        assert self._grant is not None, "commands come with a session"
        metadata = {"filename": str(command.get("filename") or "agent.yaml"), "config_yaml": self._host.config_yaml()}
        stream = Stream(self._grant.session_id, protocol=self._grant.protocol, stream=f"config-{command.get('id', '')}")
        body = stream.batch([], source_type=SourceType.CONFIG_REPORT.value, metadata=metadata)
        await self._sender.push(self._grant.session_id, self._sender.pack(body))
        return {}

    async def _start_job(self, command: dict[str, Any]) -> dict[str, Any]:
        """A job that came as a command. It waits until the source watches: watch first, then list (R38)."""
        job_id = str(command.get("job_id") or command["id"])
        while not self.source.ready and self.source.alive:
            await asyncio.sleep(READY_SECONDS)
        context = self.job_context()
        code = await self._jobs.start(context, job_id, _JOB_KINDS[command["type"]], self._own_lease(command, job_id, context))
        if code:
            raise SenderProblem(self._jobs.last_error)
        return {"job_id": job_id}

    def _own_lease(self, command: dict[str, Any], job_id: str, context: JobContext) -> Lease | None:
        if context.protocol >= PROTOCOL_V3:
            return None
        return Lease(
            job_id=job_id,
            kind=_JOB_KINDS[command["type"]],
            path=str(command.get("path") or "/"),
            recursive=bool(command.get("recursive", True)),
            session_id=context.session_id,
            task_id=self.task_id,
        )

    def job_context(self) -> JobContext:
        """What a job process must know to work for this AgentPipe now. Without a session, `session_id` is empty."""
        grant = self._grant or Grant(session_id="", protocol=PROTOCOL_V3)
        sender = self.config.sender
        if grant.protocol < PROTOCOL_V3:
            sender = msgspec.structs.replace(sender, settings={**sender.settings, "compression": "none"})
        return JobContext(
            pipe_id=self.config.id,
            task_id=self.task_id,
            session_id=grant.session_id,
            protocol=grant.protocol,
            source=self.config.source,
            sender=sender,
            state_directory=str(self._directory),
            root_id=self._root_id,
            fields_mapping=self.config.fields_mapping,
            epoch=grant.epoch,
            clock_ahead_ms=self._clock_ahead_ms(),
        )

    def _clock_ahead_ms(self) -> int:
        return self._server_clock.ahead_ms() if self._server_clock is not None else 0

    def _on_gap(self, event: Event) -> None:
        if self._schedule is not None:
            self._schedule.scan_soon(event.scope or "/")

    def _report(self) -> dict[str, Any]:
        """The body of the next heartbeat."""
        self._reported = self._commands.reports() if self._commands else []
        return {
            "can_realtime": self.source.ready,
            "agent_status": self.health(),
            "job_queue": self._host.job_queue(),
            "command_reports": self._reported,
        }

    @property
    def is_connected(self) -> bool:
        """True while a session is open: commands arrive."""
        return self._lifecycle is PipeState.RUNNING

    def state(self) -> PipeState:
        """Lifecycle and phases as flags."""
        state = self._lifecycle
        if state is PipeState.RUNNING:
            state |= PipeState.MESSAGE if self.source.ready else PipeState.STOPPED
        elif self._grant is not None:
            state |= PipeState.RECONNECTING
        return state

    def health(self) -> dict[str, Any]:
        """The health report of this AgentPipe."""
        return {
            **self._host.health(),
            "agent_id": self._host.agent_id,
            "pipe_id": self.config.id,
            "state": str(int(self.state())),
            "role": self._role,
            "is_realtime_ready": self.source.ready,
            "events_pushed": self._message.pushed if self._message else 0,
            "queue": len(self._spool),
            "spool_bytes": self._spool.bytes_on_disk,
            "events_lost": self._collector.lost,
            "waiting_for": self._message.waiting_for if self._message else "",
            "jobs": self._jobs.running,
            "clock_offset_seconds": round(self._clock_ahead_ms() / 1000, 1),
            "source": self.source.health(),
            "last_error": self.last_error or self._recovery.last_error,
        }

    async def _say_goodbye(self) -> None:
        if self._grant is not None:
            with contextlib.suppress(SenderProblem, TimeoutError):
                await asyncio.wait_for(self._sender.close_session(self._grant.session_id), CLOSE_SECONDS)
        await self._sender.close()


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
