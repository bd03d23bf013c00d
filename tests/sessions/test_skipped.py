"""An audit that nobody could run when it was due is on record with its reason, once per outage, and keeps nothing waiting."""

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.pipes.models import Pipe, PipeView
from apps.runtime.clock import ManualClock
from apps.sessions.models import Job, Session
from apps.sessions.services import facts, phases, sessions, skipped
from apps.views.models import Suspect, Tree, View
from tests.sessions.conftest import Site
from tests.sessions.test_jobs import done, leader, sessions_alive

__all__ = ["leader"]

INTERVAL, STRETCHED = 600, 661


def skipped_jobs(site: Site, kind: Job.Kind = Job.Kind.AUDIT) -> list[Job]:
    return [job for job in site.jobs(kind) if job.was_skipped]


def test_an_audit_without_a_leader_is_on_record_once_with_its_reason(site: Site, leader: Session, time: ManualClock) -> None:
    sessions.end(leader, Session.EndCause.CLOSED)
    time.advance(INTERVAL - 1)
    assert skipped.record() == 0
    for turns in (1, 2, 3):
        time.advance(STRETCHED)
        assert skipped.record() == 1
        assert skipped.record() == 0
        (job,) = skipped_jobs(site)
        assert job.result == {"turns": turns}
    status = facts.job_status(job)
    assert (status.label, status.reason) == ("Skipped ×3", skipped.NOBODY_LEADS)
    assert job.finished_at is not None
    assert (job.finished_at - job.created_at).total_seconds() == 2 * STRETCHED


def test_the_next_leader_audits_at_once_and_the_next_outage_is_another_record(
    site: Site, leader: Session, time: ManualClock
) -> None:
    sessions.end(leader, Session.EndCause.CLOSED)
    time.advance(STRETCHED)
    skipped.record()
    time.advance(1)
    again = site.open("a:p", protocol=3)
    (audit,) = [job for job in site.jobs(Job.Kind.AUDIT) if job.is_open]
    assert audit.session_id == again.number
    done(audit)
    sessions.end(again, Session.EndCause.CLOSED)
    time.advance(STRETCHED)
    assert skipped.record() == 1
    assert [job.result["turns"] for job in skipped_jobs(site)] == [1, 1]


def test_an_audit_of_a_paused_pipe_is_skipped_and_runs_when_the_pipe_goes_on(
    site: Site, leader: Session, time: ManualClock
) -> None:
    Pipe.objects.update(paused=True)
    time.advance(STRETCHED)
    sessions_alive(leader)
    assert (phases.plan(), skipped.record()) == (0, 1)
    (job,) = skipped_jobs(site)
    assert job.error == skipped.PAUSED
    Pipe.objects.update(paused=False)
    assert (skipped.record(), phases.plan()) == (0, 1)


def test_an_audit_under_way_is_not_skipped(site: Site, leader: Session, time: ManualClock) -> None:
    phases.run_now(site.pipe, Job.Kind.AUDIT, "ada")
    Pipe.objects.update(paused=True)
    time.advance(STRETCHED)
    assert skipped.record() == 0


def test_a_sentinel_is_skipped_only_while_there_is_something_to_look_at(site: Site, leader: Session, time: ManualClock) -> None:
    sessions.end(leader, Session.EndCause.CLOSED)
    time.advance(300)
    assert skipped.record() == 0
    Suspect.objects.create(tree=site.tree, path="/hot", since=time.now() - 100, until=time.now() - 50)
    assert skipped.record() == 1
    (job,) = skipped_jobs(site, Job.Kind.SENTINEL)
    assert job.error == skipped.NOBODY_LEADS


@pytest.mark.parametrize("why", ["nothing is known yet", "the pipe is off", "the view is off", "it is never audited"])
def test_what_would_not_run_anyway_is_not_skipped(site: Site, leader: Session, time: ManualClock, why: str) -> None:
    sessions.end(leader, Session.EndCause.CLOSED)
    if why == "nothing is known yet":
        Tree.objects.update(snapshot_complete_at=None)
    elif why == "the pipe is off":
        Pipe.objects.update(enabled=False)
    elif why == "the view is off":
        type(site.view).objects.update(enabled=False)
    else:
        Pipe.objects.update(audit_interval_sec=0)
    time.advance(STRETCHED)
    assert skipped.record() == 0


def test_many_views_without_a_leader_cost_as_many_queries_as_one(
    site: Site, leader: Session, time: ManualClock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sessions.end(leader, Session.EndCause.CLOSED)
    time.advance(1)
    for number in range(10):
        view = View.objects.create(slug=f"more-{number}")
        PipeView.objects.create(pipe=site.pipe, view=view)
        Tree.objects.create(view=view, snapshot_complete_at=time.now())
    assert skipped.record() == 10
    time.advance(1)
    with django_assert_num_queries(3):
        assert skipped.record() == 0
