"""A viewer restricted to some views sees those only: on every page, in every drawing, count and list, and through every socket."""

import json
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.pipes.models import Person, Role
from apps.runtime import clock, hints
from apps.sessions.live import rooms
from apps.sessions.models import Job, Leadership, LeadershipChange
from apps.views.models import Tree, View
from tests.blackbox.processes import PATIENCE_SECONDS, RunningRedis
from tests.console.conftest import Fleet, build_fleet, parts_of
from tests.console.test_live import at_rest, frame, socket

SECRET = "vault"


@pytest.fixture
def mine(transactional_db: None) -> Fleet:
    """What may be seen: `open`. Its pipe also feeds the view `vault-too`, which may not be seen, and its leader leads it."""
    fleet = build_fleet("open", files=30)
    other = View.objects.create(slug=f"{SECRET}-too")
    fleet.pipe.views.add(other)
    tree = Tree.objects.create(view=other, scope="", epoch=9, leader_session=fleet.leader.number, source_lost=f"{SECRET} is away")
    Leadership.objects.create(tree=tree, session=fleet.leader, epoch=9, since=clock.now_datetime())
    LeadershipChange.objects.create(tree=tree, epoch=9, task_id=fleet.leader.task_id, cause="opened", at=clock.now_datetime())
    fleet.failed.tree = tree
    fleet.failed.save()
    job = Job(kind=Job.Kind.SCAN, state=Job.State.QUEUED, trigger=Job.Trigger.PERSON, pipe=fleet.pipe, tree=tree)
    job.path, job.created_at = f"/{SECRET}/scanned", clock.now_datetime()
    job.save()
    return fleet


@pytest.fixture
def hidden(transactional_db: None) -> Fleet:
    """A whole fleet that may not be seen."""
    return build_fleet(SECRET, files=7)


@pytest.fixture
def viewer(mine: Fleet, hidden: Fleet) -> User:
    """The restricted viewer."""
    user = User.objects.create_user("narrow")
    person = Person.objects.create(user=user, role=Role.VIEWER, restricted=True)
    person.views.add(mine.view)
    return user


@pytest.fixture
def browser(viewer: User, client: Client) -> Client:
    client.force_login(viewer)
    return client


LISTS = ("/", "/views/", "/pipes/", "/sessions/", "/jobs/", "/jobs/?state=QUEUED", "/agents/", "/receivers/", "/locate/?q=sample")


def details(fleet: Fleet) -> list[str]:
    view, pipe = fleet.view.slug, fleet.pipe.slug
    pages = [f"/views/{view}/{page}" for page in ("", "tree/", "tree/branch/", "search/?q=*", "inspect/", "consistency/")]
    return [
        *pages,
        f"/pipes/{pipe}/",
        f"/sessions/{fleet.leader.number}/",
        f"/jobs/{fleet.running.pk}/",
        f"/jobs/{fleet.failed.pk}/",
    ]


def test_no_list_and_no_page_in_sight_names_what_is_out_of_sight(mine: Fleet, browser: Client) -> None:
    for url in (*LISTS, *details(mine)):
        response = browser.get(url)
        assert response.status_code == 200, url
        assert SECRET not in response.content.decode(), url
    for url in ("/", f"/pipes/{mine.pipe.slug}/", f"/views/{mine.view.slug}/", f"/sessions/{mine.leader.number}/"):
        answer = browser.get(url, headers={"X-Fustor-Parts": "1"})
        assert SECRET not in "".join(parts_of(answer).values()), url


def test_pages_of_what_is_out_of_sight_are_not_found(hidden: Fleet, browser: Client) -> None:
    for url in details(hidden):
        assert browser.get(url).status_code == 404, url
    scan = Job.objects.get(kind=Job.Kind.SCAN)
    assert browser.get(f"/jobs/{scan.pk}/").status_code == 404


def test_counts_are_of_what_is_in_sight(mine: Fleet, browser: Client) -> None:
    state = browser.get("/").context["state"]
    assert (len(state.views), len(state.pipes), state.sessions, state.files, state.open_jobs) == (1, 1, 2, 30, 1)
    tabs = browser.get("/sessions/").context["list"].tabs
    assert {tab.name: tab.count for tab in tabs} == {"live": 2, "ended": 0}
    assert browser.get("/jobs/").context["list"].total == 2
    assert [line.slug for line in browser.get("/agents/").context["lines"]] == ["open-host-1"]
    (receiver,) = browser.get("/receivers/").context["list"].chunk
    assert (receiver.slug, receiver.usable_keys) == ("open-in", 1)
    way = browser.get(f"/pipes/{mine.pipe.slug}/").context["state"].arrival
    assert "It feeds 1 views." in [step.words for step in way]


