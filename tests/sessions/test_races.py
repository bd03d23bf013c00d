"""Races on the real database, many times over: the last session of a view that keeps nothing ends while another begins (R25)."""

import threading
import time as wall
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from django.db import connection

from apps.sessions.models import Leadership, Session
from apps.sessions.services import ingest, sessions
from apps.sessions.services.ingest import Delivery
from apps.sessions.services.sessions import Wish
from apps.views.models import File, Tree
from tests.blackbox.client import f
from tests.sessions.conftest import Site

TRIALS = 1000


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_s015_rows_of_a_session_that_begins_as_the_last_one_ends_are_never_lost(
    transactional_db: None, make_site: Callable[..., Site]
) -> None:
    site = make_site(view={"live_mode": True})
    together = threading.Barrier(2)
    # the tasks take turns, so that nobody supersedes anybody
    current = site.open("a0:p")

    def end() -> None:
        together.wait(30)
        assert sessions.end(current, Session.EndCause.CLOSED)

    def begin(trial: int) -> Session:
        together.wait(30)
        session = sessions.open_session(site.principal, Wish(task_id=f"a{trial % 2}:p"))
        answer = ingest.receive(site.principal, Delivery(str(session.id), batch(trial), "", int(wall.time() * 1000)))
        assert answer.payload()["applied"] == 1, answer.payload()
        return session

    def close() -> None:
        together.wait(30)
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        for trial in range(1, TRIALS + 1):
            ended, begun = pool.submit(end), pool.submit(begin, trial)
            ended.result(60)
            current = begun.result(60)
            assert File.objects.filter(directory__tree__view=site.view, name=f"f{trial}").exists(), f"trial {trial}"
            assert Leadership.objects.get(tree__view=site.view).session_id == current.number
        for closed in [pool.submit(close) for _ in range(2)]:
            closed.result(60)
    assert Tree.objects.get(view=site.view).live_sessions == 1


def batch(trial: int) -> bytes:
    """One new file, told in realtime."""
    event = {
        "event_type": "insert",
        "rows": [f(f"/f{trial}", wall.time())],
        "fields": [],
        "event_schema": "fs",
        "table": "files",
        "message_source": "realtime",
        "index": trial,
    }
    return msgspec.json.encode({"source_type": "message", "batch_id": str(trial), "events": [event]})
