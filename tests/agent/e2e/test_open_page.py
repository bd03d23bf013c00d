"""A change of a file reaches a page that is open."""

import uuid
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, expect

from tests.agent.e2e.conftest import Fleet
from tests.agent.walk import grow
from tests.blackbox.login import administrator_cookie
from tests.chromium import PATIENCE_MS

pytestmark = [pytest.mark.blackbox, pytest.mark.browser]


def test_the_open_explorer_follows_a_directory(chromium: Browser, fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    url = fleet.world.server.url
    context = chromium.new_context(base_url=url)
    cookie = administrator_cookie(f"reader-{uuid.uuid4().hex[:8]}")
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"/views/{fleet.world.view.slug}/tree/?path=/d3")
    page.wait_for_selector("html[data-live-state=live]")
    listing = page.locator("#listing")
    for number in range(5):
        (tree / "d3" / f"made-{number}.bam").write_text("x")
    for number in range(5):
        expect(listing.get_by_text(f"made-{number}.bam")).to_be_visible()
    (tree / "d3" / "made-2.bam").rename(tree / "d3" / "renamed.bam")
    expect(listing.get_by_text("renamed.bam")).to_be_visible()
    expect(listing.get_by_text("made-2.bam")).to_be_hidden()
    context.close()
