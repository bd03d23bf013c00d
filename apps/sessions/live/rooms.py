"""Rooms: one per watched board and process. A room listens to hints, reads and renders once, and hands the frame to its members.

The database is the truth: a room reads again when it is hinted, and at the latest after `REFRESH_SECONDS`, so a lost hint or
a Redis that is away costs freshness, never correctness.
"""

import asyncio
import contextlib
import json
import logging
import time
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import redis
from channels.layers import get_channel_layer

from apps.runtime import lanes
from apps.runtime.lanes import Lane
from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board, draw
from apps.sessions.sight import sights_of

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.25
# the page of a thousand sessions takes most of a second, and heartbeats share the processor: a room that works long rests longer
REST_PER_WORK, LONGEST_REST_SECONDS = 4.0, 1.0
REFRESH_SECONDS = 5.0
RESUBSCRIBE_SECONDS = 1.0
PROBE = "probe"


@dataclass(frozen=True)
class Frame:
    """What a room knows at one moment. `hints`: whether hints arrive, or the room only reads on its own clock.

    `parts`: element id → its HTML as a JSON string, encoded once for all members.
    """

    number: int
    parts: dict[str, str]
    state: bytes
    hints: bool


class Member(Protocol):
    """A socket in a room."""

    @property
    def user_id(self) -> int:
        """Who reads there."""
        ...

    def offer(self, frame: Frame) -> None:
        """Take the newest frame; must not block."""
        ...

    def gone(self, detail: str) -> None:
        """The object no longer exists."""
        ...

    def barred(self) -> None:
        """The person may no longer see what this room shows."""
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
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._serve())]

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
                log.warning("no live hints for %s: %s", self.board.socket, error)
                await asyncio.sleep(RESUBSCRIBE_SECONDS)

    async def _serve(self) -> None:
        # so that the first frame says truly whether hints arrive
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), RESUBSCRIBE_SECONDS)
        while True:
            try:
                await asyncio.wait_for(self._hinted.wait(), REFRESH_SECONDS)
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
        self.frame = Frame((before.number if before else 0) + 1, parts, state, self._listening)
        for member in tuple(self.members):
            member.offer(self.frame)

    async def _show_out(self) -> None:
        """Take away the members whose rights changed since they came in: they get no frame that was made after that."""
        people = frozenset(member.user_id for member in self.members)
        barred = await lanes.run(Lane.QUERY, _barred, self.board, people)
        for member in [member for member in self.members if member.user_id in barred]:
            self.members.discard(member)
            member.barred()


def _barred(board: Board, user_ids: frozenset[int]) -> set[int]:
    """Those of the people whose sight is not (any more) the one that the board was made for."""
    sights = sights_of(user_ids)
    return {user_id for user_id in user_ids if sights.get(user_id) != board.sight}


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
