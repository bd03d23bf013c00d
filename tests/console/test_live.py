"""Live boards over real websockets and a real Redis: state on connect, one render for all, permission, survival without Redis."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore

from apps.pipes import agents, services
from apps.pipes.config import service
from apps.pipes.models import Agent
from apps.pipes.rollouts import service as rollouts
from apps.pipes.rollouts.waves import Terms, parse_waves
from apps.runtime import clock, hints
from apps.sessions.boards import base
from apps.sessions.boards.pipe import PipeBoard
from apps.sessions.live import rooms
from apps.sessions.models import Job, Session
from apps.sessions.routing import websocket_urlpatterns
from fustor_schema.pipestate import PipeState
from fustor_site.supervisor import ports
from tests.blackbox.processes import PATIENCE_SECONDS, RunningRedis
from tests.console.conftest import Fleet, build_fleet
from tests.pipes.conftest import load

pytestmark = pytest.mark.django_db(transaction=True)
APPLICATION = URLRouter(websocket_urlpatterns)


@pytest.fixture
def fleet(transactional_db: None) -> Fleet:
    return build_fleet()


@pytest.fixture
def reader(transactional_db: None) -> User:
    return User.objects.create_user("reader")


@database_sync_to_async
def login_of(user: User | AnonymousUser) -> SessionStore:
    """A login session, as the login page makes one; an empty one for nobody."""
    login = SessionStore()
    if isinstance(user, User):
        login[SESSION_KEY], login[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
        login.save()
    return login


@asynccontextmanager
async def socket(path: str, user: User | AnonymousUser) -> AsyncIterator[WebsocketCommunicator]:
    communicator = WebsocketCommunicator(APPLICATION, path)
    communicator.scope["user"], communicator.scope["session"] = user, await login_of(user)
    await communicator.connect(PATIENCE_SECONDS)
    yield communicator
    await communicator.disconnect(timeout=PATIENCE_SECONDS)


async def frame(communicator: WebsocketCommunicator) -> dict[str, Any]:
    output = await communicator.receive_output(PATIENCE_SECONDS)
    assert output["type"] == "websocket.send", output
    received: dict[str, Any] = json.loads(output["text"])
    return received


async def say_shown(communicator: WebsocketCommunicator, number: int) -> None:
    await communicator.send_to(json.dumps({"shown": number}))


async def changed_part(communicator: WebsocketCommunicator, name: str) -> str:
    """The next version of one part; frames without it are taken off the screen on the way."""
    return str((await frame_with(communicator, name))["parts"][name])


async def frame_with(communicator: WebsocketCommunicator, name: str, words: str = "") -> dict[str, Any]:
    """The next frame with a part of this name and with these words in it; others are taken off the screen on the way."""
    while True:
        answer = await frame(communicator)
        await say_shown(communicator, answer["number"])
        if name in answer["parts"] and words in answer["parts"][name]:
            return answer


@database_sync_to_async
def at_rest(fleet: Fleet) -> None:
    """No job runs any more: for how long one has run is on the boards, and changes them by itself."""
    Job.objects.filter(pk=fleet.running.pk).update(state=Job.State.DONE, finished_at=clock.now_datetime())


@database_sync_to_async
def lead_into(session: Session, state: PipeState) -> None:
    Session.objects.filter(pk=session.pk).update(state=int(state))
    hints.changed(f"pipe.{session.pipe_id}")


async def test_a_page_gets_every_part_on_connect_then_only_what_changed(
    redis_server: RunningRedis, fleet: Fleet, reader: User
) -> None:
    async with socket("/ws/pipe/archive-pipe", reader) as page:
        first = await frame(page)
        assert set(first["parts"]) == {part.id for part in PipeBoard.parts}
        await say_shown(page, first["number"])
        await lead_into(fleet.follower, PipeState.RUNNING | PipeState.SNAPSHOT)
        second = await frame_with(page, "pipe-sessions", "snapshot")
        assert "pipe-summary" not in second["parts"]


async def test_a_program_gets_the_state_as_json(redis_server: RunningRedis, fleet: Fleet, reader: User) -> None:
    async with socket("/ws/pipe/archive-pipe?format=json", reader) as program:
        state = (await frame(program))["state"]
        assert [line["task_id"] for line in state["sessions"]] == [fleet.leader.task_id, fleet.follower.task_id]
        assert str(fleet.leader.id) not in json.dumps(state)


@database_sync_to_async
def roll_out() -> int:
    """A rollout to one agent; the number of the revision."""
    pipes = "{home: {source: data, sender: here}}"
    load(f"sources: {{data: {{uri: /a}}}}\nsenders: {{here: {{}}}}\nagents: {{n1: {{labels: {{a: b}}, pipes: {pipes}}}}}")
    Agent.objects.filter(slug="n1").update(enrolled_at="2026-01-01T00:00:00Z")
    wanted = service.Wanted(services.document_with("sources", "data", {"uri": "/b"}))
    _plan, revision = service.change(wanted, service.Author("anna"), terms=Terms(parse_waves("10%")))
    assert revision is not None
    return revision.number


@database_sync_to_async
def refuse(name: str) -> None:
    agents.report(Agent.objects.get(slug=name), 1, "no directory /b")
    rollouts.advance_all()


async def test_a_rollout_shows_live_what_an_agent_reports(redis_server: RunningRedis, fleet: Fleet, reader: User) -> None:
    number = await roll_out()
    async with socket(f"/ws/rollout/{number}", reader) as page:
        first = await frame(page)
        assert "Told" in first["parts"]["rollout-agents"]
        await say_shown(page, first["number"])
        await refuse("n1")
        assert "no directory /b" in await changed_part(page, "rollout-agents")


async def test_a_page_that_has_not_shown_the_last_frame_gets_no_other(
    redis_server: RunningRedis, fleet: Fleet, reader: User
) -> None:
    async with socket("/ws/pipe/archive-pipe", reader) as slow:
        first = await frame(slow)
        for state in (PipeState.PAUSED, PipeState.ERROR, PipeState.DRAINING):
            await lead_into(fleet.follower, state)
        (room,) = [room for room in rooms._rooms.values() if room.board.socket == "/ws/pipe/archive-pipe"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while room.frame is None or "draining" not in room.frame.parts["pipe-sessions"]:
                await asyncio.sleep(0.02)
        assert await slow.receive_nothing(0.1)
        await say_shown(slow, first["number"])
        assert "draining" in await changed_part(slow, "pipe-sessions")
        assert slow.output_queue.empty()


async def test_a_burst_of_changes_and_two_hundred_pages_cost_few_renders(
    redis_server: RunningRedis, fleet: Fleet, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    renders = 0
    draw = base.draw

    def counted(board: base.Board, state: Any) -> dict[str, str]:
        nonlocal renders
        renders += 1
        return draw(board, state)

    monkeypatch.setattr(rooms, "draw", counted)
    await at_rest(fleet)
    async with asyncio.timeout(4 * PATIENCE_SECONDS):
        pages = [WebsocketCommunicator(APPLICATION, "/ws/pipe/archive-pipe") for _ in range(200)]
        login = await login_of(reader)
        for page in pages:
            page.scope["user"], page.scope["session"] = reader, login
            await page.connect(PATIENCE_SECONDS)
        numbers = [(await frame(page))["number"] for page in pages]
        for page, number in zip(pages, numbers, strict=True):
            await say_shown(page, number)
        before, began = renders, time.monotonic()
        for rows in range(20):
            await database_sync_to_async(Session.objects.filter(pk=fleet.leader.pk).update)(rows=rows)
            await sync_to_async(hints.changed)(f"pipe.{fleet.pipe.pk}")
        burst = time.monotonic() - began
        shown = [await changed_part(page, "pipe-sessions") for page in pages]
        drawn = renders - before
        assert before <= 2
        assert len(set(shown)) <= drawn <= 3 + burst / rooms.COALESCE_SECONDS
        for page in pages:
            await page.disconnect(timeout=PATIENCE_SECONDS)


async def test_who_is_not_logged_in_is_told_and_disconnected(redis_server: RunningRedis, fleet: Fleet) -> None:
    async with socket("/ws/pipe/archive-pipe", AnonymousUser()) as stranger:
        closing = await stranger.receive_output(PATIENCE_SECONDS)
        assert closing["type"] == "websocket.close"
        assert closing["code"] == 4401


async def test_an_object_that_does_not_exist_closes_the_socket(redis_server: RunningRedis, reader: User) -> None:
    async with socket("/ws/pipe/nothing", reader) as page:
        closing = await page.receive_output(PATIENCE_SECONDS)
        assert closing["code"] == 4404


async def test_a_message_that_is_no_acknowledgement_closes_the_socket(
    redis_server: RunningRedis, fleet: Fleet, reader: User
) -> None:
    async with socket("/ws/pipe/archive-pipe", reader) as page:
        await frame(page)
        await page.send_to("hello")
        assert (await page.receive_output(PATIENCE_SECONDS))["code"] == 4400


async def test_rooms_close_behind_the_last_reader(redis_server: RunningRedis, fleet: Fleet, reader: User) -> None:
    async with socket("/ws/view/archive", reader) as page:
        await frame(page)
        assert any(room.board.socket == "/ws/view/archive" for room in rooms._rooms.values())
    assert not any(room.board.socket == "/ws/view/archive" for room in rooms._rooms.values())


async def test_without_redis_the_page_still_gets_changes_and_is_told(
    fleet: Fleet, reader: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]}}
    settings.CHANNEL_LAYERS = {"default": nowhere}
    monkeypatch.setattr(rooms, "REFRESH_SECONDS", 0.2)
    async with socket("/ws/pipe/archive-pipe", reader) as page:
        first = await frame(page)
        assert first["hints"] is False
        await say_shown(page, first["number"])
        await database_sync_to_async(Session.objects.filter(pk=fleet.leader.pk).update)(rows=77_777)
        assert "77,777" in await changed_part(page, "pipe-sessions")


async def test_a_restart_of_redis_is_told_and_survived(
    fleet: Fleet, reader: User, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "REFRESH_SECONDS", 0.2)
    own = RunningRedis(f"redis://127.0.0.1:{ports.free()}/0", tmp_path)
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [own.url]}}
    }
    with own:
        async with socket("/ws/pipe/archive-pipe", reader) as page:
            assert await hints_become(page, arriving=True)
            own.kill()
            assert await hints_become(page, arriving=False)
            await database_sync_to_async(Session.objects.filter(pk=fleet.leader.pk).update)(rows=88_888)
            assert "88,888" in await changed_part(page, "pipe-sessions")
            own.start()
            assert await hints_become(page, arriving=True)


async def hints_become(communicator: WebsocketCommunicator, *, arriving: bool) -> bool:
    """Wait for the frame that says so."""
    while (answer := await frame(communicator))["hints"] is not arriving:
        await say_shown(communicator, answer["number"])
    await say_shown(communicator, answer["number"])
    return True
