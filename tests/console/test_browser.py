"""In a real browser against a real server: axe over every page in both themes, phones, weight, live parts, theme, keyboard."""

import gzip
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import httpx
import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, expect
from pytest_django import DjangoDbBlocker

from apps.pipes import agents, audit, drafts, enrolment, services
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.config.export import export_text
from apps.pipes.config.reading import Text, read
from apps.pipes.config.service import Author
from apps.pipes.keys import ref_of
from apps.pipes.models import Agent, Enrolment, Pipe
from apps.pipes.rollouts import service as rollouts
from apps.pipes.rollouts.waves import Terms, parse_waves
from apps.pipes.services import pause_pipe
from apps.runtime import clock
from apps.sessions.models import Session
from apps.views.pages.consistency import SHELVES
from fustor_schema.pipestate import PipeState
from tests.blackbox.login import administrator_cookie
from tests.blackbox.own_server import server
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer
from tests.blackbox.world import server_database
from tests.chromium import PATIENCE_MS
from tests.console.axe import faults_of
from tests.console.conftest import build_fleet
from tests.queries.trees import fill, make_view

__all__ = ["server"]  # a fixture: a rollout is left open here
pytestmark = [pytest.mark.browser, pytest.mark.slow]

WEIGHT_LIMIT = 160_000
Result = TypeVar("Result")


@dataclass(frozen=True)
class Site:
    """The fleet as a browser reaches it."""

    url: str
    cookie: str
    pages: tuple[str, ...]
    pipe: str
    view: str


