"""Runs everything on one host: sources, pipes, job worker. Restarts what ends by itself, applies new configuration, stops cleanly.

Started by `fustor-agent run`.
"""

import asyncio
import contextlib
import signal
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from agent_runner import check, health, log
from agent_runner.config import AgentConfig, Own, PipeConfig, from_document, from_yaml, to_yaml
from agent_runner.drivers import make_sender, make_source
from agent_runner.error_recovery import Recovery
from agent_runner.home import Home
from agent_runner.home_notes import HomeNotes
from agent_runner.host import Host
from agent_runner.host_commands import HostCommands
from agent_runner.job_processes import JobProcesses
from agent_runner.mapping import compile_projection
from agent_runner.pipe import AgentPipe
from agent_runner.problems import AgentProblem, ConfigProblem
from agent_runner.running_pipes import RunningPipes
from agent_runner.running_sources import RunningSources
from agent_runner.server_config import ServerConfig
from agent_runner.upgrade import LOG_FILE, RESTART, Upgrade
from agent_runner.worker import Worker

TEND_SECONDS = 1.0
FOLLOW_SECONDS, UNCONNECTED_FOLLOW_SECONDS = 300.0, 5.0
STOP_SECONDS = 4.0
LAST_REPORTS_SECONDS, LAST_REPORTS_TURN_SECONDS = 10.0, 0.2

_log = log.get("supervisor")


@dataclass(frozen=True)
class Options:
    """How the agent was started. `own`: its server and key; `allowed_commands`: remote commands that are off by default;
    `upgrade_command`: what the remote command `upgrade` runs, empty when it is refused."""

    own: Own
    allowed_commands: tuple[str, ...] = ()
    upgrade_command: tuple[str, ...] = ()
    log_format: str = "text"

    @property
    def opted_in(self) -> tuple[str, ...]:
        """All remote commands that this host takes although they are off by default."""
        return (*self.allowed_commands, "upgrade") if self.upgrade_command else self.allowed_commands


