"""What the server orders on heartbeats. Each command runs once per id, in a task of its own, and is reported back (R45)."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from agent_runner import log
from agent_runner.problems import AgentProblem, Refused

_log = log.get("commands")
REMEMBERED = 1_000

Action = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Commands:
    """Runs commands for one AgentPipe. `actions` by command type; each returns the command's result or raises AgentProblem."""

    def __init__(self, actions: dict[str, Action], changed: Callable[[], None]) -> None:
        self._actions, self._changed = actions, changed
        self._seen: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unreported: dict[str, dict[str, Any]] = {}

    def take(self, commands: list[dict[str, Any]]) -> None:
        """Starts what is new and acknowledges again what is known: the answer that carried the report may have been lost."""
        for command in commands:
            number = str(command.get("id") or command.get("job_id") or "")
            known = self._seen.get(number) if number else None
            if known is not None:
                self._unreported[number] = known
                continue
            self._start(number, command)

    def reports(self) -> list[dict[str, Any]]:
        """The reports for the next heartbeat."""
        return list(self._unreported.values())

    def reported(self, reports: list[dict[str, Any]]) -> None:
        """These reports were delivered."""
        for report in reports:
            if self._unreported.get(report["id"]) == report:
                del self._unreported[report["id"]]

    async def stop(self) -> None:
        """Ends what still runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, number: str, command: dict[str, Any]) -> None:
        self._note(number, "RUNNING")
        task = asyncio.create_task(self._run(number, command), name=f"command {number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, number: str, command: dict[str, Any]) -> None:
        kind = str(command.get("type"))
        _log.info("command", type=kind, id=number)
        try:
            action = self._actions.get(kind)
            if action is None:
                raise Refused(f"this agent does not carry out {kind!r}", "Nothing was changed.")
            result = await action(command)
        except (AgentProblem, OSError) as problem:
            _log.error("command failed", type=kind, id=number, reason=str(problem))
            self._note(number, "FAILED", error=str(problem))
        else:
            self._note(number, "DONE", result=result)
        self._changed()

    def _note(self, number: str, state: str, *, result: dict[str, Any] | None = None, error: str = "") -> None:
        if not number:
            return
        report = {"id": number, "state": state, "result": result or {}, "error": error}
        self._seen[number] = self._unreported[number] = report
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