class ServerOrm:
    """The ORM on the server's database, in a thread of its own: the driver of the browser runs an event loop in this one."""

    def __init__(self, server: RunningServer, blocker: DjangoDbBlocker) -> None:
        self._server, self._blocker = server, blocker

    def run(self, work: Callable[[], Result]) -> Result:
        """The result of the work."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._on_server, work).result()

    def _on_server(self, work: Callable[[], Result]) -> Result:
        with self._blocker.unblock(), server_database(self._server):
            return work()


@pytest.fixture(scope="module")
def orm(server: RunningServer, django_db_blocker: DjangoDbBlocker) -> ServerOrm:
    return ServerOrm(server, django_db_blocker)


@pytest.fixture(scope="module")
def site(server: RunningServer, orm: ServerOrm) -> Site:
    return orm.run(lambda: _site(server.url))


def _site(url: str) -> Site:
    fleet = build_fleet("browsed", files=260)
    pages = (
        "/",
        "/locate/?q=sample-000",
        "/views/",
        f"/views/{fleet.view.slug}/",
        f"/views/{fleet.view.slug}/tree/?path=/runs",
        f"/views/{fleet.view.slug}/reset/",
        f"/views/{fleet.view.slug}/search/?q=*.bam",
        f"/views/{fleet.view.slug}/inspect/?path=/runs/sample-0000.bam",
        *(f"/views/{fleet.view.slug}/consistency/?show={shelf}" for shelf in SHELVES),
        "/pipes/",
        f"/pipes/{fleet.pipe.slug}/",
        "/sessions/",
        f"/sessions/{fleet.leader.number}/",
        "/jobs/",
        f"/jobs/{fleet.running.pk}/",
        f"/jobs/{fleet.failed.pk}/",
        "/agents/",
        f"/agents/{fleet.leader.agent_name}/",
        f"/configuration/pipes/{fleet.pipe.slug}/",
        f"/configuration/views/{fleet.view.slug}/edit/",
        "/agent-pipes/",
        "/sources/?state=off",
        "/sources/",
        "/senders/",
        "/receivers/",
        "/keys/",
        "/keys/new/",
        "/agents/enrol/",
        "/agents/pending/",
        "/configuration/",
        "/changes/",
        *(f"/changes/{number}/" for number in _govern()),
        f"/changes/{_roll_out()}/rollout/",
        "/changes/draft/",
        "/configuration/settings/",
        "/changes/drafts/anna/",
        "/audit/",
        "/profile/",
        "/profile/password/",
        "/profile/app/",
        "/profile/passkey/",
        "/people/",
        "/people/new/",
        "/people/browser/",
        "/system/",
        "/no-such-page/",
    )
    return Site(url, administrator_cookie("browser"), (*pages, *_copies()), fleet.pipe.slug, fleet.view.slug)


def _govern() -> tuple[int, ...]:
    """What an admin leaves behind, so that these pages have something to show: revisions, refusals, tokens, hosts that wait."""
    admin = Actor("admin", "192.0.2.7")
    audit.record_denied(Actor("viewer"), "reset", "view browsed", "needs 'reset'")
    pipe = Pipe.objects.get(slug="browsed-pipe")
    before = service.record_revision(Author("admin", "as it was"), "first")
    pause_pipe(pipe, paused=True, actor=admin)
    pause_pipe(pipe, paused=False, actor=admin)
    text = export_text().replace("audit_interval_sec: 600", "audit_interval_sec: 1200")
    reading = read([Text("fustor.yaml", text)], variables={}, known_ref=ref_of)
    _plan, after = service.change(service.Wanted(reading.document, reading.secrets, replace=False), Author("admin", "calmer"))
    token, _secret = enrolment.make_token(admin, enrolment.Terms(name="rack 4", pipe=pipe))
    for number, reason in enumerate(("", "Its name belongs to an agent that is connected now.")):
        Enrolment.objects.create(
            token=token, agent_slug=f"host-{number}", hostname=f"host-{number}.lab.example.org", reason=reason,
            fingerprint="4f:1c:09:aa:31:7e:52:d0", claim_digest=str(number), agent_version="1.0", address="192.0.2.20",
            created_at=clock.now_datetime(),
        )  # fmt: skip
    return tuple(revision.number for revision in (before, after) if revision)


def _roll_out() -> int:
    """A rollout that halted, a draft of one's own that others overtook, and one of a colleague. The number of the revision."""
    hosts = [f"rack-{number}" for number in range(6)]
    agents_text = "\n".join(
        f"  {host}: {{labels: {{site: north}}, pipes: {{home: {{source: data, sender: here, pipe: browsed-pipe}}}}}}"
        for host in hosts
    )
    text = f"sources: {{data: {{uri: /data}}}}\nsenders: {{here: {{uri: 'http://localhost'}}}}\nagents:\n{agents_text}"
    reading = read([Text("agents.yaml", text)], variables={}, known_ref=ref_of)
    service.change(service.Wanted(reading.document, reading.secrets), Author("admin"))
    Agent.objects.filter(slug__in=hosts).update(enrolled_at=clock.now_datetime())
    drafts.put_object("browser", "sources", "data", {"uri": "/mnt/data", "name": "Disks"})
    moved = service.Wanted(services.document_with("sources", "data", {"uri": "/new/place/of/the/data"}))
    _plan, revision = service.change(moved, Author("admin", "the new disks"), terms=Terms(parse_waves("50%\nsite=north")))
    assert revision is not None
    agents.report(Agent.objects.get(slug="rack-1"), 1, "source data: there is no directory /new/place/of/the/data on this host")
    for number in (0, 2, 3, 4, 5):
        agents.report(Agent.objects.get(slug=f"rack-{number}"), revision.number, "")
    rollouts.advance_all()
    drafts.put_object("anna", "pipes", "browsed-pipe", {"receiver": "browsed-in", "views": ["browsed"], "disabled": True})
    return revision.number


def _copies() -> tuple[str, ...]:
    """Pages of a forest whose members differ; one of them is offline, one was never scanned."""
    north, south = make_view("copies", "north-archive"), make_view("copies", "south-archive", live_sessions=0)
    fill(north, {"/runs/one.bam": {}, "/runs/two.bam": {"size": 4_000_000}, "/runs/only-north.bam": {}})
    fill(south, {"/runs/one.bam": {}, "/runs/two.bam": {"size": 5}, "/runs/deep/inside.bam": {}})
    make_view("copies", "new-mirror", snapshot_complete_at=None)
    return (
        "/views/copies/tree/?path=/runs",
        "/views/copies/tree/?path=/runs&only=differences",
        "/views/copies/tree/?path=/runs&scope=north-archive",
        "/views/copies/search/?q=bam",
        "/views/copies/inspect/?path=/runs/two.bam",
    )


def open_browser(chromium: Browser, site: Site, theme: str = "light", width: int = 1280) -> BrowserContext:
    context = chromium.new_context(
        color_scheme="dark" if theme == "dark" else "light", viewport={"width": width, "height": 850}, base_url=site.url
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": site.cookie, "url": site.url}])
    return context


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(chromium: Browser, site: Site, theme: str) -> None:
    context = open_browser(chromium, site, theme)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(f"{page.url}: {message.text}") if "Content Security" in message.text else None)
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    for path in (*site.pages, "/login/"):
        page.goto(path)
        assert page.locator("html").get_attribute("data-bs-theme") == theme
        faults += faults_of(page)
    context.close()
    assert faults == []


