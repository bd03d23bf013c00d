"""Status functions: precedence of causes, and that whatever is wrong comes with a reason."""

import itertools
from dataclasses import fields, replace

import pytest

from apps.pipes.models import MemberState, RolloutState
from apps.sessions.status import (
    AgentFacts,
    JobFacts,
    Level,
    PipeFacts,
    RolloutFacts,
    SessionFacts,
    Status,
    ViewFacts,
    of_agent,
    of_job,
    of_member,
    of_pipe,
    of_rollout,
    of_session,
    of_view,
)
from fustor_schema.pipestate import PipeState

LIVE = SessionFacts(leads=True, can_realtime=True, state=PipeState.RUNNING | PipeState.MESSAGE)


@pytest.mark.parametrize(
    ("change", "level", "label"),
    [
        ({}, Level.OK, "Leader, live"),
        ({"leads": False}, Level.OK, "Follower, live"),
        ({"can_realtime": False}, Level.OK, "Leader"),
        ({"state": PipeState.RUNNING | PipeState.SNAPSHOT}, Level.BUSY, "Leader, snapshot"),
        ({"state": PipeState.RUNNING | PipeState.AUDIT | PipeState.MESSAGE}, Level.BUSY, "Leader, audit"),
        ({"state": PipeState.RUNNING | PipeState.RECONNECTING}, Level.WARN, "Leader, reconnecting"),
        ({"state": PipeState.PAUSED}, Level.OFF, "Leader, paused"),
        ({"state": PipeState.INITIALIZING}, Level.BUSY, "Leader, initializing"),
        ({"idle_seconds": 25}, Level.WARN, "Late"),
        ({"state": PipeState.ERROR, "idle_seconds": 25}, Level.BAD, "Error"),
        ({"idle_seconds": 31, "state": PipeState.ERROR}, Level.BAD, "Silent"),
        ({"source_lost": "another file system", "idle_seconds": 31}, Level.BAD, "Source lost"),
        ({"ended": True, "end_cause": "closed by the agent", "source_lost": "x"}, Level.OFF, "Ended"),
    ],
)
def test_session(change: dict, level: Level, label: str) -> None:
    status = of_session(replace(LIVE, **change))
    assert (status.level, status.label) == (level, label)


CONNECTED = AgentFacts(live_sessions=1, ever_seen=True)


@pytest.mark.parametrize(
    ("change", "level", "label"),
    [
        ({}, Level.OK, "Connected"),
        ({"config_outdated": True}, Level.WARN, "Configuration outdated"),
        ({"config_outdated": True, "config_refused": "no such driver"}, Level.BAD, "Configuration refused"),
        ({"sessions_in_error": 1, "config_outdated": True, "config_refused": "x"}, Level.BAD, "Error"),
        ({"live_sessions": 0, "seen_seconds_ago": 7300}, Level.BAD, "Away"),
        ({"ever_seen": False, "live_sessions": 0}, Level.UNKNOWN, "Never seen"),
        ({"enabled": False, "ever_seen": False}, Level.OFF, "Disabled"),
    ],
)
def test_agent(change: dict, level: Level, label: str) -> None:
    status = of_agent(replace(CONNECTED, **change))
    assert (status.level, status.label) == (level, label)


def test_an_absent_agent_says_since_when() -> None:
    assert "2 hours ago" in of_agent(replace(CONNECTED, live_sessions=0, seen_seconds_ago=7300)).reason


@pytest.mark.parametrize(
    ("state", "level", "label"),
    [
        ("running", Level.BUSY, "Wave 1 of 3"),
        ("halted", Level.BAD, "Halted"),
        ("done", Level.OK, "Done"),
        ("cancelled", Level.OFF, "Stopped"),
        ("rolled_back", Level.OFF, "Rolled back"),
    ],
)
def test_rollout(state: str, level: Level, label: str) -> None:
    status = of_rollout(RolloutFacts(state, wave=1, waves=3, halted_because="1 failed"))
    assert (status.level, status.label) == (level, label)


