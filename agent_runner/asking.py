"""Questions to storage that may never answer, asked from a daemon thread: neither the event loop nor the end of the process waits.

Used by mount.py for the mount's identity.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class Asking(Generic[T]):
    """One question, asked again and again. While an earlier one hangs no other is asked: a dead mount costs one thread."""

    def __init__(self, question: Callable[[], T]) -> None:
        self._question = question
        self._hangs = False

    async def ask(self, timeout: float) -> T:
        """The answer. Raises what the question raises; TimeoutError when it takes longer (seconds) or an earlier one hangs."""
        if self._hangs:
            raise TimeoutError
        self._hangs = True
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        threading.Thread(target=self._run, args=(loop, answer), name="asking", daemon=True).start()
        return await asyncio.wait_for(answer, timeout)

    def _run(self, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]") -> None:
        try:
            found = self._question()
        except Exception as error:  # handed to whoever asked
            tell = partial(answer.set_exception, error)
        else:
            tell = partial(answer.set_result, found)
        self._hangs = False
        _tell(loop, answer, tell)


def _tell(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]", tell: Callable[[], None]) -> None:
    def when_still_wanted() -> None:
        if not answer.done():
            tell()

    if not loop.is_closed():
        loop.call_soon_threadsafe(when_still_wanted)
