"""Pushes one batch until it is committed: waits when the server asks for time, tries again when it is away. Used by every phase."""

import asyncio
from collections.abc import Callable

from agent_runner import log
from agent_runner.drivers import Packed, PushAnswer, Sender
from agent_runner.error_recovery import Recovery
from agent_runner.problems import Busy, Unreachable

_log = log.get("pushing")


async def push_until_committed(
    sender: Sender, session_id: str, batch: Packed, recovery: Recovery, waiting: Callable[[str], None] | None = None
) -> PushAnswer:
    """Sends a batch again and again until the server has committed it: the same bytes each time, so it counts once (R1, R31).

    `waiting` is told why it waits. Raises every SenderProblem that waiting does not cure.
    """
    while True:
        try:
            answer = await sender.push(session_id, batch)
        except Busy as problem:
            pause, reason = problem.retry_after, str(problem)
        except Unreachable as problem:
            pause, reason = recovery.failed(problem), str(problem)
        else:
            recovery.succeeded()
            _report_rejected(answer)
            return answer
        _log.warning("batch waits", reason=reason, seconds=round(pause, 1))
        if waiting is not None:
            waiting(reason)
        await asyncio.sleep(pause)


def _report_rejected(answer: PushAnswer) -> None:
    if answer.rejected:
        _log.warning("rows refused", count=len(answer.rejected), first=answer.rejected[0])
