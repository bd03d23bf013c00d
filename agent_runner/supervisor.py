"""Runs everything on one host: sources, pipes, job worker. Restarts what ends by itself, applies new configuration, stops cleanly.

Started by `fustor-agent run`.
"""

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field

import msgspec

from agent_runner import health, log, running
from agent_runner.config import AgentConfig, PipeConfig, SourceConfig
from agent_runner.drivers import Source, make_source
from agent_runner.error_recovery import Recovery
from agent_runner.home import Home
from agent_runner.pipe import AgentPipe, Host
from agent_runner.problems import SourceProblem
from agent_runner.worker import Worker, broker_answers

TEND_SECONDS = 1.0
STOP_SECONDS = 4.0
WORKER_SECONDS = 20.0
WORKER_TURN_SECONDS = 0.05

_log = log.get("supervisor")


@dataclass
class RunningSource:
    """A source, started or waiting for its next try."""

    source: Source
    recovery: Recovery = field(default_factory=lambda: Recovery(first=1.0, longest=30.0))
    started: bool = False
    next_try: float = 0.0


@dataclass
class RunningPipe:
    """A pipe and its task."""

    pipe: AgentPipe
    task: "asyncio.Task[None]"
    recovery: Recovery = field(default_factory=Recovery)


class Supervisor:
    """The agent. `run` returns when it was told to stop."""

    def __init__(self, config: AgentConfig, home: Home, log_format: str) -> None:
        self._config, self._home, self._log_format = config, home, log_format
        self._sources: dict[bytes, RunningSource] = {}
        self._pipes: dict[str, RunningPipe] = {}
        self._stopping = asyncio.Event()
        self._worker_deadline = 0.0
        self._host = Host(
            agent_id=config.agent_id,
            home=home,
            actions={},
            job_queue=lambda: self._worker is not None and self._worker.is_up(),
            worker_ready=self._worker_ready,
            session_changed=self._note_sessions,
            health=health.report,
            log_format=log_format,
        )
        self._worker = Worker(config.broker_url, config.agent_id, home, log_format) if config.broker_url else None

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT, then stops everything within a few seconds. Raises ConfigProblem."""
        loop = asyncio.get_running_loop()
        self._worker_deadline = loop.time() + WORKER_SECONDS
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        worker = asyncio.create_task(self._worker.run(), name="worker") if self._worker else None
        try:
            self._start_pipes()
            self._home.write_json(self._home.last_config, self._config)
            await self._tend_until_stopped()
        finally:
            await self._stop(worker)

    async def apply(self, config: AgentConfig) -> None:
        """Goes over to another configuration: only pipes that differ are touched (R53). Raises ConfigProblem, then nothing is."""
        for pipe in config.pipes:
            make_source(pipe.source)
        kept = {pipe.id: pipe for pipe in config.pipes if not pipe.disabled}
        changed = [name for name, item in self._pipes.items() if kept.get(name) != item.pipe.config]
        await asyncio.gather(*(self._stop_pipe(name) for name in changed))
        self._config = config
        self._start_pipes()
        self._stop_unused_sources()
        self._home.write_json(self._home.last_config, config)
        _log.info("configuration applied", revision=config.revision, pipes=sorted(self._pipes))

    async def _worker_ready(self) -> None:
        """The server decides at the start of a session how it delivers jobs: a worker that is just starting is waited for, once."""
        loop = asyncio.get_running_loop()
        if self._worker is None or self._worker.is_up() or not await broker_answers(self._config.broker_url):
            return
        while not self._worker.is_up() and loop.time() < self._worker_deadline:
            await asyncio.sleep(WORKER_TURN_SECONDS)

    async def _tend_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._tend_sources()
            self._tend_pipes()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TEND_SECONDS)

    def _start_pipes(self) -> None:
        for config in self._config.pipes:
            if not config.disabled and config.id not in self._pipes:
                self._pipes[config.id] = self._start_pipe(config)
        self._tend_sources()

    def _start_pipe(self, config: PipeConfig) -> RunningPipe:
        pipe = AgentPipe(config, self._host, self._source(config.source))
        return RunningPipe(pipe, asyncio.create_task(pipe.run(), name=f"pipe {config.id}"))

    def _source(self, config: SourceConfig) -> Source:
        key = msgspec.json.encode(config)
        if key not in self._sources:
            self._sources[key] = RunningSource(make_source(config))
        return self._sources[key].source

    def _tend_sources(self) -> None:
        """Starts sources that do not run: at first, after a failure, and when their thread ended by itself."""
        now = asyncio.get_running_loop().time()
        for item in self._sources.values():
            if item.started and item.source.alive:
                continue
            if item.started:
                item.started = False
                item.source.stop()
                item.next_try = now + item.recovery.failed(SourceProblem("the watching thread ended"))
            elif now >= item.next_try:
                self._try_source(item, now)

    def _try_source(self, item: RunningSource, now: float) -> None:
        try:
            item.source.start()
        except SourceProblem as problem:
            item.next_try = now + item.recovery.failed(problem)
            _log.error("source not started", uri=item.source.uri, reason=str(problem), fix=problem.fix)
        else:
            item.started = True

    def _tend_pipes(self) -> None:
        """A pipe's task never ends by itself; one that did has a bug, and must not take the others with it."""
        for name, item in list(self._pipes.items()):
            if item.task.done() and not item.task.cancelled():
                error = item.task.exception()
                _log.error("pipe ended by itself and is started again", pipe=name, error=repr(error), exc_info=error)
                self._pipes[name] = self._start_pipe(item.pipe.config)

    def _note_sessions(self) -> None:
        running.write(self._home, [item.pipe.job_context() for item in self._pipes.values() if item.pipe.has_session])

    async def _stop_pipe(self, name: str) -> None:
        item = self._pipes.pop(name)
        item.task.cancel()
        await asyncio.gather(item.task, return_exceptions=True)

    def _stop_unused_sources(self) -> None:
        used = {msgspec.json.encode(pipe.source) for pipe in self._config.pipes if not pipe.disabled}
        for key in [key for key in self._sources if key not in used]:
            self._stop_source(self._sources.pop(key))

    def _stop_source(self, item: RunningSource) -> None:
        if not item.source.stop():
            _log.error("a watching thread does not end: it hangs in the storage", uri=item.source.uri)

    async def _stop(self, worker: "asyncio.Task[None] | None") -> None:
        _log.info("stopping")
        tasks = [item.task for item in self._pipes.values()] + ([worker] if worker else [])
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in pending:
                _log.error("did not stop in time", task=task.get_name())
        for item in self._sources.values():
            self._stop_source(item)
        self._home.running.unlink(missing_ok=True)
        _log.info("stopped")
