"""A console page in headless Chromium that notes when a text first appears in it. Used by bench/latency.py."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from playwright.sync_api import Page, sync_playwright

from tests.blackbox.login import administrator_cookie
from tests.chromium import ARGUMENTS, installed

# resolves with the browser's clock (ms since the epoch) once the element holds the text
_APPEARS = """([id, text]) => new Promise((resolve) => {
  const look = () => document.getElementById(id)?.textContent.includes(text) && (resolve(Date.now()), true);
  if (look()) return;
  const observer = new MutationObserver(() => look() && observer.disconnect());
  observer.observe(document.body, { subtree: true, childList: true, characterData: true });
})"""


@contextmanager
def console_page(url: str, path: str) -> Iterator[Page]:
    """A page of the server's console, logged in as an administrator and live."""
    cookie = administrator_cookie("bench")
    # the loop in this thread is Playwright's; the ORM is used between its steps, never inside one
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=list(ARGUMENTS))
        context = browser.new_context(base_url=url)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])
        page = context.new_page()
        page.goto(path)
        page.wait_for_selector("html[data-live-state=live]", timeout=30_000)
        yield page
        browser.close()


def expect_text(page: Page, element_id: str, text: str) -> None:
    """From now on the page watches for the text; ask `appeared` when it came."""
    page.evaluate("([call, args]) => { window.appeared = eval(call)(args); }", [_APPEARS, [element_id, text]])


def appeared(page: Page) -> float:
    """When the expected text was in the page: seconds since the epoch."""
    return float(page.evaluate("window.appeared")) / 1000
