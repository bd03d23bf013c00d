"""The heartbeat of one session: its own task, its own connection, nothing between it and the server (the control plane first)."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from agent_runner import log
from agent_runner.drivers import HeartbeatAnswer, Sender
from agent_runner.error_recovery import Recovery
from agent_runner.problems import Busy, SessionObsolete, Unreachable

_log = log.get("heartbeat")
SHORTEST_SECONDS = 0.2


class Heartbeat:
    """Beats until the session ends. `report` makes the body, `answered` takes the answer; both return at once."""

    def __init__(
        self, sender: Sender, session_id: str, timeout: float, interval: float | None, report: Callable[[], dict[str, Any]]
    ) -> None:
        self._sender, self._session_id, self._report = sender, session_id, report
        self._timeout = timeout
        self._interval = max(SHORTEST_SECONDS, min(interval or timeout / 2, timeout / 2))
        self._soon = asyncio.Event()
        self._answered_at = time.monotonic()
        self._recovery = Recovery(first=min(1.0, self._interval), longest=self._interval)

    def beat_now(self) -> None:
        """Something changed that the server should know at once."""
        self._soon.set()

    async def run(self, answered: Callable[[HeartbeatAnswer], None]) -> None:
        """Raises SessionObsolete when the session is over, NotAuthorized or Refused when the server wants no more of them."""
        while True:
            pause = self._interval
            try:
                answer = await self._sender.heartbeat(self._session_id, self._report())
            except (Unreachable, Busy) as problem:
                pause = self._recovery.failed(problem)
                self._check_silence(problem)
            else:
                self._recovery.succeeded()
                self._answered_at = time.monotonic()
                answered(answer)
            await self._wait(pause)

    def _check_silence(self, problem: Exception) -> None:
        silent = time.monotonic() - self._answered_at
        _log.warning("heartbeat unanswered", reason=str(problem), silent_seconds=round(silent, 1))
        if silent > 2 * self._timeout:
            raise SessionObsolete(f"no heartbeat was answered for {silent:.0f} s: the session is over")

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._soon.wait(), seconds)
        except TimeoutError:
            return
        self._soon.clear()
