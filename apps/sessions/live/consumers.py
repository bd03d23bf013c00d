"""The websocket of a board: checks who asks, then passes on the frames of the room. Routed by apps.sessions.routing."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import AnonymousUser

from apps.runtime import lanes
from apps.runtime.lanes import Lane
from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board
from apps.sessions.live import rooms
from apps.sessions.live.rooms import Frame, Room
from apps.sessions.sight import Sight, sights_of

UNAUTHENTICATED, FORBIDDEN, GONE = 4401, 4403, 4404
ACKNOWLEDGE_SECONDS = 10.0


class BoardConsumer(AsyncWebsocketConsumer):
    """Sends the state on connect and after every change.

    A page gets `{"number", "hints", "parts": {id: html}}`, only the parts that differ from what it has, and the next frame only
    after it said `{"shown": number}`. A program (`?format=json`) gets `{"number", "hints", "state": {…}}`.
    """

    # the room listens to Redis for everyone; a socket must open even while Redis is away
    channel_layer_alias = "none"
    room: Room | None = None
    user_id: int = 0

    def __init__(self, board_of: Callable[..., Board]) -> None:
        """`board_of` makes the board from the parts of the URL; the route gives it."""
        super().__init__()
        self.board_of = board_of

    async def connect(self) -> None:
        """Check permission, enter the room."""
        self.for_program = parse_qs(self.scope["query_string"].decode()).get("format") == ["json"]
        # the parts of the frame last sent: element id → HTML as a JSON string
        self.shown: dict[str, str] = {}
        self.pending: Frame | None = None
        self.wake, self.acknowledged = asyncio.Event(), asyncio.Event()
        self.sender: asyncio.Task[None] | None = None
        await self.accept()
        user = self.scope["user"] or AnonymousUser()
        if not user.is_authenticated:
            await self.close(UNAUTHENTICATED, "Log in first.")
            return
        self.user_id = user.pk
        sight = (await lanes.run(Lane.QUERY, sights_of, {user.pk})).get(user.pk)
        if sight is None:
            await self.close(FORBIDDEN, "Your account may not see this.")
        else:
            await self._enter(sight)

    async def _enter(self, sight: Sight) -> None:
        self.sender = asyncio.create_task(self._send_frames())
        try:
            board = self.board_of(**self.scope["url_route"]["kwargs"], sight=sight)
            self.room = await rooms.enter(board, self)
        except NotFound as problem:
            await self.close(GONE, problem.detail)

    async def disconnect(self, code: int) -> None:
        """Leave the room."""
        if self.sender:
            self.sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.sender
        if self.room:
            await rooms.leave(self.room, self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A page says which frame is on the screen."""
        try:
            message: Any = json.loads(text_data or "")
        except ValueError:
            message = None
        if not isinstance(message, dict) or "shown" not in message:
            await self.close(4400, 'Only {"shown": number} is understood here.')
            return
        self.acknowledged.set()

    def offer(self, frame: Frame) -> None:
        """Keep the newest frame; the sender takes it when the page is ready."""
        self.pending = frame
        self.wake.set()

    def gone(self, detail: str) -> None:
        """The object was deleted: close, and the page reloads."""
        self._close_soon(GONE, detail)

    def barred(self) -> None:
        """The person's rights changed: nothing that waits is sent any more, and the page reloads with what is left to see."""
        self.pending = None
        self._close_soon(FORBIDDEN, "What your account may see has changed.")

    def _close_soon(self, code: int, detail: str) -> None:
        task = asyncio.create_task(self.close(code, detail))
        task.add_done_callback(lambda done: done.exception())

    async def _send_frames(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            frame = self.pending
            if frame is None:
                continue
            await self.send(text_data=self._text(frame))
            if not self.for_program:
                await self._until_shown()

    async def _until_shown(self) -> None:
        """Wait for the page; one that never answers still gets a frame now and then."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.acknowledged.wait(), ACKNOWLEDGE_SECONDS)
        self.acknowledged.clear()

    def _text(self, frame: Frame) -> str:
        head = f'{{"number":{frame.number},"hints":{json.dumps(frame.hints)}'
        if self.for_program:
            return f'{head},"state":{frame.state.decode()}}}'
        changed = (f"{json.dumps(name)}:{html}" for name, html in frame.parts.items() if self.shown.get(name) != html)
        parts = ",".join(changed)
        self.shown = frame.parts
        return f'{head},"parts":{{{parts}}}}}'
