"""Back-pressure: bounded bytes, one batch at a time per session, sessions in turn (scenarios 159, 160)."""

import asyncio

import pytest

from apps.runtime.problems import Busy, Unavailable
from apps.sessions.admission import Admission


async def hold(gate: Admission, sender: str, size: int, release: asyncio.Event) -> None:
    async with gate.turn(sender, size):
        await release.wait()


async def test_one_sender_may_use_half_of_the_bytes() -> None:
    gate, release = Admission(1000), asyncio.Event()
    held = asyncio.create_task(hold(gate, "a", 400, release))
    await asyncio.sleep(0)
    with pytest.raises(Busy) as refused:
        async with gate.turn("a", 200):
            pass
    assert refused.value.retry_after
    async with gate.turn("b", 200):
        assert gate.bytes_in_flight == 600
    release.set()
    await held
    assert gate.bytes_in_flight == 0


async def test_all_senders_together_are_bounded() -> None:
    gate, release = Admission(1000), asyncio.Event()
    held = [asyncio.create_task(hold(gate, sender, 450, release)) for sender in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        async with gate.turn("c", 200):
            pass
    assert refused.value.retry_after
    release.set()
    await asyncio.gather(*held)


async def test_a_lone_body_is_let_in_however_big() -> None:
    gate = Admission(1000)
    async with gate.turn("a", 5000):
        assert gate.bytes_in_flight == 5000


async def test_batches_of_one_sender_come_one_by_one_in_order() -> None:
    gate, order, inside = Admission(1000), [], 0

    async def push(number: int) -> None:
        nonlocal inside
        async with gate.turn("a", 1):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            order.append(number)
            inside -= 1

    await asyncio.gather(*(push(number) for number in range(20)))
    assert order == list(range(20))


async def test_the_number_of_waiting_batches_is_bounded() -> None:
    gate, release = Admission(1000, most_batches_per_sender=3), asyncio.Event()
    held = [asyncio.create_task(hold(gate, "a", 1, release)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        async with gate.turn("a", 1):
            pass
    release.set()
    await asyncio.gather(*held)


async def test_a_refused_or_cancelled_batch_leaves_nothing_behind() -> None:
    gate, release = Admission(1000), asyncio.Event()
    holder = asyncio.create_task(hold(gate, "a", 100, release))
    waiter = asyncio.create_task(hold(gate, "a", 100, release))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert gate.bytes_in_flight == 100
    release.set()
    await holder
    assert gate.bytes_in_flight == 0
