"""One source, several pipes: a ring buffer of events with a position per subscriber. Sources publish from their thread, pipes
take in their event loop.

A pipe that falls behind never holds back another: when the fastest is nearly a whole ring ahead of the slowest, the slow ones
get a ring of their own. A position that was overwritten all the same is told to its subscriber as lost.
"""

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from fustor_schema.wire import Event

CAPACITY = 100_000
SPLIT_AT = 0.95


@dataclass(frozen=True)
class Taken:
    """What a subscriber got. `lost`: how many events were overwritten before it came for them."""

    events: list[Event]
    lost: int


class Ring:
    """Numbered events, the oldest overwritten. Not thread-safe by itself: Fanout holds the lock."""

    def __init__(self, capacity: int, start: int = 0, events: Iterable[Event] = ()) -> None:
        self.capacity = capacity
        self._events: deque[Event] = deque(events, maxlen=capacity)
        self.end = start + len(self._events)

    @property
    def start(self) -> int:
        """The number of the oldest event still there."""
        return self.end - len(self._events)

    def append(self, events: Iterable[Event]) -> None:
        """Adds events; the oldest go when the ring is full."""
        before = len(self._events)
        added = list(events)
        self._events.extend(added)
        self.end += len(added)
        assert len(self._events) >= min(before, self.capacity)

    def slice(self, position: int, most: int) -> list[Event]:
        """Up to `most` events from a position on."""
        first = max(0, position - self.start)
        return list(itertools.islice(self._events, first, first + most))

    def drop_before(self, position: int) -> None:
        """Lets go of what every subscriber has taken."""
        while self._events and self.start < position:
            self._events.popleft()


class Subscriber:
    """One pipe's place in the stream."""

    def __init__(self, fanout: "Fanout", ring: Ring, loop: asyncio.AbstractEventLoop) -> None:
        self._fanout, self._loop = fanout, loop
        self.ring, self.position = ring, ring.end
        self._wake = asyncio.Event()

    async def take(self, most: int) -> Taken:
        """The next events, waiting for at least one."""
        while True:
            taken = self._fanout.take(self, most)
            if taken.events or taken.lost:
                return taken
            await self._wake.wait()
            self._wake.clear()

    @property
    def behind(self) -> int:
        """How many events wait for this subscriber."""
        return self.ring.end - self.position

    def wake(self) -> None:
        """Called from the source's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def close(self) -> None:
        """Takes no more."""
        self._fanout.unsubscribe(self)


class Fanout:
    """Where a source publishes and pipes subscribe. Publishing never blocks."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []
        self.splits = 0

    def subscribe(self) -> Subscriber:
        """A new subscriber that sees everything published from now on. Call it in the loop that takes."""
        with self._lock:
            ring = self._subscribers[0].ring if self._subscribers else Ring(self._capacity)
            subscriber = Subscriber(self, ring, asyncio.get_running_loop())
            self._subscribers.append(subscriber)
            return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forgets a subscriber."""
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def publish(self, events: list[Event]) -> None:
        """Gives events to every subscriber. From any thread."""
        with self._lock:
            for ring in self._rings():
                ring.append(events)
                self._split(ring)
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            subscriber.wake()

    def take(self, subscriber: Subscriber, most: int) -> Taken:
        """Moves a subscriber on by up to `most` events."""
        with self._lock:
            ring = subscriber.ring
            lost = max(0, ring.start - subscriber.position)
            subscriber.position += lost
            events = ring.slice(subscriber.position, most)
            subscriber.position += len(events)
            ring.drop_before(min(other.position for other in self._on(ring)))
            return Taken(events, lost)

    def _rings(self) -> list[Ring]:
        return list({id(subscriber.ring): subscriber.ring for subscriber in self._subscribers}.values())

    def _on(self, ring: Ring) -> list[Subscriber]:
        return [subscriber for subscriber in self._subscribers if subscriber.ring is ring]

    def _split(self, ring: Ring) -> None:
        positions = [subscriber.position for subscriber in self._on(ring)]
        if not positions or max(positions) - min(positions) < SPLIT_AT * ring.capacity:
            return
        half = (max(positions) + min(positions)) / 2
        slow = [subscriber for subscriber in self._on(ring) if subscriber.position < half]
        start = max(ring.start, min(subscriber.position for subscriber in slow))
        own = Ring(ring.capacity, start, ring.slice(start, ring.capacity))
        for subscriber in slow:
            subscriber.ring = own
        self.splits += 1
