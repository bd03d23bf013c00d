"""Questions to storage that hangs."""

import asyncio
import threading

import pytest

from agent_runner.asking import Asking


async def test_an_answer_and_an_error_reach_who_asked() -> None:
    assert await Asking(lambda: 7).ask(1) == 7
    with pytest.raises(OSError, match="gone"):
        await Asking(open_nothing).ask(1)


def open_nothing() -> None:
    raise OSError("gone")


async def test_a_question_that_hangs_costs_one_thread_and_no_waiting() -> None:
    mount_answers = threading.Event()
    asked: list[int] = []

    def question() -> str:
        asked.append(1)
        mount_answers.wait(10)
        return "back"

    asking = Asking(question)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asking.ask(0.05)
    assert len(asked) == 1
    mount_answers.set()
    await asyncio.sleep(0.05)
    assert await asking.ask(1) == "back"
