"""Headless Chromium for tests: the one that is installed. Fixtures come through tests/conftest.py.

Playwright's synchronous API runs an event loop in the test's thread. So it is started per test: left running, it would break
every later test that is asynchronous or asks the ORM.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
TEST_RESULTS = Path(__file__).resolve().parent.parent / "test-results"
PATIENCE_MS = 60_000

expect.set_options(timeout=PATIENCE_MS)


def installed() -> str:
    """Path of the installed browser. Skips the test with the reason when there is none; in CI that is a failure."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    reason = "no Chromium is installed (Debian, Ubuntu: sudo apt-get install chromium)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def chromium(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """The browser, headless."""
    # the loop in this thread is Playwright's; Django's ORM is used between its steps, never inside one
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=list(ARGUMENTS), timeout=2 * PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a context of its own. Fails the test when a script failed or the content policy refused something."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
    yield page
    context.close()
    assert complaints == []
