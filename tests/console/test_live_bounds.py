"""What live pages may cost: a bounded frame of any fleet, one frame under way per page, and no room or socket that falls silent."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.pipes.models import ApiKey, Pipe
from apps.runtime import clock
from apps.sessions.boards.fleet import FleetBoard
from apps.sessions.boards.pipe import SESSIONS_SHOWN, PipeBoard
from apps.sessions.live import consumers, rooms
from apps.sessions.models import Session
from fustor_schema.pipestate import PipeState
from tests.blackbox.processes import PATIENCE_SECONDS, RunningRedis, RunningServer
from tests.blackbox.world import World
from tests.console.conftest import Fleet, build_fleet
from tests.console.test_live import at_rest, frame, frame_with, hints_become, lead_into, say_shown, socket
from tests.console.test_live_access import in_own_connection

FOLLOWERS = 1000
MOST_FRAME_BYTES = 256 * 1024


@pytest.fixture
def fleet(transactional_db: None) -> Fleet:
    return build_fleet()


@pytest.fixture
def reader(transactional_db: None) -> User:
    return User.objects.create_user("reader")


def crowd(pipe: Pipe, key: ApiKey) -> None:
    """A thousand live followers on the pipe."""
    now = clock.now_datetime()
    Session.objects.bulk_create(
        Session(
            pipe=pipe,
            key=key,
            task_id=f"crowd-{number}:uploads",
            agent_name=f"crowd-{number}",
            timeout_seconds=30,
            created_at=now,
            last_active_at=now,
            silent_after=now + timedelta(hours=1),
            state=int(PipeState.RUNNING | PipeState.MESSAGE),
        )
        for number in range(FOLLOWERS)
    )


def test_a_look_costs_the_same_whatever_the_number_of_sessions(fleet: Fleet) -> None:
    def looked(board: PipeBoard | FleetBoard) -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            seen = rooms._read(board, None)
        assert seen is not None
        parts, state = seen
        return len(queries), max(len(state), sum(map(len, parts.values())))

    boards = (PipeBoard(fleet.pipe.slug), PipeBoard(fleet.pipe.slug, 3), FleetBoard())
    before = [looked(board)[0] for board in boards]
    assert fleet.leader.key is not None
    crowd(fleet.pipe, fleet.leader.key)
    after = [looked(board) for board in boards]
    # the page of a crowd also asks for the first sessions, which lead
    assert [queries for queries, _ in after] <= [count + 3 for count in before]
    assert max(size for _, size in after) < MOST_FRAME_BYTES


def test_every_session_is_on_one_page_and_the_leader_on_the_first(fleet: Fleet) -> None:
    assert fleet.leader.key is not None
    crowd(fleet.pipe, fleet.leader.key)
    first = PipeBoard(fleet.pipe.slug).read()
    assert (first.live_sessions, first.pages) == (FOLLOWERS + 2, (FOLLOWERS + 1) // SESSIONS_SHOWN + 1)
    pages = [PipeBoard(fleet.pipe.slug, number + 1).read() for number in range(first.pages)]
    numbers = [line.number for page in pages for line in page.sessions]
    assert len(numbers) == len(set(numbers)) == FOLLOWERS + 2
    assert first.sessions[0].number == fleet.leader.number
    assert {page.leaders[0].number for page in pages} == {fleet.leader.number}
    assert {page.lit for page in pages} == {first.lit}
    assert {page.arrival for page in pages} == {first.arrival}


def test_a_crowd_reaches_the_browser_through_the_real_server(world: World) -> None:
    """Regression: the server's limit for messages of clients applied to its own too, and a pipe of 60 sessions was never shown."""
    crowd(world.pipe, ApiKey.objects.get(pipes=world.pipe))
    browser = Client()
    person = get_user_model().objects.create_superuser(f"crowd-{world.pipe.slug}")
    browser.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    cookie = f"sessionid={browser.cookies['sessionid'].value}"
    try:
        first, second = asyncio.run(two_frames(world.server, f"/ws/pipe/{world.pipe.slug}", cookie))
    finally:
        # not deleted: the server may be making one of them the leader
        Session.objects.filter(pipe=world.pipe).update(ended_at=clock.now_datetime(), end_cause=Session.EndCause.CLOSED)
    assert set(first["parts"]) == {part.id for part in PipeBoard.parts}
    assert len(json.dumps(first)) > 64 * 1024
    assert set(second["parts"]) <= set(first["parts"])


