"""Rooms: one per watched board and process. A room listens to hints, reads and renders once, and hands the frame to its members.

The database is the truth: a room reads again when it is hinted, and at the latest after `REFRESH_SECONDS`, so a lost hint or
a Redis that is away costs freshness, never correctness.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import redis
import structlog
from channels.layers import get_channel_layer

from apps.runtime import lanes
from apps.runtime.lanes import Lane
from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board, draw
from apps.sessions.live import readers
from apps.sessions.live.frames import Frame, following
from apps.sessions.live.readers import Reader

log = structlog.get_logger(__name__)

COALESCE_SECONDS = 0.25
# heartbeats share the processor: a room that works long rests longer
REST_PER_WORK, LONGEST_REST_SECONDS = 4.0, 1.0
OFFERED_AT_ONCE = 10
REFRESH_SECONDS = 5.0
RESUBSCRIBE_SECONDS = 1.0
RESTART_SECONDS, LONGEST_RESTART_SECONDS = 0.5, 30.0
PROBE = "probe"


class Member(Protocol):
    """A socket in a room."""

    @property
    def reader(self) -> Reader:
        """Who reads there."""
        ...

    def offer(self, frame: Frame) -> None:
        """Take the newest frame; must not block."""
        ...

    def gone(self, detail: str) -> None:
        """The object no longer exists."""
        ...

    def barred(self) -> None:
        """The reader may no longer see what this room shows."""
        ...

    def logged_out(self) -> None:
        """The reader's login or key holds no more."""
        ...


@dataclass(eq=False)
class Room:
    """One board of this process, alive while it has members."""

    board: Board
    groups: tuple[str, ...]
    members: set[Member] = field(default_factory=set)
    frame: Frame | None = None
    _hinted: asyncio.Event = field(default_factory=asyncio.Event)
    _tried: asyncio.Event = field(default_factory=asyncio.Event)
    _listening: bool = False
    _channel: str = ""
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def open(self) -> None:
        """Start listening and reading."""
        self._hinted.set()
        self._tasks = [asyncio.create_task(self._for_ever(work)) for work in (self._listen, self._serve)]

    async def close(self) -> None:
        """Stop; called when the last member left."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def enter(self, member: Member) -> None:
        """Take a member in; it gets the present frame at once."""
        self.members.add(member)
        if self.frame:
            member.offer(self.frame)
        else:
            self._hinted.set()

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, and begin it again when it fails: the members of a room that stopped would wait in vain and not know it."""
        pause = RESTART_SECONDS
        while True:
            begun = time.monotonic()
            try:
                await work()
            except Exception:  # whatever it is, the next look may go well; a board that cannot be read is a fault to be found
                log.exception("live room failed and starts again", socket=self.board.socket, work=work.__name__)
                lasted = time.monotonic() - begun
                pause = RESTART_SECONDS if lasted > LONGEST_RESTART_SECONDS else min(2 * pause, LONGEST_RESTART_SECONDS)
                await asyncio.sleep(pause)
                self._hinted.set()

    async def _listen(self) -> None:
        """Turn hints into the event; subscribe again, for ever, when Redis was away."""
        layer = get_channel_layer()
        assert layer is not None, "settings.CHANNEL_LAYERS has a default"
        while True:
            try:
                self._channel = await layer.new_channel()
                for group in self.groups:
                    await layer.group_add(group, self._channel)
                self._listening = True
                self._tried.set()
                # what happened while nobody listened
                self._hinted.set()
                while True:
                    message = await layer.receive(self._channel)
                    self._listening = True
                    if message["type"] != PROBE:
                        self._hinted.set()
            except (redis.RedisError, OSError) as error:
                self._listening = False
                self._tried.set()
                log.warning("no live hints", socket=self.board.socket, error=str(error))
                await asyncio.sleep(RESUBSCRIBE_SECONDS)

    async def _serve(self) -> None:
        # so that the first frame says truly whether hints arrive
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESUBSCRIBE_SECONDS):
                await self._tried.wait()
        while True:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._hinted.wait()
            except TimeoutError:
                await self._probe()
            self._hinted.clear()
            begun = time.monotonic()
            await self._look()
            rest = min(LONGEST_REST_SECONDS, REST_PER_WORK * (time.monotonic() - begun))
            await asyncio.sleep(max(COALESCE_SECONDS, rest))

    async def _probe(self) -> None:
        """After a silence, find out whether hints could arrive: the layer reconnects by itself and never says so."""
        layer = get_channel_layer()
        if layer is None or not self._channel:
            return
        try:
            await layer.send(self._channel, {"type": PROBE})
        except (redis.RedisError, OSError):
            self._listening = False

    async def _look(self) -> None:
        """Read once, render once, offer to all who still may see it; keep quiet when nothing changed."""
        before = self.frame
        await self._show_out()
        known = before.state if before and before.hints == self._listening else None
        if not self.members:
            return
        try:
            seen = await lanes.run(Lane.QUERY, _read, self.board, known)
        except NotFound as problem:
            for member in tuple(self.members):
                member.gone(problem.detail)
            return
        if seen is None:
            return
        parts, state = seen
        self.frame = following(before, parts, state, self._listening)
        for number, member in enumerate(tuple(self.members), 1):
            member.offer(self.frame)
            if number % OFFERED_AT_ONCE == 0:  # a heartbeat need not wait until everyone was sent it
                await asyncio.sleep(0)

    async def _show_out(self) -> None:
        """Take away the members whose rights changed since they came in: they get no frame that was made after that."""
        present = tuple(self.members)  # who comes in during the question was asked at the door
        sights = await lanes.run(Lane.QUERY, readers.sights, {member.reader for member in present}, type(self.board))
        for member in present:
            if member.reader not in sights:
                self.members.discard(member)
                member.logged_out()
            elif sights[member.reader] != self.board.sight:
                self.members.discard(member)
                member.barred()


def _read(board: Board, known: bytes | None) -> tuple[dict[str, str], bytes] | None:
    """Parts, as JSON strings, and state of now; None when the state is the known one, and then nothing is rendered."""
    state = board.read()
    encoded = msgspec.json.encode(state)
    if encoded == known:
        return None
    return {name: json.dumps(html) for name, html in draw(board, state).items()}, encoded


_rooms: dict[tuple[asyncio.AbstractEventLoop, Board], Room] = {}


async def enter(board: Board, member: Member) -> Room:
    """Put a member into the room of a board, opening it for the first. Raises NotFound when there is no such object."""
    place = (asyncio.get_running_loop(), board)
    if place not in _rooms:
        groups = await lanes.run(Lane.QUERY, lambda: board.groups)
        # another socket may have opened it while the database answered
        if place not in _rooms:
            _rooms[place] = Room(board, groups)
            _rooms[place].open()
    room = _rooms[place]
    room.enter(member)
    return room


async def leave(room: Room, member: Member) -> None:
    """Take a member out; the last one closes the room."""
    room.members.discard(member)
    place = (asyncio.get_running_loop(), room.board)
    if not room.members and _rooms.get(place) is room:
        del _rooms[place]
        await room.close()
