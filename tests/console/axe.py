"""axe over a page of a real browser."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def faults_of(page: Page) -> list[str]:
    """What axe finds on the page, once all of it is there: a click returns when its answer has only begun."""
    page.wait_for_load_state()
    violations = Axe().run(page).response["violations"]
    return [f"{page.url}: {fault['id']} at {[node['target'] for node in fault['nodes']][:3]}" for fault in violations]
