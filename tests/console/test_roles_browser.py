"""What each role finds in a real browser: its menu, its buttons, and a door that stays shut when the address is typed."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django import DjangoDbBlocker

from apps.pipes import people
from apps.pipes.audit import Actor
from apps.pipes.models import Role
from apps.views.models import View
from tests.blackbox.processes import RunningServer
from tests.chromium import PATIENCE_MS
from tests.console.conftest import Fleet, build_fleet
from tests.console.test_browser import ServerOrm

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PASSWORD = "correct-horse-battery"
EVERYBODY = ["Overview", "Locate", "Views", "Pipes", "Sessions", "Jobs", "Agents", "Receivers"]
MENUS = {
    "restricted": EVERYBODY,
    "viewer": [*EVERYBODY, "Keys", "Configuration", "System"],
    "operator": [*EVERYBODY, "Keys", "Configuration", "System"],
    "admin": [*EVERYBODY, "Keys", "Configuration", "System", "Users"],
}
DOORS = ("/keys/", "/keys/new/", "/people/", "/audit/", "/configuration/")
OPEN = {
    "restricted": set(),
    "viewer": {"/keys/"},
    "operator": {"/keys/"},
    "admin": set(DOORS),
}


@pytest.fixture(scope="module")
def orm(server: RunningServer, django_db_blocker: DjangoDbBlocker) -> ServerOrm:
    return ServerOrm(server, django_db_blocker)


@pytest.fixture(scope="module")
def fleet(orm: ServerOrm) -> Fleet:
    return orm.run(lambda: build_fleet(f"roles-{time.time_ns()}"))


@pytest.fixture(params=list(MENUS))
def account(request: pytest.FixtureRequest, orm: ServerOrm, fleet: Fleet) -> tuple[str, str]:
    """(what it is, its name)."""
    kind, name = request.param, f"{request.param}-{time.time_ns()}"
    role = Role.VIEWER if kind == "restricted" else Role(kind)

    def make() -> None:
        views = [View.objects.get(pk=fleet.view.pk)] if kind == "restricted" else None
        people.create(Actor("root"), name, PASSWORD, role, views)

    orm.run(make)
    return kind, name


@pytest.fixture
def desk(chromium: Browser, server: RunningServer) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 850}, base_url=server.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def test_each_role_finds_its_menu_its_buttons_and_its_doors(desk: Page, account: tuple[str, str], fleet: Fleet) -> None:
    kind, name = account
    desk.goto("/login/")
    desk.get_by_label("Username").fill(name)
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Log in").click()
    expect(desk.get_by_role("heading", name="Overview")).to_be_visible()
    expect(desk.locator("nav[aria-label=Main] a .nav-link-title")).to_have_text(MENUS[kind])
    desk.goto(f"/pipes/{fleet.pipe.slug}/")
    orders = desk.get_by_role("button", name="Audit now")
    expect(orders).to_have_count(1 if kind in {"operator", "admin"} else 0)
    for door in DOORS:
        answer = desk.goto(door)
        assert answer
        assert answer.status == (200 if door in OPEN[kind] else 403), door
    if kind != "admin":
        expect(desk.get_by_role("heading", name="Your account may not do this")).to_be_visible()


def test_nobody_gets_in_and_comes_back_to_what_was_asked_for(desk: Page, fleet: Fleet, orm: ServerOrm) -> None:
    name = f"late-{time.time_ns()}"
    orm.run(lambda: people.create(Actor("root"), name, PASSWORD, Role.VIEWER))
    desk.goto(f"/pipes/{fleet.pipe.slug}/")
    expect(desk).to_have_url(re.compile(r"/login/\?next=/pipes/"))
    desk.get_by_label("Username").fill(name)
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Log in").click()
    expect(desk).to_have_url(re.compile(f"/pipes/{fleet.pipe.slug}/$"))
