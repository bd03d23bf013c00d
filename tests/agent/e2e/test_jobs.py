"""Jobs end to end: by the agent's queue, by command, killed and tried again."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from apps.sessions.models import Job
from tests.agent.children import command_line
from tests.agent.e2e.conftest import Fleet, RealAgent
from tests.agent.walk import grow

pytestmark = pytest.mark.blackbox


def jobs(fleet: Fleet) -> list[Job]:
    return list(Job.objects.filter(pipe__in=fleet.world.pipes).order_by("created_at"))


def celery_worker(agent: RealAgent) -> psutil.Process | None:
    assert agent.process is not None
    children = psutil.Process(agent.process.pid).children()
    return next((child for child in children if "celery" in command_line(child)), None)


def test_a_job_reaches_the_agent_by_its_own_queue(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree).start("--broker", fleet.world.server.environment["FUSTOR_REDIS_URL"])
    fleet.until_equal(tree)
    snapshot = jobs(fleet)[0]
    assert (snapshot.kind, snapshot.delivery) == (Job.Kind.SNAPSHOT, Job.Delivery.QUEUE)
    fleet.until(lambda: jobs(fleet)[0].state == Job.State.DONE)


def test_s149_without_its_broker_the_agent_gets_its_jobs_as_commands(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree).start("--broker", "redis://127.0.0.1:1/0")
    fleet.until_equal(tree)
    assert jobs(fleet)[0].delivery == Job.Delivery.COMMAND


def test_a_killed_worker_costs_no_heartbeat_and_comes_back(fleet: Fleet, tree: Path) -> None:
    agent = fleet.agent(tree).start("--broker", fleet.world.server.environment["FUSTOR_REDIS_URL"])
    fleet.until_equal(tree)
    fleet.until(lambda: celery_worker(agent) is not None)
    first = celery_worker(agent)
    assert first is not None
    first.kill()
    (tree / "x").write_text("x")
    fleet.until_equal(tree)
    fleet.until(lambda: (worker := celery_worker(agent)) is not None and worker.pid != first.pid)
    assert agent.stop() == 0
    assert not psutil.pid_exists(first.pid)


def test_s152_an_agent_killed_in_its_snapshot_finds_everything_when_it_is_back(fleet: Fleet, tree: Path) -> None:
    grow(tree, 400)
    fleet.pause(True)
    agent = fleet.agent(tree).start()
    fleet.until(lambda: any(job.state in (Job.State.LEASED, Job.State.RUNNING) for job in jobs(fleet)))
    agent.stop(signal.SIGKILL)
    fleet.pause(False)
    (tree / "d1" / "e1" / "file").unlink()
    (tree / "new").write_text("made while it was down")
    agent.start()
    fleet.until_equal(tree)


def test_s152_changes_made_while_an_agent_was_down_are_found_by_the_start_audit(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    agent = fleet.agent(tree).start()
    fleet.until_equal(tree)
    agent.stop(signal.SIGKILL)
    (tree / "d1" / "e1" / "file").unlink()
    (tree / "d2" / "new").write_text("made while it was down")
    os.utime(tree / "d2", (time.time() - 1000, time.time() - 1000))
    agent.start()
    fleet.until_equal(tree)


def test_s099_a_scan_of_a_path_runs_and_is_done_once_its_rows_are_visible(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    answer = fleet.world.reader.http.get("/tree", params={"path": "/d3", "on_demand_scan": "true"})
    assert answer.status_code == 200, answer.text
    job_id = answer.json()["job_id"]
    fleet.until(lambda: fleet.world.reader.http.get(f"/jobs/{job_id}").json()["status"].upper() in ("DONE", "COMPLETED"))