async def two_frames(server: RunningServer, path: str, cookie: str) -> tuple[dict[str, Any], dict[str, Any]]:
    async with (
        aiohttp.ClientSession(server.url) as http,
        http.ws_connect(path, headers={"Cookie": cookie, "Origin": server.url}) as page,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        first: dict[str, Any] = await page.receive_json()
        await page.send_json({"shown": first["number"]})
        # a thread of its own: the shared one may still be connected to the database of an earlier test
        await asyncio.to_thread(in_own_connection, lambda: Session.objects.filter(task_id="crowd-0:uploads").update(rows=4711))
        second: dict[str, Any] = await page.receive_json()
    return first, second


async def test_a_page_that_never_says_what_it_shows_is_closed(
    redis_server: RunningRedis, fleet: Fleet, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "PATIENCE_SECONDS", 0.3)
    async with socket("/ws/pipe/archive-pipe", reader) as silent:
        await frame(silent)
        await lead_into(fleet.follower, PipeState.PAUSED)
        closing = await silent.receive_output(PATIENCE_SECONDS)
        assert (closing["type"], closing["code"]) == ("websocket.close", 4408)


async def test_a_room_that_fails_says_so_and_starts_again(
    redis_server: RunningRedis, fleet: Fleet, reader: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rooms, "REFRESH_SECONDS", 0.2)
    monkeypatch.setattr(rooms, "RESTART_SECONDS", 0.05)
    read = PipeBoard.read

    def broken(board: PipeBoard) -> Any:
        raise RuntimeError("the board cannot be read")

    async with socket("/ws/pipe/archive-pipe", reader) as page:
        first = await frame(page)
        await say_shown(page, first["number"])
        monkeypatch.setattr(PipeBoard, "read", broken)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "live room failed" not in caplog.text:
                await asyncio.sleep(0.02)
        assert "the board cannot be read" in caplog.text
        assert "Traceback" in caplog.text
        monkeypatch.setattr(PipeBoard, "read", read)
        await lead_into(fleet.follower, PipeState.PAUSED)
        assert await frame_with(page, "pipe-sessions", "paused")


async def test_a_room_whose_listening_fails_listens_again(
    redis_server: RunningRedis, fleet: Fleet, reader: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rooms, "RESTART_SECONDS", 0.05)
    layer_of, calls = rooms.get_channel_layer, 0

    def once_broken() -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("no such layer")
        return layer_of()

    monkeypatch.setattr(rooms, "get_channel_layer", once_broken)
    async with socket("/ws/pipe/archive-pipe", reader) as page:
        assert await hints_become(page, arriving=True)
    assert "no such layer" in caplog.text


async def test_a_socket_that_cannot_be_written_to_is_closed_and_told_of(
    redis_server: RunningRedis, fleet: Fleet, reader: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refused(consumer: AsyncWebsocketConsumer, text_data: str | None = None, **_: Any) -> None:
        raise ValueError("too large for this server")

    monkeypatch.setattr(consumers.BoardConsumer, "send", refused)
    async with socket("/ws/pipe/archive-pipe", reader) as page:
        closing = await page.receive_output(PATIENCE_SECONDS)
        assert (closing["type"], closing["code"]) == ("websocket.close", 4500)
    assert "too large for this server" in caplog.text


async def test_members_share_the_text_of_a_frame(redis_server: RunningRedis, fleet: Fleet, reader: User) -> None:
    await at_rest(fleet)
    async with socket("/ws/pipe/archive-pipe", reader) as one, socket("/ws/pipe/archive-pipe", reader) as other:
        for page in (one, other):
            await say_shown(page, (await frame(page))["number"])
        (room,) = [room for room in rooms._rooms.values() if room.board.socket == "/ws/pipe/archive-pipe"]
        assert room.frame is not None
        assert room.frame.for_page(0) is room.frame.for_page(0)
        await lead_into(fleet.follower, PipeState.PAUSED)
        for page in (one, other):
            assert "pipe-failovers" not in (await frame_with(page, "pipe-sessions", "paused"))["parts"]
        assert len(room.frame._texts) == 1
