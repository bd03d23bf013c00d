"""A job worker that is killed, or told to stop, with a scan under way: Celery knows of it before the lease ends. One whose scan
hangs in the storage ends it and goes on."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from celery import Celery

from agent_runner.worker import celery_url
from apps.sessions.models import Job
from tests.agent.children import HUNG_SECONDS, is_job_process
from tests.agent.e2e.conftest import Fleet, RealAgent
from tests.agent.e2e.test_jobs import celery_worker
from tests.agent.walk import grow
from tests.blackbox.processes import PATIENCE_SECONDS

pytestmark = pytest.mark.blackbox


@pytest.fixture
def agent(fleet: Fleet, tree: Path) -> RealAgent:
    """An agent whose snapshot stays under way, for its events are refused."""
    grow(tree)
    fleet.pause(True)
    broker = fleet.world.server.environment["FUSTOR_REDIS_URL"]
    fleet.until(lambda: is_watched(broker))
    return fleet.agent(tree).start("--broker", broker)


def is_watched(broker: str) -> bool:
    """True once the server's worker is up: from then on it hears of each that comes up, and of its silence."""
    answers = Celery(broker=celery_url(broker)).control.ping(timeout=1)
    return any(name.startswith("celery@") for answer in answers for name in answer)


def running_job(fleet: Fleet, agent: RealAgent) -> tuple[Job, psutil.Process]:
    """The snapshot, and the worker that runs it."""
    of_pipe = Job.objects.filter(pipe=fleet.world.pipe)
    fleet.until(lambda: of_pipe.filter(state=Job.State.RUNNING, delivery=Job.Delivery.QUEUE).exists())
    job, worker = of_pipe.get(), celery_worker(agent)
    assert worker is not None
    assert job.worker.endswith(f":{worker.pid}")
    return job, worker


def was_missed(fleet: Fleet, worker: str) -> bool:
    """True once the server's worker told that it gave an agent's worker's jobs back."""
    log = (fleet.world.server.home / "worker.log").read_text(errors="replace")
    return any("a job worker is gone" in line and worker in line for line in log.splitlines())


def is_done(fleet: Fleet, job: Job, attempt: int) -> None:
    fleet.until(lambda: Job.objects.filter(pk=job.pk, state=Job.State.DONE, attempt=attempt).exists())


@pytest.mark.parametrize("signals", [(signal.SIGKILL,), (signal.SIGTERM, signal.SIGKILL)])
def test_the_job_of_a_killed_worker_is_tried_again_before_its_lease_ends(
    fleet: Fleet, agent: RealAgent, tree: Path, signals: tuple[int, ...]
) -> None:
    job, worker = running_job(fleet, agent)
    for number in signals:
        worker.send_signal(number)
    worker.wait(PATIENCE_SECONDS)
    fleet.until(lambda: Job.objects.filter(pk=job.pk, attempt=2).exists())
    # nothing would have been given back, had the lease ended first
    fleet.until(lambda: was_missed(fleet, job.worker))
    job.refresh_from_db()
    assert "was lost" in job.error
    fleet.pause(False)
    fleet.until_equal(tree)
    is_done(fleet, job, attempt=2)


def test_a_worker_that_is_told_to_stop_finishes_its_job_and_another_takes_its_place(
    fleet: Fleet, agent: RealAgent, tree: Path
) -> None:
    job, worker = running_job(fleet, agent)
    worker.terminate()
    fleet.pause(False)
    fleet.until_equal(tree)
    is_done(fleet, job, attempt=1)
    fleet.until(lambda: (other := celery_worker(agent)) is not None and other.pid != worker.pid)


def test_a_scan_that_hangs_in_the_storage_is_killed_and_tried_again(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    broker = fleet.world.server.environment["FUSTOR_REDIS_URL"]
    agent = fleet.agent(tree).start("--broker", broker, FUSTOR_AGENT_HUNG_SECONDS=str(HUNG_SECONDS))
    fleet.until_equal(tree)
    # who reads the mount's identity now waits in the kernel for somebody to write it
    marker = tree / ".fustor-root"
    os.mkfifo(marker)
    answer = fleet.world.reader.http.get("/tree", params={"path": "/d3", "on_demand_scan": "true"})
    job = Job.objects.get(request=answer.json()["job_id"])
    fleet.until(lambda: "no sign of life" in agent.log.read_text())
    job.refresh_from_db()
    worker = celery_worker(agent)
    assert worker is not None
    assert job.delivery == Job.Delivery.QUEUE
    assert job.worker.endswith(f":{worker.pid}")
    fleet.until(lambda: not any(map(is_job_process, worker.children())))
    somebody = os.open(marker, os.O_RDWR)
    marker.unlink()
    os.close(somebody)
    is_done(fleet, job, attempt=2)
    assert celery_worker(agent) == worker
