"""Answers that are written without Ninja's check still are what the documentation says."""

import pytest

from apps.sessions.schemas import AuthorizedAnswer, EventsAnswer, HeartbeatAnswer, SessionAnswer
from tests.blackbox.client import f
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox


def test_answers_fit_their_documented_schemas(world: World) -> None:
    client = world.client("a:p")
    AuthorizedAnswer.model_validate(client.http.get("/session").json())
    SessionAnswer.model_validate(client.S().json())
    HeartbeatAnswer.model_validate(client.HB().json())
    answer = client.P("rt", [f("/x", 1), {"path": "relative"}], "insert").json()
    assert EventsAnswer.model_validate(answer).rejected[0].row == 1
