"""The websocket of a board: checks who asks, then passes on the frames of the room. Routed by apps.sessions.routing."""

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import parse_qs

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer

from apps.runtime import lanes
from apps.runtime.lanes import Lane
from apps.runtime.problems import Busy, Forbidden, NotFound, Unauthorized
from apps.sessions.boards.base import Board
from apps.sessions.live import readers, rooms
from apps.sessions.live.frames import Frame
from apps.sessions.live.readers import Reader
from apps.sessions.live.rooms import Room
from apps.sessions.sight import Sight

log = structlog.get_logger(__name__)

FAILED, UNAUTHENTICATED, FORBIDDEN, GONE = 4500, 4401, 4403, 4404
SILENT, BUSY = 4408, 4429
CODES = {Unauthorized: UNAUTHENTICATED, Forbidden: FORBIDDEN, Busy: BUSY}
PATIENCE_SECONDS = 30.0
LONGEST_MESSAGE = 1024


class BoardConsumer(AsyncWebsocketConsumer):
    """Sends the state on connect and after every change.

    A page gets `{"number", "hints", "parts": {id: html}}`, only the parts that differ from what it has, and the next frame only
    after it said `{"shown": number}`; so never more than one is under way to it. A program (`?format=json`) gets
    `{"number", "hints", "state": {…}}`; one that does not read is cut off when it does not answer the server's pings either.
    """

    # the room listens to Redis for everyone; a socket must open even while Redis is away
    channel_layer_alias = "none"
    room: Room | None = None
    reader = Reader()

    def __init__(self, board_of: type[Board]) -> None:
        """`board_of` makes the board from the parts of the URL; the route gives it."""
        super().__init__()
        self.board_of = board_of

    async def connect(self) -> None:
        """Check permission, enter the room."""
        has_key = readers.key_in(dict(self.scope["headers"])) is not None
        self.for_program = has_key or parse_qs(self.scope["query_string"].decode()).get("format") == ["json"]
        # the number of the frame last sent
        self.shown = 0
        self.pending: Frame | None = None
        self.wake, self.acknowledged = asyncio.Event(), asyncio.Event()
        self.sender: asyncio.Task[None] | None = None
        await self.accept()
        try:
            self.reader = await lanes.run(Lane.QUERY, readers.reader_of, self.scope)
            sight = await lanes.run(Lane.QUERY, readers.entrance, self.reader, self.board_of)
        except (Unauthorized, Forbidden, Busy) as problem:
            await self.close(CODES[type(problem)], problem.detail)
        else:
            await self._enter(sight)

    async def _enter(self, sight: Sight) -> None:
        self.sender = asyncio.create_task(self._send_frames())
        self.sender.add_done_callback(self._sender_ended)
        try:
            board = self.board_of(**self.scope["url_route"]["kwargs"], sight=sight)
            self.room = await rooms.enter(board, self)
        except NotFound as problem:
            await self.close(GONE, problem.detail)

    async def disconnect(self, code: int) -> None:
        """Leave the room."""
        if self.sender:
            self.sender.cancel()
            # what it failed of, if it did, was told when it failed
            await asyncio.wait((self.sender,))
        if self.room:
            await rooms.leave(self.room, self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A page says which frame is on the screen."""
        try:
            message: Any = json.loads(text_data or "") if len(text_data or "") <= LONGEST_MESSAGE else None
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

    def logged_out(self) -> None:
        """The login ended, or the key: nothing that waits is sent any more."""
        self.pending = None
        self._close_soon(UNAUTHENTICATED, "Your login or key holds no more.")

    def _close_soon(self, code: int, detail: str) -> None:
        task = asyncio.create_task(self.close(code, detail))
        task.add_done_callback(lambda done: done.exception())

    async def _send_frames(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            frame, self.pending = self.pending, None
            if frame is None:
                continue
            if self.for_program:
                await self.send(text_data=frame.for_program())
            elif not await self._show(frame):
                self._close_soon(SILENT, "The page did not say that it shows the last frame.")
                return

    async def _show(self, frame: Frame) -> bool:
        """Send a page what is new to it, and wait until it is on the screen; False when the page never says so."""
        self.acknowledged.clear()
        await self.send(text_data=frame.for_page(self.shown))
        self.shown = frame.number
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self.acknowledged.wait()
        return False

    def _sender_ended(self, sender: "asyncio.Task[None]") -> None:
        """A socket that cannot be written to is closed, never left open and mute."""
        if not sender.cancelled() and (error := sender.exception()) is not None:
            log.error("live socket failed", path=self.scope["path"], exc_info=error)
            self._close_soon(FAILED, "The server could not send this page.")
