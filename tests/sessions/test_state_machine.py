"""Reported changes of state are judged as the state machine says, and the document says the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from apps.runtime.clock import ManualClock
from apps.sessions.models import StateChange
from apps.sessions.services import heartbeats
from apps.sessions.services.heartbeats import Beat
from apps.sessions.transitions import objection
from fustor_schema.pipestate import PipeState
from tests.sessions.conftest import Site

TOOL = Path(__file__).resolve().parents[2] / "tools" / "state_machine.py"


def test_the_document_says_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PipeState.STOPPED, PipeState.RUNNING | PipeState.SNAPSHOT),
        (PipeState.RUNNING | PipeState.SNAPSHOT, PipeState.RUNNING | PipeState.MESSAGE),
        (PipeState.RUNNING, PipeState.RUNNING | PipeState.RECONNECTING),
        (PipeState.ERROR, PipeState.INITIALIZING),
    ],
)
def test_known_changes_meet_no_objection(before: PipeState, after: PipeState) -> None:
    assert objection(before, after) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PipeState.PAUSED, PipeState.DRAINING),
        (PipeState.STOPPING, PipeState.RUNNING),
        (PipeState.RUNNING, PipeState.PAUSED | PipeState.SNAPSHOT),
    ],
)
def test_unknown_changes_are_objected_to(before: PipeState, after: PipeState) -> None:
    assert objection(before, after)


def test_every_reported_change_is_kept_with_its_time(site: Site, time: ManualClock) -> None:
    session = site.open()
    reported = ("2", "34", "34", "66", "PipeState.PAUSED", "512")
    for state in reported:
        time.advance(1)
        heartbeats.heartbeat(site.principal, str(session.id), Beat(agent_status={"state": state}))
    kept = list(StateChange.objects.order_by("at").values_list("before", "after", flat=False))
    assert kept == [(0, 2), (2, 34), (34, 66), (66, 4), (4, 512)]
    assert StateChange.objects.exclude(objection="").count() == 1
    session.refresh_from_db()
    assert session.state == 512
