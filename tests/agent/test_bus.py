"""The bus: everybody gets everything in order; a slow pipe costs nobody but itself."""

import asyncio

from agent_runner.bus import Fanout, Subscriber
from fustor_schema.wire import Event
from tests.blackbox.processes import PATIENCE_SECONDS


def events(start: int, count: int) -> list[Event]:
    return [Event(event_type="insert", index=number) for number in range(start, start + count)]


async def numbers(subscriber: Subscriber, most: int = 1_000_000) -> list[int]:
    return [int(event.index or 0) for event in (await subscriber.take(most)).events]


async def test_every_subscriber_gets_every_event_in_order() -> None:
    fanout = Fanout(100)
    one, two = fanout.subscribe(), fanout.subscribe()
    fanout.publish(events(0, 50))
    assert await numbers(one, 30) == list(range(30))
    assert await numbers(two) == list(range(50))
    assert await numbers(one) == list(range(30, 50))


async def test_a_subscriber_waits_for_events_of_another_thread() -> None:
    fanout = Fanout(100)
    subscriber = fanout.subscribe()
    waiting = asyncio.create_task(numbers(subscriber))
    await asyncio.to_thread(fanout.publish, events(0, 3))
    assert await asyncio.wait_for(waiting, PATIENCE_SECONDS) == [0, 1, 2]


async def test_a_slow_pipe_is_split_off_and_loses_nothing_of_its_ring() -> None:
    fanout = Fanout(100)
    fast, slow = fanout.subscribe(), fanout.subscribe()
    for start in range(0, 95, 5):
        fanout.publish(events(start, 5))
        await numbers(fast)
    fanout.publish(events(95, 1))
    assert fanout.splits == 1
    assert fast.ring is not slow.ring
    fanout.publish(events(96, 4))
    assert await numbers(fast) == list(range(95, 100))
    assert await numbers(slow) == list(range(100))


async def test_a_position_that_was_overwritten_is_told_as_lost() -> None:
    fanout = Fanout(100)
    fast, slow = fanout.subscribe(), fanout.subscribe()
    for start in range(0, 300, 10):
        fanout.publish(events(start, 10))
        await numbers(fast)
    taken = await slow.take(1_000)
    assert taken.lost == 200
    assert [event.index for event in taken.events] == list(range(200, 300))


async def test_what_all_have_taken_is_let_go() -> None:
    fanout = Fanout(100)
    one, two = fanout.subscribe(), fanout.subscribe()
    fanout.publish(events(0, 50))
    await numbers(one)
    await numbers(two)
    assert one.ring.start == one.ring.end == 50
    two.close()
    fanout.publish(events(50, 1))
    assert await numbers(one) == [50]
