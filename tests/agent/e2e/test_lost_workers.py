"""A job worker that is killed, or told to stop, with a scan under way: Celery knows of it before the lease ends. One whose scan
hangs in the storage ends it and goes on."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from apps.pipes.models import Pipe
from apps.runtime import clock
from apps.sessions.models import Job
from tests.agent.e2e.conftest import Fleet, RealAgent
from tests.agent.e2e.test_jobs import celery_worker, command_line
from tests.agent.walk import grow

pytestmark = pytest.mark.blackbox


@pytest.fixture
def agent(fleet: Fleet, tree: Path) -> RealAgent:
    """An agent whose snapshot stays under way, for its events are refused."""
    grow(tree)
    pause(fleet, True)
    return fleet.agent(tree).start("--broker", fleet.world.server.environment["FUSTOR_REDIS_URL"])


def pause(fleet: Fleet, paused: bool) -> None:
    Pipe.objects.filter(pk=fleet.world.pipe.pk).update(paused=paused)


def running_job(fleet: Fleet, agent: RealAgent) -> tuple[Job, psutil.Process]:
    """The snapshot, and the worker that runs it and was heard of by the server: a worker beats every two seconds."""
    of_pipe = Job.objects.filter(pipe=fleet.world.pipe)
    fleet.until(lambda: of_pipe.filter(state=Job.State.RUNNING, delivery=Job.Delivery.QUEUE).exists())
    job, worker = of_pipe.get(), celery_worker(agent)
    assert worker is not None
    assert job.worker.endswith(f":{worker.pid}")
    fleet.until(lambda: worker.create_time() + 6 < clock.now())
    return job, worker


def is_done(fleet: Fleet, job: Job, attempt: int) -> None:
    fleet.until(lambda: Job.objects.filter(pk=job.pk, state=Job.State.DONE, attempt=attempt).exists(), 60)


@pytest.mark.parametrize("signals", [(signal.SIGKILL,), (signal.SIGTERM, signal.SIGKILL)])
def test_the_job_of_a_killed_worker_is_tried_again_before_its_lease_ends(
    fleet: Fleet, agent: RealAgent, tree: Path, signals: tuple[int, ...]
) -> None:
    job, worker = running_job(fleet, agent)
    for number in signals:
        worker.send_signal(number)
    worker.wait(30)
    lease_until = Job.objects.values_list("lease_until", flat=True).get(pk=job.pk)
    fleet.until(lambda: Job.objects.filter(pk=job.pk, attempt=2).exists())
    assert lease_until is not None
    assert clock.now_datetime() < lease_until, "the lease ended first"
    job.refresh_from_db()
    assert "was lost" in job.error
    pause(fleet, False)
    fleet.until_equal(tree)
    is_done(fleet, job, attempt=2)


def test_a_worker_that_is_told_to_stop_finishes_its_job_and_another_takes_its_place(
    fleet: Fleet, agent: RealAgent, tree: Path
) -> None:
    job, worker = running_job(fleet, agent)
    worker.terminate()
    pause(fleet, False)
    fleet.until_equal(tree)
    is_done(fleet, job, attempt=1)
    fleet.until(lambda: (other := celery_worker(agent)) is not None and other.pid != worker.pid)


def test_a_scan_that_hangs_in_the_storage_is_killed_and_tried_again(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    broker = fleet.world.server.environment["FUSTOR_REDIS_URL"]
    agent = fleet.agent(tree).start("--broker", broker, FUSTOR_AGENT_HUNG_SECONDS="3")
    fleet.until_equal(tree)
    # who reads the mount's identity now waits in the kernel for somebody to write it
    marker = tree / ".fustor-root"
    os.mkfifo(marker)
    answer = fleet.world.reader.http.get("/tree", params={"path": "/d3", "on_demand_scan": "true"})
    job = Job.objects.get(request=answer.json()["job_id"])
    fleet.until(lambda: "no sign of life" in agent.log.read_text(), 60)
    job.refresh_from_db()
    worker = celery_worker(agent)
    assert worker is not None
    assert job.delivery == Job.Delivery.QUEUE
    assert job.worker.endswith(f":{worker.pid}")
    assert not [child for child in worker.children() if "job_process" in command_line(child)]
    somebody = os.open(marker, os.O_RDWR)
    marker.unlink()
    os.close(somebody)
    is_done(fleet, job, attempt=2)
    assert celery_worker(agent) == worker
