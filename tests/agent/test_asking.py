"""Questions to storage that hangs."""

import asyncio
import contextlib
import threading

import pytest

from agent_runner.asking import Asking
from tests.blackbox.processes import PATIENCE_SECONDS


async def test_an_answer_and_an_error_reach_who_asked() -> None:
    assert await Asking(lambda: 7).ask(PATIENCE_SECONDS) == 7
    with pytest.raises(OSError, match="gone"):
        await Asking(open_nothing).ask(PATIENCE_SECONDS)


def open_nothing() -> None:
    raise OSError("gone")


async def test_a_question_that_hangs_costs_one_thread_and_no_waiting() -> None:
    mount_answers = threading.Event()
    asked: list[int] = []

    def question() -> str:
        asked.append(1)
        mount_answers.wait(PATIENCE_SECONDS)
        return "back"

    asking = Asking(question)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asking.ask(0.05)
    mount_answers.set()
    assert await answer_of(asking) == "back"
    # the one that hung, and the one that was answered
    assert len(asked) == 2


async def answer_of(asking: Asking[str]) -> str:
    """Asks again and again, as the agent does: the thread that hung ends in its own time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(TimeoutError):
                return await asking.ask(PATIENCE_SECONDS)
            await asyncio.sleep(0.01)
