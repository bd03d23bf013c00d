"""Forms in a real browser: make, edit, break and mend a pipe; two people at once; back to an older revision; axe, both themes."""

import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django import DjangoDbBlocker

from apps.pipes import services
from apps.pipes.config import service
from apps.pipes.config.service import Author
from apps.pipes.models import Pipe
from tests.blackbox.login import administrator_cookie
from tests.blackbox.own_server import server
from tests.blackbox.processes import RunningServer
from tests.chromium import PATIENCE_MS
from tests.console.axe import faults_of
from tests.console.test_browser import ServerOrm

__all__ = ["server"]  # a fixture
pytestmark = [pytest.mark.browser, pytest.mark.slow]

AUTHOR = Author("anna", "calmer")


@pytest.fixture(scope="module")
def orm(server: RunningServer, django_db_blocker: DjangoDbBlocker) -> ServerOrm:
    return ServerOrm(server, django_db_blocker)


@pytest.fixture(scope="module")
def cookie(orm: ServerOrm) -> str:
    return orm.run(lambda: administrator_cookie("editor"))


@pytest.fixture(params=["light", "dark"])
def browser(chromium: Browser, server: RunningServer, cookie: str, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser of an admin, in one theme."""
    context = chromium.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 850}, base_url=server.url)
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": server.url}])
    yield context
    context.close()


@pytest.fixture
def lab(orm: ServerOrm) -> str:
    """A receiver, a view and a pipe of one name; the name."""
    name = f"lab-{time.time_ns()}"
    orm.run(lambda: make_lab(name))
    return name


def make_lab(name: str) -> None:
    services.put_object("receivers", name, {}, AUTHOR)
    services.put_object("views", name, {"name": "The lab"}, AUTHOR)
    services.put_object("pipes", name, {"receiver": name, "views": [name]}, AUTHOR)


def new_page(browser: BrowserContext) -> tuple[Page, list[str]]:
    """A page, and the complaints of its scripts and of the content policy."""
    page, complaints = browser.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    return page, complaints


def check(page: Page) -> None:
    """Axe finds nothing on the page as it is now, and it is no wider than a phone."""
    assert faults_of(page) == []
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 850})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, page.url
    assert size is not None
    page.set_viewport_size(size)


def test_a_pipe_is_made_broken_mended_and_deleted(browser: BrowserContext, orm: ServerOrm, lab: str) -> None:
    page, complaints = new_page(browser)
    name = f"{lab}-night"
    page.goto("/pipes/")
    page.get_by_role("link", name="New pipe").click()
    check(page)
    page.get_by_label("Id", exact=True).fill(name)
    page.get_by_role("combobox", name="Receiver").select_option(lab)
    page.get_by_label("Audit every").fill("soon")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Not a time.")).to_be_visible()
    expect(page.get_by_label("Audit every")).to_be_focused()
    check(page)
    page.get_by_label("Audit every").fill("2 h")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("A pipe feeds at least one view.")).to_be_visible()
    page.get_by_role("checkbox", name=f"{lab} – The lab").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved as revision")).to_be_visible()
    check(page)
    assert orm.run(lambda: Pipe.objects.get(slug=name).audit_interval_sec) == 7200
    page.get_by_role("button", name="Switch off").click()
    page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    expect(page.get_by_text(f"{name} is switched off.")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    check(page)
    page.get_by_role("button", name=f"Delete {name}").click()
    expect(page.get_by_text(f"{name} is deleted")).to_be_visible()
    assert complaints == []


def test_two_people_edit_one_pipe(browser: BrowserContext, orm: ServerOrm, lab: str) -> None:
    page, complaints = new_page(browser)
    page.goto(f"/configuration/pipes/{lab}/edit/")
    orm.run(lambda: services.edit_object("pipes", lab, {"audit_interval_sec": 1200}, AUTHOR))
    page.get_by_label("Session timeout").fill("45 s")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody changed it while you edited")).to_be_visible()
    expect(page.get_by_text("anna did, in revision")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Apply mine on top").click()
    expect(page.get_by_text("Saved as revision")).to_be_visible()
    pipe = orm.run(lambda: Pipe.objects.get(slug=lab))
    assert (pipe.session_timeout_seconds, pipe.audit_interval_sec) == (45, 1200)
    page.get_by_role("link", name="Edit", exact=True).click()
    orm.run(lambda: services.edit_object("pipes", lab, {"audit_interval_sec": 1800}, AUTHOR))
    page.get_by_label("Audit every").fill("1 h")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("You changed the same.")).to_be_visible()
    check(page)
    page.get_by_role("link", name="drop yours and start from theirs").click()
    expect(page.get_by_label("Audit every")).to_have_value("30 min")
    assert complaints == []


def test_an_older_revision_comes_back(browser: BrowserContext, orm: ServerOrm, lab: str) -> None:
    page, complaints = new_page(browser)
    first = orm.run(service.latest_number)
    page.goto(f"/configuration/pipes/{lab}/edit/")
    page.get_by_label("Session timeout").fill("2 min")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved as revision")).to_be_visible()
    page.goto(f"/changes/{first}/")
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Restored as revision")).to_be_visible()
    assert orm.run(lambda: Pipe.objects.get(slug=lab).session_timeout_seconds) == 30
    assert complaints == []


def test_the_settings_follow_the_driver(browser: BrowserContext) -> None:
    page, complaints = new_page(browser)
    page.goto("/configuration/new/senders/")
    expect(page.get_by_label("Compression")).to_be_visible()
    page.get_by_label("Server").fill("https://fustor.example")
    page.get_by_label("Driver").select_option("echo")
    expect(page.get_by_label("Compression")).to_have_count(0)
    expect(page.get_by_label("Server")).to_have_value("https://fustor.example")
    page.get_by_label("Driver").select_option("http")
    expect(page.get_by_label("Compression")).to_have_value("zstd")
    check(page)
    # a field that means something for one driver only, as a driver of a third party may have it
    page.evaluate("Object.assign(document.querySelector('#id_uri').closest('.form-row').dataset, {when: 'driver', equals: 'echo'})")
    page.get_by_label("Name", exact=True).fill("x")
    page.get_by_label("Name", exact=True).blur()
    expect(page.get_by_label("Server")).to_be_hidden()
    page.get_by_label("Driver").select_option("echo")
    expect(page.get_by_label("Server")).to_be_visible()
    assert complaints == []


def test_a_form_is_tested_before_it_is_saved(browser: BrowserContext, orm: ServerOrm) -> None:
    orm.run(lambda: services.put_object("agents", "silent-host", {"labels": {"site": "north"}}, AUTHOR))
    page, complaints = new_page(browser)
    page.goto("/configuration/new/sources/")
    page.get_by_label("Path").fill("/data")
    page.get_by_label("Test on").select_option("silent-host")
    page.get_by_role("button", name="Test before saving").click()
    expect(page.get_by_text("silent-host is not connected")).to_be_visible()
    expect(page.get_by_text("Only the agent can tell.").first).to_be_visible()
    check(page)
    assert len(browser.pages) == 1
    assert complaints == []
