"""From an empty installation to a live view in a real browser, with a real agent on a real directory; keys rotated and revoked."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django import DjangoDbBlocker

from apps.pipes import people
from apps.pipes.audit import Actor
from apps.pipes.models import Role
from fustor_site.supervisor import children, programs
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer, wait_until
from tests.chromium import PATIENCE_MS
from tests.console.axe import faults_of
from tests.console.test_browser import ServerOrm

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PASSWORD = "correct-horse-battery"
Starter = Callable[[str], None]


@pytest.fixture(params=["light", "dark"])
def empty(django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest) -> Iterator[tuple[RunningServer, str]]:
    """A server with nothing configured, and an account of each role; and a theme."""
    with RunningServer() as server:
        orm = ServerOrm(server, django_db_blocker)
        for role in Role:
            orm.run(lambda role=role: people.create(Actor("root"), f"a-{role}", PASSWORD, role))
        yield server, request.param


@pytest.fixture
def desk(chromium: Browser, empty: tuple[RunningServer, str]) -> Iterator[Page]:
    server, theme = empty
    context = chromium.new_context(color_scheme=theme, viewport={"width": 1280, "height": 850}, base_url=server.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[Starter]:
    """Runs the command that the page shows, as somebody on the host would, on a directory with three files."""
    watched = tmp_path / "storage"
    watched.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (watched / name).write_text(name)
    started: list[children.Child] = []

    def start(command: str) -> None:
        words = shlex.split(command.replace("/path/to/storage", str(watched)))
        assert words[0] == "fustor-agent"
        environment = {**os.environ, "FUSTOR_AGENT_HOME": str(tmp_path / "agent"), "PYTHONPATH": str(programs.PROJECT)}
        with (tmp_path / "agent.log").open("ab") as log:
            started.append(
                children.start([sys.executable, "-m", "agent_runner", *words[1:]], environment, log, cwd=str(programs.PROJECT))
            )

    yield start
    children.end(started, grace=8)
    print((tmp_path / "agent.log").read_text()[-3000:] if (tmp_path / "agent.log").exists() else "no agent was started")


def log_in(page: Page, name: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def look(page: Page, name: str) -> None:
    """axe finds nothing; with FUSTOR_SHOTS a picture is kept."""
    assert faults_of(page) == []
    if folder := os.environ.get("FUSTOR_SHOTS"):
        theme = page.locator("html").get_attribute("data-bs-theme")
        page.screenshot(path=f"{folder}/{name}-{theme}-1280.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 850})
        page.screenshot(path=f"{folder}/{name}-{theme}-390.png", full_page=True)
        page.set_viewport_size({"width": 1280, "height": 850})


def make_objects(page: Page) -> None:
    for step in ("receiver", "view", "pipe"):
        look(page, f"setup-{step}")
        page.get_by_role("button", name="Make it").click()


def test_from_nothing_to_a_live_view(desk: Page, start_agent: Starter, empty: tuple[RunningServer, str]) -> None:
    log_in(desk, "a-admin")
    expect(desk).to_have_url(re.compile("/setup/$"))
    make_objects(desk)
    desk.get_by_role("button", name="Make the command").click()
    look(desk, "setup-command")
    start_agent(desk.locator(".secret code").inner_text())
    expect(desk.get_by_text("the view is live")).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(desk.locator("#host")).to_contain_text("Files known: 3")
    look(desk, "setup-live")
    desk.get_by_role("link", name="See your files").click()
    expect(desk.get_by_text("b.txt")).to_be_visible()
    desk.goto("/agents/")
    look(desk, "setup-agents")
    rotate_and_revoke(desk, empty[0].url)


def rotate_and_revoke(page: Page, url: str) -> None:
    """A key is made, rotated with an overlap, and revoked; what programs get says so each time."""
    page.goto("/keys/new/")
    page.get_by_label("Name").fill("dashboard")
    page.get_by_label("Every view").check()
    page.get_by_role("button", name="Make the key").click()
    old = page.locator(".secret code").inner_text()
    assert status(url, old) == 200
    page.get_by_role("link", name="I have it").click()
    page.wait_for_load_state()  # a script listens to the buttons
    row = page.get_by_role("row").filter(has_text="dashboard")
    row.get_by_role("button", name="Rotate").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    new = page.locator(".secret code").inner_text()
    assert (status(url, old), status(url, new)) == (200, 200)
    page.get_by_role("link", name="I have it").click()
    page.wait_for_load_state()  # a script listens to the buttons
    row = page.get_by_role("row").filter(has_text=f"…{new[-4:]}")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("is revoked")).to_be_visible()
    # a process remembers a good key for two seconds
    wait_until(lambda: status(url, new) == 401, PATIENCE_SECONDS, "the key to be refused")
    assert status(url, old) == 200


def status(url: str, key: str) -> int:
    return httpx.get(f"{url}/api/v1/views", headers={"X-API-Key": key}, timeout=PATIENCE_SECONDS).status_code


def test_a_host_is_enrolled_and_approved_by_hand_and_others_only_look_on(desk: Page, start_agent: Starter) -> None:
    log_in(desk, "a-admin")
    make_objects(desk)
    desk.get_by_label("Approve it without asking").uncheck()
    desk.get_by_role("button", name="Make the command").click()
    start_agent(desk.locator(".secret code").inner_text())
    expect(desk.get_by_text("waits for your approval")).to_be_visible(timeout=2 * PATIENCE_MS)
    look(desk, "setup-pending")
    desk.get_by_role("button", name="Approve").click()
    expect(desk.get_by_text("the view is live")).to_be_visible(timeout=2 * PATIENCE_MS)
    desk.get_by_role("button", name="Log out").click()
    for name in ("a-operator", "a-viewer"):
        log_in(desk, name)
        expect(desk.get_by_role("heading", name="Overview")).to_be_visible()
        answer = desk.goto("/setup/")
        assert answer
        assert answer.status == 403
        desk.goto("/agents/")
        expect(desk.get_by_role("link", name="Enrol a host")).to_have_count(0)
        desk.get_by_role("button", name="Log out").click()
    desk.goto("/setup/")
    expect(desk).to_have_url(re.compile("/login/"))
