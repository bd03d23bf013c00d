"""The API describes itself: every route is in the OpenAPI document, and the docs page works in a browser without a CDN."""

import httpx
import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from playwright.sync_api import Page, expect

from fustor_site.api import api
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer


def routes() -> set[str]:
    """Every path below /api/v1/ that Django resolves, without the description's own."""

    def walk(resolver: URLResolver, prefix: str) -> set[str]:
        found = set()
        for entry in resolver.url_patterns:
            path = prefix + str(entry.pattern)
            found |= {path} if isinstance(entry, URLPattern) else walk(entry, path)
        return found

    own = {"api/v1/", "api/v1/openapi.json", "api/v1/docs"}
    return {path for path in walk(get_resolver(), "") if path.startswith("api/v1/")} - own


def test_no_route_ends_with_a_slash_because_the_middleware_takes_it_off() -> None:
    assert len(routes()) > 30
    assert [path for path in routes() if path.endswith("/")] == []


def test_every_route_is_described() -> None:
    described = {path.lstrip("/") for path in api.get_openapi_schema()["paths"]}
    plain = {path.replace("<", "{").replace(">", "}") for path in routes()}
    undescribed = {path for path in plain if path not in described and not any(same(path, other) for other in described)}
    assert undescribed == set()


def same(path: str, described: str) -> bool:
    """Django writes `{uuid:job_id}`, OpenAPI `{job_id}`."""
    parts, others = path.split("/"), described.split("/")
    return len(parts) == len(others) and all(
        one == other or (one.startswith("{") and other == "{" + one.strip("{}").split(":")[-1] + "}")
        for one, other in zip(parts, others, strict=True)
    )


def test_operation_ids_are_unique() -> None:
    paths = api.get_openapi_schema()["paths"].values()
    ids = [operation["operationId"] for path in paths for operation in path.values()]
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.blackbox
@pytest.mark.browser
def test_the_docs_page_lists_the_routes_in_a_browser(server: RunningServer, page: Page) -> None:
    elsewhere: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith((server.url, "data:")) else None)
    page.goto(f"{server.url}/api/v1/docs")
    expect(page.locator(".opblock").nth(30)).to_be_visible()
    assert elsewhere == []


@pytest.mark.blackbox
def test_the_description_is_valid_json_for_everybody(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/api/v1/openapi.json", timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.")
    assert "/api/v1/pipe/session" in answer.json()["paths"]
