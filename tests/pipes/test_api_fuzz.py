"""Requests that nobody sends on purpose, made from the OpenAPI document: no route fails, and each answers as JSON or not at all.

A server of its own: what an admin's key may change is changed here.
"""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from pytest_django import DjangoDbBlocker
from schemathesis.checks import not_a_server_error

from apps.pipes.keys import create_key
from apps.pipes.models import Agent, KeyKind, Pipe, Receiver
from apps.views.models import View
from fustor_site.api import api
from tests.blackbox.processes import PATIENCE_SECONDS, RunningServer
from tests.blackbox.world import server_database

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]
EXAMPLES = 6
schema = schemathesis.openapi.from_dict(api.get_openapi_schema())
# these hold a connection open until something happens
WAITS = r"/changes$"


@pytest.fixture(scope="module")
def target(django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[str, dict[str, str]]]:
    """A server, and the mightiest key for each part of its API."""
    with RunningServer(FUSTOR_AUTH_FAILURES_PER_MINUTE="1000000") as server:
        with django_db_blocker.unblock(), server_database(server):
            keys = _keys()
        yield server.url, keys
        assert "Traceback" not in server.logs()


def _keys() -> dict[str, str]:
    receiver, view = Receiver.objects.create(slug="x-receiver"), View.objects.create(slug="x")
    pipe = Pipe.objects.create(slug="x-pipe", receiver=receiver)
    pipe.views.add(view)
    agent = Agent.objects.create(slug="x-agent")
    return {
        "/api/v1/pipe/agents": create_key(KeyKind.AGENT, agent=agent, pipes=[pipe])[1],
        "/api/v1/pipe": create_key(KeyKind.RECEIVER, receiver=receiver, pipes=[pipe])[1],
        "/api/v1": create_key(KeyKind.MANAGEMENT, scopes=["admin"])[1],
    }


@schema.exclude(path_regex=WAITS).parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_the_server_fail(case: schemathesis.Case, target: tuple[str, dict[str, str]]) -> None:
    url, keys = target
    secret = next(key for prefix, key in keys.items() if case.path.startswith(prefix))
    answer = case.call(base_url=url, headers={"X-API-Key": secret}, timeout=PATIENCE_SECONDS)
    case.validate_response(answer, checks=[not_a_server_error], excluded_checks=[])
    # without a type it is the HTTP server that answers: the request was no HTTP
    if answer.status_code >= 400 and "content-type" in answer.headers:
        assert {"detail", "code"} <= answer.json().keys(), answer.content
