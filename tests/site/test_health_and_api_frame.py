"""The frame of the API on a running server: health, both slash forms, errors as JSON, OpenAPI without a CDN."""

import httpx
import pytest

from tests.blackbox.own_server import server
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer

__all__ = ["server"]  # a fixture: Redis is killed here, and Celery may end with it
pytestmark = pytest.mark.blackbox


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/readyz", "/readyz/", "/api/v1/openapi.json", "/api/v1/docs"])
def test_answers_with_and_without_a_trailing_slash(server: RunningServer, path: str) -> None:
    assert httpx.get(server.url + path, timeout=PATIENCE_SECONDS).status_code == 200


def test_docs_load_nothing_from_elsewhere(server: RunningServer) -> None:
    page = httpx.get(f"{server.url}/api/v1/docs", timeout=PATIENCE_SECONDS).text
    assert "/static/ninja/swagger-ui-bundle.js" in page
    assert "//cdn" not in page
    assert "https://" not in page


def test_unknown_api_path_is_json_404(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/api/v1/nothing/here", timeout=PATIENCE_SECONDS)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert "/api/v1/nothing/here" in answer.json()["detail"]


def test_readyz_says_what_is_wrong_when_redis_is_gone(server: RunningServer) -> None:
    server.redis.kill()
    try:
        answer = httpx.get(f"{server.url}/readyz", timeout=PATIENCE_SECONDS)
    finally:
        server.redis.start()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "FUSTOR_REDIS_URL" in answer.json()["checks"]["broker"]
    assert answer.json()["checks"]["database"] == "ok"
    assert httpx.get(f"{server.url}/readyz", timeout=PATIENCE_SECONDS).status_code == 200
