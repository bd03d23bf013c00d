"""Timeouts at their boundary, expiry exactly once, and what silence does to leadership (R23, R24, R44)."""

from collections.abc import Callable

import pytest

from apps.runtime.clock import ManualClock
from apps.runtime.problems import SessionObsolete
from apps.sessions.models import LeadershipChange, Session
from apps.sessions.services import beats, heartbeats, leadership, sessions
from apps.sessions.services.heartbeats import Beat
from fustor_schema.sources import Role
from tests.sessions.conftest import Site


def beat(site: Site, session: Session) -> heartbeats.Pulse:
    return heartbeats.heartbeat(site.principal, str(session.id), Beat())


@pytest.mark.parametrize(("after", "alive"), [(29.999, True), (30.0, True), (30.001, False)])
def test_a_session_lives_up_to_and_at_its_timeout(site: Site, time: ManualClock, after: float, alive: bool) -> None:
    session = site.open()
    time.advance(after)
    assert sessions.expire() == (0 if alive else 1)
    session.refresh_from_db()
    assert (session.ended_at is None) == alive


@pytest.mark.parametrize(("after", "alive"), [(29.999, True), (30.0, True), (30.001, False)])
def test_a_late_heartbeat_is_judged_by_the_same_boundary(site: Site, time: ManualClock, after: float, alive: bool) -> None:
    session = site.open()
    time.advance(after)
    if alive:
        assert beat(site, session).role == Role.LEADER
    else:
        with pytest.raises(SessionObsolete):
            beat(site, session)
        session.refresh_from_db()
        assert session.end_cause == Session.EndCause.EXPIRED


def test_heartbeats_keep_a_session_for_ever(site: Site, time: ManualClock) -> None:
    session = site.open()
    for _ in range(20):
        time.advance(29)
        beat(site, session)
        assert sessions.expire() == 0


def test_beats_within_a_quarter_of_the_timeout_write_no_row(
    site: Site, time: ManualClock, django_assert_num_queries: Callable[..., object]
) -> None:
    session = site.open()
    time.advance(7)
    with django_assert_num_queries(1) as ran:
        beat(site, session)
    assert ran.captured_queries[0]["sql"].lstrip().startswith("SELECT")
    session.refresh_from_db()
    assert session.last_active_at == session.created_at
    time.advance(1)
    beat(site, session)
    session.refresh_from_db()
    assert (session.last_active_at - session.created_at).total_seconds() == 8


def test_expiry_promotes_the_longest_lived_session_and_says_why(site: Site, time: ManualClock) -> None:
    site.open("a:p")
    time.advance(10)
    second = site.open("b:p")
    site.open("c:p")
    time.advance(21)
    assert sessions.expire() == 1
    assert leadership.epochs_of(second) == {site.tree.pk: 2}
    change = LeadershipChange.objects.first()
    assert change is not None
    assert (change.previous_task_id, change.task_id, change.cause, change.epoch) == ("a:p", "b:p", "expired", 2)


def test_a_followers_heartbeat_notices_the_silent_leader_without_any_worker(site: Site, time: ManualClock) -> None:
    site.open("a:p")
    time.advance(20)
    follower = site.open("b:p")
    time.advance(11)
    assert beat(site, follower).role == Role.LEADER


def test_a_session_expires_once_however_many_look(site: Site, time: ManualClock) -> None:
    site.open("a:p")
    time.advance(31)
    assert [sessions.expire() for _ in range(3)] == [1, 0, 0]
    assert LeadershipChange.objects.filter(cause="expired").count() == 1


def test_a_sign_of_life_between_reading_and_ending_keeps_the_session(site: Site, time: ManualClock) -> None:
    session = site.open("a:p")
    time.advance(31)
    stale = Session.objects.get(pk=session.pk)
    beats.refresh(session.number, session.timeout_seconds, time.now())
    assert not sessions._mark_ended(stale, Session.EndCause.EXPIRED)
    session.refresh_from_db()
    assert session.ended_at is None


def test_a_step_of_the_wall_clock_expires_nobody(site: Site, time: ManualClock) -> None:
    session = site.open()
    time.advance(-3600)  # server time is steady; should it ever go back, nobody must pay for it
    assert sessions.expire() == 0
    assert beat(site, session).role == Role.LEADER


def test_switching_the_pipe_off_ends_its_sessions(site: Site, time: ManualClock) -> None:
    session = site.open()
    site.pipe.enabled = False
    site.pipe.save()
    with pytest.raises(SessionObsolete):
        beat(site, session)
    assert sessions.end_switched_off() == 0
    session.refresh_from_db()
    assert session.end_cause == Session.EndCause.DISABLED


def test_a_revoked_key_ends_its_sessions(site: Site, time: ManualClock) -> None:
    session = site.open()
    sessions.end_of_keys([site.principal.key.pk])
    session.refresh_from_db()
    assert session.end_cause == Session.EndCause.REVOKED