@pytest.mark.parametrize("url", ["/keys/", "/changes/", "/changes/1/", "/system/", "/audit/", "/configuration/"])
def test_what_belongs_to_no_single_view_is_refused_and_not_in_the_menu(browser: Client, url: str) -> None:
    assert browser.get(url).status_code == 403
    assert f'href="{url}"' not in browser.get("/").content.decode()


def test_who_is_not_restricted_still_sees_everything(viewer: User, browser: Client) -> None:
    Person.objects.filter(user=viewer).update(restricted=False)
    assert SECRET in browser.get("/").content.decode()
    assert browser.get("/keys/").status_code == 200


def test_pages_of_a_restricted_viewer_cost_a_constant_number_of_queries(viewer: User, browser: Client) -> None:
    def cost() -> list[int]:
        found = []
        for url in LISTS[:-1]:
            with CaptureQueriesContext(connection) as queries:
                browser.get(url)
            found.append(len(queries))
        return found

    cost()
    before = cost()
    for number in range(3):
        fleet = build_fleet(f"more-{number}", files=2)
        Person.objects.get(user=viewer).views.add(fleet.view)
    assert cost() == before


def sockets(fleet: Fleet) -> list[str]:
    names = (f"view/{fleet.view.slug}", f"pipe/{fleet.pipe.slug}", f"session/{fleet.leader.number}", f"job/{fleet.running.pk}")
    return [f"/ws/{name}" for name in names]


@pytest.mark.parametrize("as_json", ["", "?format=json"])
async def test_sockets_tell_only_what_is_in_sight(redis_server: RunningRedis, mine: Fleet, viewer: User, as_json: str) -> None:
    for path in ("/ws/fleet", *sockets(mine)):
        async with socket(path + as_json, viewer) as page:
            assert SECRET not in json.dumps(await frame(page)), path


async def test_sockets_of_what_is_out_of_sight_close_at_once(redis_server: RunningRedis, hidden: Fleet, viewer: User) -> None:
    for path in sockets(hidden):
        async with socket(path, viewer) as page:
            assert (await page.receive_output(PATIENCE_SECONDS))["code"] == 4404, path


async def test_a_restricted_reader_and_an_admin_do_not_share_a_room(redis_server: RunningRedis, viewer: User) -> None:
    admin = await database_sync_to_async(User.objects.create_superuser)("all")
    async with socket("/ws/fleet", admin) as everything, socket("/ws/fleet", viewer) as narrow:
        assert SECRET in json.dumps(await frame(everything))
        assert SECRET not in json.dumps(await frame(narrow))


@database_sync_to_async
def take_away(viewer: User, fleet: Fleet) -> None:
    Person.objects.get(user=viewer).views.remove(fleet.view)
    hints.changed("fleet", *(f"{kind}.{key}" for kind, key in (("view", fleet.view.pk), ("pipe", fleet.pipe.pk))))


async def closed_with(page: WebsocketCommunicator) -> Any:
    """The code that the socket closes with; any frame before it is a fault."""
    output = await page.receive_output(PATIENCE_SECONDS)
    assert output["type"] == "websocket.close", output
    return output["code"]


async def test_access_that_is_taken_away_closes_every_open_socket(
    redis_server: RunningRedis, mine: Fleet, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "REFRESH_SECONDS", 0.2)
    await at_rest(mine)
    person = await database_sync_to_async(Person.objects.get)(user=viewer)
    for path in ("/ws/fleet", *sockets(mine)):
        await database_sync_to_async(person.views.add)(mine.view)
        async with socket(path + "?format=json", viewer) as page:
            await frame(page)
            await take_away(viewer, mine)
            assert await closed_with(page) == 4403, path


async def test_a_reader_who_becomes_restricted_is_shown_out_and_the_others_stay(
    redis_server: RunningRedis, mine: Fleet, hidden: Fleet, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "REFRESH_SECONDS", 0.2)
    for fleet in (mine, hidden):
        await at_rest(fleet)
    person = await database_sync_to_async(Person.objects.get)(user=viewer)
    await database_sync_to_async(Person.objects.update)(restricted=False)
    admin = await database_sync_to_async(User.objects.create_superuser)("all")
    async with socket("/ws/fleet?format=json", admin) as stays, socket("/ws/fleet?format=json", viewer) as goes:
        await frame(stays)
        await frame(goes)
        await database_sync_to_async(Person.objects.filter(pk=person.pk).update)(restricted=True)
        assert await closed_with(goes) == 4403
        await take_away(viewer, mine)
        await database_sync_to_async(Job.objects.all().delete)()
        while (await frame(stays))["state"]["jobs"]:
            pass


async def test_an_account_that_is_switched_off_loses_its_sockets(
    redis_server: RunningRedis, mine: Fleet, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "REFRESH_SECONDS", 0.2)
    await at_rest(mine)
    async with socket("/ws/fleet?format=json", viewer) as page:
        await frame(page)
        await database_sync_to_async(User.objects.filter(pk=viewer.pk).update)(is_active=False)
        assert await closed_with(page) == 4403