def test_every_state_of_a_rollout_and_of_its_agents_has_a_status() -> None:
    assert {of_rollout(RolloutFacts(state, 1, 1)).label for state in RolloutState.values}
    assert {of_member(state, "why").reason for state in MemberState.values} == {"why"}
    assert of_member("failed", "").level == Level.BAD


FLOWING = PipeFacts(live_sessions=2, has_leader=True, leader=Status(Level.OK, "Leader, live"), snapshot_complete=True)


@pytest.mark.parametrize(
    ("change", "level", "label"),
    [
        ({}, Level.OK, "Live"),
        ({"snapshot_complete": False}, Level.BUSY, "First snapshot"),
        ({"leader": Status(Level.BAD, "Error", "why", "fix"), "snapshot_complete": False}, Level.BAD, "Leader: Error"),
        ({"has_leader": False, "leader": None}, Level.WARN, "No leader"),
        ({"live_sessions": 0, "has_leader": False}, Level.BAD, "No agent"),
        ({"views": 0, "live_sessions": 0}, Level.WARN, "Feeds no view"),
        ({"paused": True, "views": 0}, Level.OFF, "Paused"),
        ({"receiver_enabled": False, "paused": True}, Level.OFF, "Receiver disabled"),
        ({"enabled": False, "receiver_enabled": False}, Level.OFF, "Disabled"),
    ],
)
def test_pipe(change: dict, level: Level, label: str) -> None:
    status = of_pipe(replace(FLOWING, **change))
    assert (status.level, status.label) == (level, label)


FRESH = ViewFacts(snapshot_complete=True, leader=True, live_sessions=1)


@pytest.mark.parametrize(
    ("change", "level", "label"),
    [
        ({}, Level.OK, "Live"),
        ({"open_gaps": 2}, Level.WARN, "Gaps"),
        ({"leader": False, "open_gaps": 2}, Level.WARN, "Degraded"),
        ({"live_sessions": 0, "leader": False, "offline_seconds": 90}, Level.WARN, "Offline"),
        ({"snapshot_complete": False}, Level.BUSY, "First snapshot"),
        ({"snapshot_complete": False, "live_sessions": 0}, Level.BAD, "Empty"),
        ({"fed": False, "snapshot_complete": False}, Level.WARN, "Not fed"),
        ({"audits_held": 1, "fed": False}, Level.BAD, "Deletions held"),
        ({"capacity_exceeded": True, "audits_held": 1}, Level.BAD, "Full"),
        ({"source_lost": "unmounted", "capacity_exceeded": True}, Level.BAD, "Source lost"),
        ({"enabled": False, "source_lost": "unmounted"}, Level.OFF, "Disabled"),
    ],
)
def test_view(change: dict, level: Level, label: str) -> None:
    status = of_view(replace(FRESH, **change))
    assert (status.level, status.label) == (level, label)


@pytest.mark.parametrize(
    ("facts", "level", "label"),
    [
        (JobFacts("QUEUED", delivery="queue"), Level.BUSY, "Queued"),
        (JobFacts("RUNNING"), Level.BUSY, "Running"),
        (JobFacts("RUNNING", cancel_requested=True), Level.BUSY, "Cancelling"),
        (JobFacts("DONE", cancel_requested=True), Level.OK, "Done"),
        (JobFacts("FAILED", error="disk on fire"), Level.BAD, "Failed"),
        (JobFacts("EXPIRED", error="gone"), Level.WARN, "Expired"),
        (JobFacts("CANCELLED"), Level.OFF, "Cancelled"),
        (JobFacts("EXPIRED", error="Nobody led.", skipped=3), Level.OFF, "Skipped ×3"),
    ],
)
def test_job(facts: JobFacts, level: Level, label: str) -> None:
    status = of_job(facts)
    assert (status.level, status.label) == (level, label)


def test_every_bad_or_warning_status_of_a_pipe_has_a_reason_and_a_fix() -> None:
    flags = [field.name for field in fields(PipeFacts) if field.type in ("bool", bool)]
    for values in itertools.product((True, False), repeat=len(flags)):
        for live in (0, 1):
            status = of_pipe(PipeFacts(**dict(zip(flags, values, strict=True)), live_sessions=live))
            if status.level in (Level.BAD, Level.WARN):
                assert status.reason, status
                assert status.fix, status