class Supervisor:
    """The agent. `run` returns when it was told to stop."""

    def __init__(self, config: AgentConfig, home: Home, options: Options) -> None:
        self._config, self._options = config, options
        self._server_config = ServerConfig(options.own) if options.own.server and options.own.key else None
        self._sources, self._notes = RunningSources(), HomeNotes(home)
        self._pipes = RunningPipes(self._make_pipe)
        self._upgrade = Upgrade(options.upgrade_command, home.path / LOG_FILE)
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._job_processes = JobProcesses(options.log_format)
        self._worker = Worker(config.broker_url, config.agent_id, home, options.log_format) if config.broker_url else None
        self._host = Host(
            agent_id=config.agent_id,
            home=home,
            actions=HostCommands(self, options.opted_in).actions(),
            job_queue=lambda: self._worker is not None and self._worker.is_up(),
            worker_ready=self._worker.ready if self._worker is not None else _at_once,
            session_changed=self._note_sessions,
            health=lambda: {**health.report(), "home_error": self._notes.error},
            config_yaml=lambda: to_yaml(self._config),
            allowed_commands=options.opted_in,
            job_processes=self._job_processes,
        )

    async def run(self) -> int:
        """Runs until SIGTERM or SIGINT, or until it must be started again, then stops everything within a few seconds. Returns the
        exit code. Raises ConfigProblem."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        helpers = [asyncio.create_task(self._follow_server(), name="server configuration")]
        if self._worker is not None:
            helpers.append(asyncio.create_task(self._worker.run(), name="worker"))
        try:
            self._start_pipes()
            self._notes.configuration(self._config)
            await self._tend_until_stopped()
        finally:
            await self._stop(helpers)
        return self._exit_code

    async def _follow_server(self) -> None:
        """Asks now and then what the server wants, so that a lost `reload_config` costs minutes at most. While no pipe has a
        session no command can come: a host that waits for its first pipe, or has a wrong one, asks often."""
        recovery = Recovery()
        while self._server_config is not None:
            try:
                await self.reload()
            except AgentProblem as problem:
                _log.warning("the server's configuration is not applied", reason=str(problem), fix=problem.fix)
                pause = recovery.failed(problem)
            else:
                recovery.succeeded()
                pause = UNCONNECTED_FOLLOW_SECONDS
            await asyncio.sleep(FOLLOW_SECONDS if self._pipes.any_connected else pause)

    async def reload(self) -> dict[str, Any]:
        """Fetches the desired configuration, applies it when it is another, reports which one runs. Raises AgentProblem."""
        if self._server_config is None:
            return {"configuration": "local"}
        try:
            desired = await self._server_config.fetch()
            if desired is None:
                return {"configuration": "local"}
            await self.apply(msgspec.structs.replace(desired, broker_url=self._config.broker_url))
        except ConfigProblem as problem:
            await self._server_config.report(self._config.revision, str(problem))
            raise
        await self._server_config.report(self._config.revision)
        return {"revision": self._config.revision}

    async def update(self, config_yaml: str) -> dict[str, Any]:
        """Applies a configuration given as YAML. Raises ConfigProblem; then everything stays as it was."""
        wanted = from_yaml(config_yaml, self._options.own, "update_config")
        await self.apply(msgspec.structs.replace(wanted, broker_url=self._config.broker_url))
        return {"pipes": self._pipes.ids}

    async def upgrade(self) -> dict[str, Any]:
        """Runs the host's own upgrade command, then ends the agent to be started again. Raises what Upgrade.run raises."""
        result = await self._upgrade.run()
        self._restarting = asyncio.create_task(self._restart(), name="restart")
        return result

    async def _restart(self) -> None:
        """Once the server knows how the upgrade ended, or after a while without it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LAST_REPORTS_SECONDS
        await asyncio.sleep(LAST_REPORTS_TURN_SECONDS)
        while loop.time() < deadline and self._pipes.any_reports:
            await asyncio.sleep(LAST_REPORTS_TURN_SECONDS)
        _log.warning("restart after an upgrade", exit_code=RESTART)
        self._exit_code = RESTART
        self._stopping.set()

    async def check(self, document: dict[str, Any]) -> dict[str, Any]:
        """Looks whether a configuration would work here, and changes nothing. Raises ConfigProblem when it cannot be read."""
        wanted = from_document(document, self._options.own, "the form")
        return {"findings": [asdict(finding) for finding in await check.findings(wanted)]}

    def has_pipe(self, pipe_id: str) -> bool:
        """True for a pipe of the configuration."""
        return any(pipe.id == pipe_id for pipe in self._config.pipes)

    async def stop_pipe(self, pipe_id: str) -> None:
        """Stops one pipe until it is started again, or the agent is."""
        await self._pipes.hold(pipe_id)

    def start_pipe(self, pipe_id: str) -> None:
        """Starts one pipe that was stopped."""
        self._pipes.release(pipe_id)
        self._start_pipes()

    async def apply(self, config: AgentConfig) -> None:
        """Goes over to another configuration: only pipes that differ are touched (R53). Raises ConfigProblem, then nothing is."""
        if config == self._config:
            return
        for pipe in config.pipes:
            make_source(pipe.source)
            make_sender(pipe.sender)
            compile_projection(msgspec.to_builtins(pipe.fields_mapping))
        await self._pipes.keep_only(config.pipes)
        self._config = config
        self._start_pipes()
        self._sources.keep_only(pipe.source for pipe in config.pipes if not pipe.disabled)
        self._notes.configuration(self._config)
        _log.info("configuration applied", revision=config.revision, pipes=self._pipes.ids)

    async def _tend_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._sources.tend()
            self._pipes.tend()
            self._notes.write()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TEND_SECONDS)

    def _start_pipes(self) -> None:
        self._pipes.start(self._config.pipes)
        self._note_sessions()
        self._sources.tend()

    def _make_pipe(self, config: PipeConfig) -> AgentPipe:
        return AgentPipe(config, self._host, self._sources.get(config.source))

    def _note_sessions(self) -> None:
        self._notes.sessions(self._pipes.job_contexts)

    async def _stop(self, helpers: list["asyncio.Task[None]"]) -> None:
        _log.info("stopping")
        for helper in helpers:
            helper.cancel()
        _, pending = await asyncio.wait([*self._pipes.cancel(), *helpers], timeout=STOP_SECONDS)
        for task in pending:
            _log.error("did not stop in time", task=task.get_name())
        await self._job_processes.stop()
        self._sources.stop()
        self._notes.forget_sessions()
        _log.info("stopped")


async def _at_once() -> None:
    """There is no worker to wait for."""
