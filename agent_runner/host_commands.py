"""Commands that concern the whole agent: reload, update, check, stop and start, upgrade. The supervisor hands them to every pipe.

A command may end the very pipe that brought it: what it does runs on in a task of its own, and only the waiting ends.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from agent_runner.commands import Action
from agent_runner.problems import Refused

# so that the report of a stop still gets out with the next heartbeat
STOP_AFTER_SECONDS = 1.0


class Operated(Protocol):
    """What these commands act on: the supervisor."""

    async def reload(self) -> dict[str, Any]:
        """Fetches the desired configuration and applies it."""

    async def update(self, config_yaml: str) -> dict[str, Any]:
        """Applies a configuration given as YAML."""

    async def check(self, document: dict[str, Any]) -> dict[str, Any]:
        """Looks whether a configuration would work here."""

    async def upgrade(self) -> dict[str, Any]:
        """Runs the host's own upgrade command, then restarts the agent."""

    async def stop_pipe(self, pipe_id: str) -> None:
        """Stops one pipe."""

    def start_pipe(self, pipe_id: str) -> None:
        """Starts one pipe that was stopped."""

    def has_pipe(self, pipe_id: str) -> bool:
        """True for a pipe of the configuration."""


class HostCommands:
    """The actions, by command type."""

    def __init__(self, operated: Operated, allowed: tuple[str, ...]) -> None:
        self._operated, self._allowed = operated, allowed
        self._tasks: set[asyncio.Task[Any]] = set()

    def actions(self) -> dict[str, Action]:
        """What a pipe's Commands may call."""
        return {
            "reload_config": self._reload,
            "update_config": self._update,
            "check_config": self._check,
            "stop_pipe": self._stop,
            "start_pipe": self._start,
            "upgrade": self._upgrade,
        }

    async def _reload(self, command: dict[str, Any]) -> dict[str, Any]:
        return await self._apart(self._operated.reload())

    async def _update(self, command: dict[str, Any]) -> dict[str, Any]:
        if "update_config" not in self._allowed:
            raise Refused("this host does not take its configuration in commands", "Start the agent with --allow update_config.")
        return await self._apart(self._operated.update(str(command.get("config_yaml", ""))))

    async def _check(self, command: dict[str, Any]) -> dict[str, Any]:
        document = command.get("config")
        return await self._apart(self._operated.check(document if isinstance(document, dict) else {}))

    async def _stop(self, command: dict[str, Any]) -> dict[str, Any]:
        pipe_id = self._known_pipe(command)
        self._later(lambda: self._operated.stop_pipe(pipe_id))
        return {"pipe_id": pipe_id}

    async def _start(self, command: dict[str, Any]) -> dict[str, Any]:
        pipe_id = self._known_pipe(command)
        self._operated.start_pipe(pipe_id)
        return {"pipe_id": pipe_id}

    async def _upgrade(self, command: dict[str, Any]) -> dict[str, Any]:
        """What is run is the host's own affair: nothing of the command goes into it."""
        if "upgrade" not in self._allowed:
            raise Refused(
                "this agent does not upgrade itself", "Upgrade it on its host, or start it with --upgrade-command to allow that."
            )
        return await self._apart(self._operated.upgrade())

    def _known_pipe(self, command: dict[str, Any]) -> str:
        pipe_id = str(command.get("pipe_id", ""))
        if not self._operated.has_pipe(pipe_id):
            raise Refused(f"this agent has no pipe {pipe_id!r}")
        return pipe_id

    async def _apart(self, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        task = asyncio.create_task(work)
        self._keep(task)
        return await asyncio.shield(task)

    def _later(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await asyncio.sleep(STOP_AFTER_SECONDS)
            await work()

        self._keep(asyncio.create_task(run()))

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
