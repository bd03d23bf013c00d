"""Who may open a socket, and that it closes within five seconds of the end of the login or the key, through the real server."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections

from apps.pipes import keys, logins
from apps.pipes.models import ApiKey, KeyKind
from apps.sessions.live import rooms
from apps.views.models import View
from tests.blackbox.world import World

CLOSED_WITHIN = 5.0
# the promise holds by the clock of the rooms; how long it takes here depends on what else this machine does
PATIENCE = 60.0
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def person(world: World) -> User:
    user = get_user_model().objects.create_superuser(f"person-{world.view.slug}")
    assert isinstance(user, User)
    return user


def cookie_of(user: User) -> dict[str, str]:
    login = SessionStore()
    login[SESSION_KEY], login[BACKEND_SESSION_KEY], login[HASH_SESSION_KEY] = str(user.pk), BACKEND, user.get_session_auth_hash()
    login.save()
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={login.session_key}"}


def in_own_connection(act: Callable[[], object]) -> None:
    try:
        act()
    finally:
        connections.close_all()


async def closed_after(world: World, path: str, headers: dict[str, str], act: Callable[[], object]) -> int | None:
    """Open the socket, take its first frame, do `act`; the code that it closes with then."""
    async with aiohttp.ClientSession(world.server.url) as http, http.ws_connect(path, headers=headers) as socket:
        async with asyncio.timeout(PATIENCE):
            await socket.receive_json()
            # a thread of its own: the shared one may still be connected to the database of an earlier test
            await asyncio.to_thread(in_own_connection, act)
            while (await socket.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                pass
        return socket.close_code


async def code_of(world: World, path: str, headers: dict[str, str]) -> int | None:
    """The code that a socket closes with at once; None when it opens and sends a frame."""
    async with aiohttp.ClientSession(world.server.url) as http, http.ws_connect(path, headers=headers) as socket:
        async with asyncio.timeout(PATIENCE):
            message = await socket.receive()
        return None if message.type == aiohttp.WSMsgType.TEXT else socket.close_code


def fleet_closes(world: World, headers: dict[str, str], act: Callable[[], object]) -> None:
    code = asyncio.run(closed_after(world, "/ws/fleet?format=json", headers | {"Origin": world.server.url}, act))
    assert code == 4401


def test_a_logout_closes_the_sockets_of_that_login_and_no_other(world: World, person: User) -> None:
    first, second = cookie_of(person), cookie_of(person)

    def log_out() -> None:
        with httpx.Client(base_url=world.server.url, headers=first, timeout=PATIENCE) as browser:
            browser.get("/")
            token = browser.cookies["csrftoken"]
            answer = browser.post("/logout/", headers={"X-CSRFToken": token, "Cookie": f"{first['Cookie']}; csrftoken={token}"})
            assert answer.status_code == 302, answer.text

    fleet_closes(world, first, log_out)
    assert asyncio.run(code_of(world, "/ws/fleet", second | {"Origin": world.server.url})) is None


def test_logins_that_an_admin_ends_lose_their_sockets(world: World, person: User) -> None:
    fleet_closes(world, cookie_of(person), lambda: logins.end(person))


def test_a_changed_password_closes_the_sockets_of_older_logins(world: World, person: User) -> None:
    def change() -> None:
        person.set_password("another long password")
        person.save()

    fleet_closes(world, cookie_of(person), change)


def key_header(world: World, kind: KeyKind, **scope: Any) -> dict[str, str]:
    return {"X-API-Key": keys.create_key(kind, **scope)[1]}


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_a_program_opens_a_socket_with_its_key_and_gets_json(world: World, header: str) -> None:
    secret = world.query_key if header == "X-API-Key" else f"Bearer {world.query_key}"

    async def first() -> Any:
        async with (
            aiohttp.ClientSession(world.server.url) as http,
            asyncio.timeout(PATIENCE),
            http.ws_connect(f"/ws/view/{world.view.slug}", headers={header: secret}) as socket,
        ):
            return await socket.receive_json()

    assert asyncio.run(first())["state"]["slug"] == world.view.slug


def test_what_each_kind_of_key_may_open(world: World) -> None:
    other = View.objects.create(slug=f"{world.view.slug}-other")
    query, mine, pipe = {"X-API-Key": world.query_key}, f"/ws/view/{world.view.slug}", f"/ws/pipe/{world.pipe.slug}"
    reads = key_header(world, KeyKind.MANAGEMENT, scopes=["read"])
    narrow = key_header(world, KeyKind.MANAGEMENT, scopes=["read"], views=[world.view])
    enrols = key_header(world, KeyKind.MANAGEMENT, scopes=["enrol"])
    expected = {
        (mine, "query"): None,
        (f"/ws/view/{other.slug}", "query"): 4404,
        ("/ws/fleet", "query"): 4403,
        (pipe, "query"): 4403,
        (mine, "reads"): None,
        (pipe, "reads"): None,
        ("/ws/fleet", "reads"): None,
        (pipe, "narrow"): None,
        (f"/ws/view/{other.slug}", "narrow"): 4404,
        ("/ws/fleet", "enrols"): 4403,
        (mine, "pushes"): 4403,
        (mine, "wrong"): 4401,
    }
    held = {"query": query, "reads": reads, "narrow": narrow, "enrols": enrols}
    held |= {"pushes": {"X-API-Key": world.key}, "wrong": {"X-API-Key": "fkq_nothing_of_this_server"}}
    found = {(path, key): asyncio.run(code_of(world, path, held[key])) for path, key in expected}
    assert found == expected


def test_a_cookie_counts_only_from_pages_of_this_server_and_not_beside_a_wrong_key(world: World, person: User) -> None:
    cookie = cookie_of(person)
    for origin in ({"Origin": "https://evil.example"}, {}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            asyncio.run(code_of(world, "/ws/fleet", cookie | origin))
        assert refused.value.status == 403
    wrong = cookie | {"X-API-Key": "fkq_nothing_of_this_server", "Origin": world.server.url}
    assert asyncio.run(code_of(world, "/ws/fleet", wrong)) == 4401


def test_a_revoked_key_loses_its_sockets(world: World) -> None:
    def revoke() -> None:
        keys.revoke(ApiKey.objects.filter(kind=KeyKind.QUERY, views=world.view))

    code = asyncio.run(closed_after(world, f"/ws/view/{world.view.slug}", {"X-API-Key": world.query_key}, revoke))
    assert code == 4401


def test_rooms_look_again_within_the_promised_time() -> None:
    assert rooms.REFRESH_SECONDS <= CLOSED_WITHIN
