"""A job worker that stops or falls silent gives its jobs back; one that only seemed gone cannot touch the attempt after its own."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from apps.runtime.clock import ManualClock
from apps.runtime.problems import Conflict
from apps.sessions.models import Job
from apps.sessions.services import jobs, leases
from apps.sessions.services.jobs import Progress
from apps.sessions.worker_watch import SILENCE_SECONDS, UNREPORTED_SECONDS, Watch
from tests.sessions.test_jobs import leader, scan

__all__ = ["leader", "scan"]

SILENCE, UNREPORTED = timedelta(seconds=SILENCE_SECONDS), timedelta(seconds=UNREPORTED_SECONDS)


class Heard:
    """A watch on a clock of its own; `gone`: what it reported."""

    def __init__(self) -> None:
        self.at = 0.0
        self.gone: list[tuple[str, timedelta]] = []
        self.watch = Watch(lambda name, silence: self.gone.append((name, silence)), lambda: self.at)

    def hear(self, kind: str, host: str = "agent-1@box", pid: int = 7) -> None:
        self.watch.hear({"type": f"worker-{kind}", "hostname": host, "pid": pid})


def test_a_worker_that_says_goodbye_is_gone_as_soon_as_it_reports_no_more() -> None:
    heard = Heard()
    heard.hear("heartbeat")
    heard.hear("offline")
    assert heard.gone == [("box:7", UNREPORTED)]
    heard.at = 100
    heard.watch.look()
    assert len(heard.gone) == 1


def test_a_worker_that_beats_again_is_not_gone() -> None:
    heard = Heard()
    heard.hear("offline")
    heard.hear("online")
    heard.gone.clear()
    heard.watch.look()
    assert heard.gone == []


@pytest.mark.parametrize(("longer", "gone"), [(-0.1, False), (0.0, False), (0.1, True)])
def test_a_worker_is_gone_after_its_silence_and_not_before(longer: float, gone: bool) -> None:
    heard = Heard()
    heard.hear("online")
    heard.at = SILENCE_SECONDS + longer
    heard.hear("heartbeat", host="other@elsewhere")
    assert heard.gone == ([("box:7", SILENCE)] if gone else [])


def test_a_silent_worker_is_told_of_until_its_leases_have_run_out_and_not_after() -> None:
    heard = Heard()
    heard.hear("heartbeat")
    for at in (SILENCE_SECONDS + 1, SILENCE_SECONDS + 2, SILENCE_SECONDS + jobs.LEASE_SECONDS + 1):
        heard.at = at
        heard.watch.look()
    assert len(heard.gone) == 2
    heard.hear("heartbeat")
    heard.at += 1
    heard.watch.look()
    assert len(heard.gone) == 2


def test_silence_means_nothing_after_a_time_without_the_broker() -> None:
    heard = Heard()
    heard.hear("heartbeat")
    heard.at = 60
    heard.watch.forget()
    heard.watch.look()
    assert heard.gone == []


def test_the_jobs_of_a_worker_that_is_gone_go_out_again_at_once(scan: Callable[..., Job], time: ManualClock) -> None:
    mine, other = scan("/a"), scan("/b")
    jobs.lease(mine, "box:7")
    jobs.lease(other, "box:8")
    assert leases.give_back("box:7") == 1
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.state, mine.attempt, other.state) == ("QUEUED", 2, "LEASED")
    assert "box:7 was lost" in mine.error
    assert leases.give_back("box:7") == 0


def test_a_silent_worker_that_still_reports_keeps_its_job(scan: Callable[..., Job], time: ManualClock) -> None:
    job = scan()
    jobs.lease(job, "box:7")
    time.advance(5)
    jobs.progress(job, Progress(found=1))
    assert leases.give_back("box:7", SILENCE) == 0
    time.advance(SILENCE_SECONDS)
    assert leases.give_back("box:7", SILENCE) == 1


def test_a_worker_whose_job_another_runs_by_now_can_neither_report_nor_end_it(scan: Callable[..., Job], time: ManualClock) -> None:
    """Regression: the first worker's progress renewed the second one's lease, and its end ended the second one's scan."""
    job = scan()
    first = jobs.lease(job, "box:7").attempt
    leases.give_back("box:7")
    job.refresh_from_db()
    second = jobs.lease(job, "box:8").attempt
    assert (first, second) == (1, 2)
    with pytest.raises(Conflict):
        jobs.progress(job, Progress(found=9), first)
    with pytest.raises(Conflict):
        jobs.finish(job, Job.State.DONE, counts={"rows": 9}, attempt=first)
    job.refresh_from_db()
    assert (job.state, job.worker, job.found) == ("LEASED", "box:8", 0)
    assert jobs.finish(job, Job.State.DONE, counts={"rows": 10}, attempt=second)
    assert not jobs.finish(job, Job.State.DONE, attempt=second)


def test_two_processes_that_find_the_same_lost_job_requeue_it_once(scan: Callable[..., Job], time: ManualClock) -> None:
    job = scan()
    jobs.lease(job, "box:7")
    time.advance(jobs.LEASE_SECONDS + 1)
    (seen,), (seen_too,) = leases._lost(), leases._lost()
    assert leases._recover_one(seen)
    assert not leases._recover_one(seen_too)
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("QUEUED", 2)
