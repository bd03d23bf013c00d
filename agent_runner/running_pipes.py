"""The AgentPipes that this agent runs, each in a task of its own: started, held, started again, stopped. Used by the supervisor."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent_runner import log
from agent_runner.config import PipeConfig
from agent_runner.phases.scan import JobContext
from agent_runner.pipe import AgentPipe

_log = log.get("pipes")


@dataclass
class _Running:
    """A pipe and its task."""

    pipe: AgentPipe
    task: "asyncio.Task[None]"


class RunningPipes:
    """Every pipe by its id. `make` makes one of its configuration; it may raise ConfigProblem."""

    def __init__(self, make: Callable[[PipeConfig], AgentPipe]) -> None:
        self._make = make
        self._pipes: dict[str, _Running] = {}
        self._held: set[str] = set()

    @property
    def ids(self) -> list[str]:
        """The pipes that run, sorted."""
        return sorted(self._pipes)

    @property
    def any_connected(self) -> bool:
        """True while some pipe has a session: commands arrive."""
        return any(item.pipe.is_connected for item in self._pipes.values())

    @property
    def any_reports(self) -> bool:
        """True while a server was not told how some command ended."""
        return any(item.pipe.has_reports for item in self._pipes.values())

    def job_contexts(self) -> list[JobContext]:
        """What job processes must know of each."""
        return [item.pipe.job_context() for item in self._pipes.values()]

    def start(self, wanted: Iterable[PipeConfig]) -> None:
        """Starts those that do not run, are not disabled and not held."""
        for config in wanted:
            if not (config.disabled or config.id in self._pipes or config.id in self._held):
                self._start(config)

    def tend(self) -> None:
        """A pipe's task never ends by itself; one that did has a bug, and must not take the others with it."""
        for name, item in list(self._pipes.items()):
            if item.task.done() and not item.task.cancelled():
                error = item.task.exception()
                _log.error("pipe ended by itself and is started again", pipe=name, error=repr(error), exc_info=error)
                self._start(item.pipe.config)

    async def hold(self, pipe_id: str) -> None:
        """Stops one pipe until it is released, or the agent is started again."""
        self._held.add(pipe_id)
        await self._stop(pipe_id)

    def release(self, pipe_id: str) -> None:
        """It may be started again."""
        self._held.discard(pipe_id)

    async def keep_only(self, wanted: Iterable[PipeConfig]) -> None:
        """Stops those that are not among these exactly as they are (R53)."""
        kept = {config.id: config for config in wanted if not config.disabled}
        changed = [name for name, item in self._pipes.items() if kept.get(name) != item.pipe.config]
        await asyncio.gather(*(self._stop(name) for name in changed))

    def cancel(self) -> list["asyncio.Task[None]"]:
        """Tells all to end. Returns what to wait for."""
        tasks = [item.task for item in self._pipes.values()]
        for task in tasks:
            task.cancel()
        return tasks

    def _start(self, config: PipeConfig) -> None:
        pipe = self._make(config)
        self._pipes[config.id] = _Running(pipe, asyncio.create_task(pipe.run(), name=f"pipe {config.id}"))

    async def _stop(self, pipe_id: str) -> None:
        item = self._pipes.pop(pipe_id, None)
        if item is not None:
            item.task.cancel()
            await asyncio.gather(item.task, return_exceptions=True)
