"""Jobs and commands: created, delivered, leased, in progress, lost, ended; once, and always ended (R45)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery

from apps.runtime.clock import ManualClock, now, now_datetime
from apps.runtime.problems import Busy, Conflict, Invalid, Unavailable
from apps.sessions.models import Command, Job, Session
from apps.sessions.services import beats, commands, delivery, jobs, leases, phases, retries, scans, sessions
from apps.sessions.services.jobs import Order, Progress
from apps.views.models import Recheck, Tree
from fustor_site.celery import app as celery_app
from tests.sessions.conftest import Site


@pytest.fixture
def leader(site: Site, time: ManualClock, django_capture_on_commit_callbacks: Callable[..., object]) -> Session:
    """A native leader whose first snapshot is done, so nothing else is planned."""
    with django_capture_on_commit_callbacks(execute=True):
        session = site.open("a:p", protocol=3)
    done(site.jobs(Job.Kind.SNAPSHOT)[0])
    Tree.objects.update(snapshot_complete_at=time.now())
    return session


def done(job: Job) -> None:
    jobs.lease(job, "worker")
    assert jobs.finish(job, Job.State.DONE, counts={"rows": 10})


@pytest.fixture
def scan(site: Site, leader: Session, django_capture_on_commit_callbacks: Callable[..., object]) -> Callable[..., Job]:
    """`scan(path="/a", recursive=True)`: ask for one; the job that answers for it."""

    def ask(path: str = "/a", recursive: bool = True) -> Job:
        with django_capture_on_commit_callbacks(execute=True):
            request = scans.request_scan(site.view, path, recursive, "ada")
        return Job.objects.select_related("session", "tree__view", "pipe").get(request=request)

    return ask


def test_a_new_leader_of_an_unknown_tree_gets_a_snapshot(
    site: Site, time: ManualClock, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        session = site.open("a:p", protocol=3)
        follower = site.open("b:p", protocol=3)
    (job,) = site.jobs()
    assert (job.kind, job.trigger, job.session_id, job.epoch) == ("snapshot", "start", session.number, 1)
    (order,) = commands.deliver(session)
    assert (order["type"], order["job_id"], order["path"]) == ("run_snapshot", str(job.id), "/")
    assert commands.deliver(follower) == []


def test_an_old_leader_is_given_no_phase(site: Site, time: ManualClock) -> None:
    site.open("a:p", protocol=2)
    assert phases.plan() == 0
    assert site.jobs() == []


def test_a_job_is_leased_once(scan: Callable[..., Job]) -> None:
    job = scan()
    jobs.lease(job, "one")
    with pytest.raises(Conflict, match="leased"):
        jobs.lease(job, "two")


def test_s103_a_job_of_another_session_is_not_given_away(scan: Callable[..., Job], site: Site) -> None:
    other = site.open("b:p", protocol=3)
    with pytest.raises(Conflict, match="another session"):
        jobs.lease(scan(), "w", str(other.id))


def test_s103_finishing_twice_is_finishing_once(scan: Callable[..., Job]) -> None:
    job = scan()
    jobs.lease(job, "w")
    assert jobs.finish(job, Job.State.DONE, counts={"rows": 3})
    assert not jobs.finish(job, Job.State.FAILED, error="too late")
    assert (job.state, job.found, job.error) == ("DONE", 3, "")


def test_progress_renews_the_lease_and_tells_of_a_cancel(scan: Callable[..., Job], time: ManualClock) -> None:
    job = scan()
    jobs.lease(job, "w")
    for found in (100, 200, 300):
        time.advance(jobs.LEASE_SECONDS - 1)
        assert jobs.progress(job, Progress(found=found, directory=f"/d{found}", log=f"{found}\n")) is False
        assert leases.recover() == 0
    assert (job.state, job.found, job.log_tail) == ("RUNNING", 300, "100\n200\n300\n")
    jobs.cancel(job, "ada")
    assert jobs.progress(job, Progress(found=400)) is True
    assert jobs.finish(job, Job.State.CANCELLED)


def test_a_waiting_job_is_cancelled_at_once(scan: Callable[..., Job]) -> None:
    job = jobs.cancel(scan(), "ada")
    assert (job.state, job.error) == ("CANCELLED", "Cancelled by ada.")
    assert Command.objects.get(job=job).state == "CANCELLED"
    with pytest.raises(Conflict):
        jobs.cancel(job, "ada")


def test_s101_a_lost_worker_costs_one_attempt_and_the_second_loss_the_job(scan: Callable[..., Job], time: ManualClock) -> None:
    job = scan()
    jobs.lease(job, "one")
    time.advance(jobs.LEASE_SECONDS + 1)
    assert leases.recover() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("QUEUED", 2)
    jobs.lease(job, "two")
    time.advance(jobs.LEASE_SECONDS + 1)
    assert leases.recover() == 1
    job.refresh_from_db()
    assert job.state == "FAILED"
    assert "two" in job.error
    assert leases.recover() == 0


def test_a_worker_that_comes_back_too_late_is_told_so(scan: Callable[..., Job], time: ManualClock) -> None:
    job = scan()
    jobs.lease(job, "one")
    time.advance(jobs.LEASE_SECONDS + 1)
    leases.recover()
    with pytest.raises(Conflict):
        jobs.progress(job, Progress(found=1))


def test_s101_a_scan_whose_agent_dies_alone_expires(scan: Callable[..., Job], leader: Session, time: ManualClock) -> None:
    job = scan()
    jobs.lease(job, "w")
    sessions.end(leader, Session.EndCause.EXPIRED)
    leases.recover()
    job.refresh_from_db()
    assert job.state == "EXPIRED"
    assert "nobody else" in job.error


def test_a_scan_moves_on_to_the_new_leader(scan: Callable[..., Job], site: Site, leader: Session) -> None:
    job = scan()
    heir = site.open("b:p", protocol=3)
    sessions.end(leader, Session.EndCause.CLOSED)
    leases.recover()
    job.refresh_from_db()
    assert (job.state, job.session_id, job.attempt, job.task_id) == ("QUEUED", heir.number, 2, "b:p")


def test_a_scan_that_is_covered_is_not_asked_for_again(scan: Callable[..., Job]) -> None:
    broad = scan("/a")
    assert scan("/a/b").id == broad.id
    assert scan("/a", recursive=False).id == broad.id
    assert scan("/ab").id != broad.id


def test_a_running_scan_may_have_passed_the_path_already(scan: Callable[..., Job]) -> None:
    broad = scan("/a")
    jobs.lease(broad, "w")
    assert scan("/a/b").id != broad.id


def test_s106_scans_are_bounded(scan: Callable[..., Job]) -> None:
    for number in range(scans.MOST_OPEN_PER_TREE):
        scan(f"/p{number}")
    with pytest.raises(Busy) as refused:
        scan("/one/too/many")
    assert refused.value.retry_after
    assert scan("/p1").path == "/p1"


def test_nobody_can_scan_without_an_agent(site: Site, time: ManualClock) -> None:
    with pytest.raises(Unavailable, match="No agent"):
        scans.request_scan(site.view, "/", True, "ada")


def test_what_the_rules_want_looked_at_becomes_scans_once(site: Site, leader: Session, time: ManualClock) -> None:
    for path, recursive in (("/a", True), ("/a/b", False), ("/c", False)):
        Recheck.objects.create(tree=site.tree, path=path, recursive=recursive, reason="tie", wanted_at=1)
    assert scans.ask_rechecks() == 2
    assert {(job.path, job.trigger) for job in site.jobs(Job.Kind.SCAN)} == {("/a", "gap"), ("/c", "gap")}
    assert scans.ask_rechecks() == 1  # /a/b, which the scan of /a covers
    assert scans.ask_rechecks() == 0
    assert len(site.jobs(Job.Kind.SCAN)) == 2


def test_rechecks_beyond_the_bound_wait_for_their_turn(scan: Callable[..., Job], site: Site) -> None:
    waiting = [scan(f"/p{number}") for number in range(scans.MOST_OPEN_PER_TREE)]
    for path in ("/p0", "/late"):
        Recheck.objects.create(tree=site.tree, path=path, recursive=False, reason="tie", wanted_at=1)
    assert scans.ask_rechecks() == 1  # /p0, which is scanned anyway
    Job.objects.filter(pk=waiting[0].pk).update(state=Job.State.DONE)
    assert scans.ask_rechecks() == 1
    assert "/late" in {job.path for job in site.jobs(Job.Kind.SCAN)}


def test_retry_is_a_new_job_for_whoever_leads(scan: Callable[..., Job], leader: Session) -> None:
    job = scan()
    with pytest.raises(Conflict, match="queued"):
        retries.retry(job, "ada")
    jobs.cancel(job, "ada")
    again = retries.retry(job, "ada")
    assert (again.retry_of_id, again.path, again.session_id, again.actor) == (job.id, "/a", leader.number, "ada")


def test_s100_a_command_comes_again_until_its_job_is_taken(scan: Callable[..., Job], leader: Session, time: ManualClock) -> None:
    job = scan()
    (order,) = commands.deliver(leader)
    assert commands.deliver(leader) == []
    time.advance(5.1)
    assert commands.deliver(leader) == [order]
    jobs.lease(job, "w")
    time.advance(60)
    assert commands.deliver(leader) == []
    jobs.finish(job, Job.State.DONE)
    assert Command.objects.get(id=order["id"]).state == "DONE"


def test_a_command_that_nobody_takes_expires(leader: Session, time: ManualClock) -> None:
    command = commands.send(leader, "reload_config", {}, actor="ada")
    time.advance((command.deadline - now_datetime()).total_seconds())
    assert commands.end_overdue() == 1
    command.refresh_from_db()
    assert (command.state, command.error) == ("EXPIRED", "Not taken by the agent before its deadline.")


def test_a_command_that_the_agent_took_and_did_not_end_expires_otherwise(leader: Session, time: ManualClock) -> None:
    command = commands.send(leader, "reload_config", {}, actor="ada")
    assert commands.deliver(leader)
    time.advance((command.deadline - now_datetime()).total_seconds())
    assert commands.end_overdue() == 1
    command.refresh_from_db()
    assert (command.state, command.error) == ("EXPIRED", "The agent was told, and did not report the end before the deadline.")


def test_commands_of_an_ended_session_expire_with_it(leader: Session) -> None:
    command = commands.send(leader, "reload_config", {}, actor="ada")
    sessions.end(leader, Session.EndCause.CLOSED)
    commands.end_overdue()
    command.refresh_from_db()
    assert command.state == "EXPIRED"


def test_a_native_agent_reports_on_its_commands(leader: Session) -> None:
    command = commands.send(leader, "reload_config", {}, actor="ada")
    commands.deliver(leader)
    commands.acknowledge(leader, [(str(command.id), "DONE", {"changed": 2}, "")])
    command.refresh_from_db()
    assert (command.state, command.result) == ("DONE", {"changed": 2})


def test_an_old_agent_gets_a_command_twice_and_is_then_believed(site: Site, time: ManualClock) -> None:
    session = site.open("a:p", protocol=2)
    commands.send(session, "reload_config", {}, actor="ada")
    deliveries = 0
    for _ in range(10):
        deliveries += len(commands.deliver(session))
        time.advance(30)
    assert deliveries == commands.DELIVERIES_WITHOUT_ACK
    assert Command.objects.get().state == "DONE"


def test_equal_commands_coalesce_and_the_queue_is_bounded(leader: Session) -> None:
    first = commands.send(leader, "report_config", {"filename": "a"}, actor="ada")
    assert commands.send(leader, "report_config", {"filename": "a"}, actor="bob") == first
    for number in range(commands.MOST_OPEN_PER_SESSION - 1):
        commands.send(leader, "report_config", {"filename": str(number)}, actor="ada")
    with pytest.raises(Busy):
        commands.send(leader, "report_config", {"filename": "one too many"}, actor="ada")


def test_s143_commands_that_change_the_host_need_the_agents_consent(site: Site, time: ManualClock) -> None:
    plain = site.open("a:p", protocol=3)
    willing = site.open("b:p", protocol=3, client_info={"allow_commands": ["update_config"]})
    for session, type_ in ((plain, "update_config"), (plain, "upgrade"), (willing, "upgrade")):
        with pytest.raises(Conflict, match="opted in"):
            commands.send(session, type_, {}, actor="ada")
    assert commands.send(willing, "update_config", {}, actor="ada").type == "update_config"


def test_an_unknown_command_is_no_command(leader: Session) -> None:
    with pytest.raises(Invalid):
        commands.send(leader, "format_disk", {}, actor="ada")


@pytest.fixture
def no_broker(tmp_path: Path) -> Iterator[None]:
    """A Celery application whose broker is not there, whatever else this test process started."""
    Celery("without-broker", broker=f"redis+socket://{tmp_path}/nobody.sock").set_current()
    yield
    celery_app.set_current()


@pytest.mark.usefixtures("no_broker")
def test_without_a_broker_a_queued_job_travels_as_a_command(
    site: Site, time: ManualClock, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        session = site.open("a:p", protocol=3, job_queue=True)
    (job,) = site.jobs()
    assert job.delivery == Job.Delivery.COMMAND
    assert commands.deliver(session)[0]["job_id"] == str(job.id)


def test_a_queued_job_that_nobody_leases_goes_out_as_a_command(scan: Callable[..., Job], time: ManualClock) -> None:
    job = scan()
    Command.objects.all().delete()
    Job.objects.filter(id=job.id).update(delivery=Job.Delivery.QUEUE)
    assert delivery.send_again() == 0
    time.advance(delivery.QUEUE_PATIENCE.total_seconds())
    assert delivery.send_again() == 1
    assert Command.objects.get().job_id == job.id


def test_a_job_whose_command_ended_without_anyone_taking_it_is_sent_once_more(
    scan: Callable[..., Job], leader: Session, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    job = scan()
    for attempt in (1, 2):
        (order,) = commands.deliver(leader)
        assert (order["job_id"], job.attempt) == (str(job.id), attempt)
        commands.acknowledge(leader, [(order["id"], "FAILED", {}, "no process could be started")])
        with django_capture_on_commit_callbacks(execute=True):
            assert leases.recover() == 1
        job.refresh_from_db()
    assert job.state == "FAILED"
    assert "no process could be started" in job.error


def test_two_phases_never_run_at_once(site: Site, leader: Session) -> None:
    phases.run_now(site.pipe, Job.Kind.AUDIT, "ada")
    with pytest.raises(Conflict, match="under way"):
        jobs.create(site.tree, leader, Order(Job.Kind.AUDIT, Job.Trigger.PERSON))
    assert phases.plan() == 0


def test_audits_come_due_with_the_interval_and_a_little_later(site: Site, leader: Session, time: ManualClock) -> None:
    time.advance(599)
    sessions_alive(leader)
    assert phases.plan() == 0
    time.advance(62)
    sessions_alive(leader)
    assert phases.plan() == 1
    (audit,) = site.jobs(Job.Kind.AUDIT)
    assert audit.trigger == Job.Trigger.SCHEDULE


def sessions_alive(session: Session) -> None:
    beats.refresh(session.number, session.timeout_seconds, now())


def test_a_failed_snapshot_rests_longer_each_time(site: Site, time: ManualClock) -> None:
    session = site.open("a:p", protocol=3)
    waits = []
    for _ in range(4):
        job = site.jobs(Job.Kind.SNAPSHOT)[-1]
        jobs.lease(job, "w")
        jobs.finish(job, Job.State.FAILED, error="disk")
        waited = 0
        while not phases.plan():
            time.advance(1)
            waited += 1
            assert waited < 400
        waits.append(waited)
    assert waits == [5, 10, 20, 40]
    assert session.number


def test_a_failover_brings_an_audit_of_the_new_term(site: Site, leader: Session) -> None:
    site.open("b:p", protocol=3)
    sessions.end(leader, Session.EndCause.CLOSED)
    (audit,) = site.jobs(Job.Kind.AUDIT)
    assert (audit.trigger, audit.task_id, audit.epoch) == ("failover", "b:p", 2)


def test_phases_by_hand_need_a_native_leader(site: Site, time: ManualClock) -> None:
    with pytest.raises(Conflict, match="No session"):
        phases.run_now(site.pipe, Job.Kind.AUDIT, "ada")
    site.open("a:p", protocol=2)
    with pytest.raises(Conflict, match="protocol 2"):
        phases.run_now(site.pipe, Job.Kind.AUDIT, "ada")


@pytest.mark.parametrize(
    ("leading", "paused", "reason"),
    [([3], False, ""), ([2, 3], False, ""), ([], False, "no session leads"), ([2], False, "protocol 2"), ([3], True, "paused")],
)
def test_a_pipe_without_planned_phases_says_why(leading: list[int], paused: bool, reason: str) -> None:
    said = phases.why_waiting(leading, paused)
    assert reason in said
    assert bool(said) == bool(reason)
