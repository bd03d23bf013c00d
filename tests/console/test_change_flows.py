"""In a real browser: a draft goes out in waves, halts by itself and is rolled back; orders on many rows of a list."""

import re

import pytest
from playwright.sync_api import Browser, expect

from apps.pipes import agents, drafts, services
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.models import Agent, Draft, Rollout
from apps.pipes.rollouts import service as rollouts
from tests.blackbox.own_server import server
from tests.console.test_browser import ServerOrm, Site, open_browser, orm, site

__all__ = ["orm", "server", "site"]  # fixtures
pytestmark = [pytest.mark.browser, pytest.mark.slow]


def _prepare() -> None:
    """No rollout is open, and a draft of mine moves the source of six agents."""
    for rollout in Rollout.objects.filter(state__in=("running", "halted")):
        rollouts.cancel(rollout.pk, Actor("admin"))
    Draft.objects.filter(author="browser").delete()
    drafts.put_object("browser", "sources", "data", {"uri": "/mnt/elsewhere"})


def _refuse() -> None:
    number = service.latest_number()
    member = Rollout.objects.get(pk=number).members.filter(state="sent").first()
    assert member is not None
    agents.report(member.agent, 1, "there is no directory /mnt/elsewhere")
    rollouts.advance_all()


def test_a_draft_goes_out_in_waves_halts_and_is_rolled_back(chromium: Browser, site: Site, orm: ServerOrm) -> None:
    orm.run(_prepare)
    context = open_browser(chromium, site)
    page = context.new_page()
    page.goto("/changes/draft/")
    expect(page.get_by_text("/mnt/elsewhere")).to_be_visible()
    page.get_by_text("Roll out in waves").click()
    page.get_by_label("Waves, one per line").fill("50%\nsite=north")
    page.get_by_placeholder("Why (kept with the revision)").fill("new disks")
    page.get_by_role("button", name="Apply as one revision").click()
    expect(page).to_have_url(re.compile(r"/changes/\d+/rollout/$"))
    expect(page.get_by_text("Wave 1 of 2")).to_be_visible()
    orm.run(_refuse)
    summary = page.locator("#rollout-summary")
    expect(summary.get_by_text("Halted")).to_be_visible()
    expect(page.locator("#rollout-agents")).to_contain_text("there is no directory /mnt/elsewhere")
    page.get_by_role("button", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The failed revision stays on record")
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("Rolled back as revision")).to_be_visible()
    wanted = orm.run(lambda: {agents.desired(agent)["config"]["sources"]["data"]["uri"] for agent in _racks()})
    assert "/mnt/elsewhere" not in wanted
    context.close()


def _racks() -> list[Agent]:
    return list(Agent.objects.filter(slug__startswith="rack-"))


def _many_sources() -> None:
    for number in range(3):
        services.put_object("sources", f"bulk-{number}", {"uri": f"/bulk/{number}"}, service.Author("admin"))


def test_rows_are_ticked_the_order_is_confirmed_and_done(chromium: Browser, site: Site, orm: ServerOrm) -> None:
    orm.run(_many_sources)
    context = open_browser(chromium, site)
    page = context.new_page()
    page.goto("/sources/?q=bulk-")
    page.get_by_label("Choose every row of this page").check()
    expect(page.get_by_text("3 chosen")).to_be_visible()
    page.get_by_label("Choose bulk-1").uncheck()
    expect(page.get_by_text("2 chosen")).to_be_visible()
    page.get_by_label("all 3 that match").check()
    expect(page.get_by_label("Choose bulk-1")).to_be_disabled()
    page.get_by_label("all 3 that match").uncheck()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Disable 2 sources?")
    page.get_by_role("button", name="Disable").click()
    expect(page).to_have_url(f"{site.url}/sources/?q=bulk-")
    expect(page.get_by_role("link", name=re.compile("^Off 2"))).to_be_visible()
    page.get_by_role("link", name=re.compile("^Off 2")).click()
    expect(page).to_have_url(re.compile("q=bulk-.*state=off"))
    context.close()