def test_no_page_is_wider_than_a_phone(chromium: Browser, site: Site) -> None:
    context = open_browser(chromium, site, width=390)
    page = context.new_page()
    for path in site.pages:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    context.close()


def test_the_menu_of_a_phone_opens_and_leads_on(chromium: Browser, site: Site) -> None:
    context = open_browser(chromium, site, width=390)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("link", name="Sessions", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Sessions", exact=True).click()
    expect(page).to_have_url(f"{site.url}/sessions/")
    context.close()


def test_the_first_page_weighs_little(site: Site) -> None:
    cookies = {settings.SESSION_COOKIE_NAME: site.cookie}
    client = httpx.Client(base_url=site.url, cookies=cookies, timeout=PATIENCE_SECONDS)
    html = client.get("/").text
    links = [piece.split('"')[0] for mark in ('src="', 'href="') for piece in html.split(mark)[1:]]
    files = {link.split("#")[0] for link in [*links, "/static/vendor/icons.svg"] if link.startswith("/static/")}
    assert len(files) >= 8
    weight = len(gzip.compress(html.encode())) + sum(len(gzip.compress(client.get(name).content)) for name in files)
    assert weight <= WEIGHT_LIMIT, f"{weight} bytes"


def test_vendored_files_travel_compressed(site: Site) -> None:
    url, headers = f"{site.url}/static/vendor/tabler.min.css", {"Accept-Encoding": "gzip"}
    response = httpx.get(url, headers=headers, timeout=PATIENCE_SECONDS)
    assert response.headers["Content-Encoding"] == "gzip"


def test_a_change_of_phase_shows_without_a_reload(chromium: Browser, site: Site, orm: ServerOrm) -> None:
    context = open_browser(chromium, site)
    page = context.new_page()
    page.goto(f"/pipes/{site.pipe}/")
    expect(page.locator("html[data-live-state=live]")).to_have_count(1)
    chip = page.locator("#pipe-sessions").get_by_text("snapshot", exact=True)
    expect(chip).to_have_count(0)
    follower = Session.objects.filter(pipe__slug=site.pipe, task_id__contains="host-2")
    orm.run(lambda: follower.update(state=int(PipeState.RUNNING | PipeState.SNAPSHOT)))
    expect(chip).to_be_visible()
    context.close()


def test_the_theme_is_kept_and_set_before_the_first_paint(chromium: Browser, site: Site) -> None:
    context = open_browser(chromium, site, "light")
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Light or dark").click()
    page.goto("/pipes/")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    first_script = page.evaluate("document.head.querySelector('script').src")
    assert first_script.endswith("/static/js/theme.js")
    context.close()


def test_the_keyboard_reaches_search_help_and_pages(chromium: Browser, site: Site) -> None:
    context = open_browser(chromium, site)
    page = context.new_page()
    page.goto("/sessions/")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.locator("#q").blur()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    # a letter counts for a second after the g, however long this machine takes from one key to the next
    page.clock.set_fixed_time(time.time())
    page.keyboard.press("g")
    page.keyboard.press("v")
    expect(page).to_have_url(f"{site.url}/views/")
    context.close()


def test_the_tree_opens_a_branch_when_asked(chromium: Browser, site: Site) -> None:
    context = open_browser(chromium, site)
    page = context.new_page()
    page.goto(f"/views/{site.view}/tree/")
    page.get_by_role("link", name="runs").first.click()
    expect(page.locator("#listing").get_by_text("sample-0000.bam")).to_be_visible()
    context.close()


def test_an_order_asks_first_and_names_object_and_consequence(chromium: Browser, site: Site) -> None:
    context = open_browser(chromium, site)
    page = context.new_page()
    page.goto(f"/pipes/{site.pipe}/")
    page.get_by_role("button", name="Audit now").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(site.pipe)
    expect(dialog).to_contain_text("What is proven to be gone is deleted")
    dialog.get_by_role("button", name="Audit now").click()
    expect(page.get_by_role("status").filter(has_text="protocol 2")).to_be_visible()
    context.close()
