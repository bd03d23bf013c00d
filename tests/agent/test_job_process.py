"""Job processes from the agent's side: they serve one job after the other, and one that hangs is ended and gives up its place."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import psutil
import pytest

from agent_runner.config import SenderConfig, SourceConfig
from agent_runner.job_process import Order
from agent_runner.job_processes import HUNG_VARIABLE, JobProcesses
from agent_runner.job_runner import SCANS_AT_ONCE, JobRunner
from agent_runner.phases.scan import JobContext
from agent_runner.problems import ConfigProblem
from agent_runner.sources.fs import identity
from tests.agent.children import HUNG_SECONDS, is_job_process, is_over
from tests.agent.recording_server import RecordingServer
from tests.agent.walk import grow
from tests.blackbox.processes import PATIENCE_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for children")


@pytest.fixture
def quick(recorder: RecordingServer, tree: Path, tmp_path: Path) -> JobContext:
    """A pipe whose storage answers at once."""
    grow(tree, 600)
    recorder.sessions.append({"task_id": "host-a:p"})
    return JobContext(
        pipe_id="p",
        task_id="host-a:p",
        session_id="11111111-1111-1111-1111-111111111111",
        protocol=3,
        source=SourceConfig(uri=str(tree)),
        sender=SenderConfig(uri=recorder.url, key="good"),
        state_directory=str(tmp_path),
        root_id=identity.read(os.fsencode(tree)),
        epoch=1,
    )


@pytest.fixture
def slow(quick: JobContext) -> JobContext:
    """A scan that takes the better part of a minute."""
    return msgspec.structs.replace(quick, source=SourceConfig(uri=quick.source.uri, settings={"scan_rate": 25}))


@pytest.fixture
async def processes() -> AsyncIterator[JobProcesses]:
    made = JobProcesses("text", hung_seconds=float(HUNG_SECONDS))
    yield made
    await made.stop()
    assert job_processes() == []


def job_processes() -> list[psutil.Process]:
    return list(filter(is_job_process, psutil.Process().children()))


async def test_a_job_process_that_hangs_is_killed_and_its_job_can_be_started_again(
    recorder: RecordingServer, slow: JobContext, processes: JobProcesses
) -> None:
    jobs = JobRunner(processes)
    job = recorder.order("snapshot")
    running = jobs.start(slow, job, "snapshot")
    await recorder.until(lambda: len(recorder.progress) > HUNG_SECONDS + 1)
    (process,) = job_processes()
    assert not running.done()  # signs of life came, for longer than the limit, and it did not end it
    process.send_signal(signal.SIGSTOP)
    assert await asyncio.wait_for(running, PATIENCE_SECONDS) == -signal.SIGKILL
    assert job in jobs.last_error
    assert jobs.running == []
    recorder.jobs[job] |= {"state": "QUEUED", "attempt": 2}
    progressed = len(recorder.progress)
    again = jobs.start(slow, job, "snapshot")
    await recorder.until(lambda: len(recorder.progress) > progressed)
    await jobs.stop()
    assert again.cancelled()
    assert job_processes() == []


async def test_an_audit_and_a_sentinel_do_not_wait_behind_scans_of_single_paths(
    recorder: RecordingServer, slow: JobContext, processes: JobProcesses
) -> None:
    jobs = JobRunner(processes)
    for _ in range(SCANS_AT_ONCE + 2):
        jobs.start(slow, recorder.order("scan"), "scan")
    await recorder.until(lambda: sum(job["state"] == "RUNNING" for job in recorder.jobs.values()) == SCANS_AT_ONCE)
    audit = recorder.order("audit")
    jobs.start(slow, audit, "audit")
    await recorder.until(lambda: recorder.jobs[audit]["state"] == "RUNNING")
    assert sum(job["state"] == "RUNNING" for job in recorder.jobs.values()) == SCANS_AT_ONCE + 1
    sentinel = recorder.order("sentinel")
    assert await asyncio.wait_for(jobs.start(slow, sentinel, "sentinel"), PATIENCE_SECONDS) == 0
    assert recorder.jobs[sentinel]["state"] == "DONE"
    await jobs.stop()


async def test_many_scans_of_single_paths_share_few_processes(
    recorder: RecordingServer, quick: JobContext, processes: JobProcesses
) -> None:
    jobs = JobRunner(processes)
    orders = [recorder.order("scan", f"/d{number}/e{number}") for number in range(40)]
    assert await asyncio.gather(*(jobs.start(quick, job, "scan") for job in orders)) == [0] * len(orders)
    assert all(job["state"] == "DONE" for job in recorder.jobs.values())
    assert len({job["worker"] for job in recorder.jobs.values()}) <= SCANS_AT_ONCE
    listers = [child for process in job_processes() for child in process.children()]
    assert 0 < len(listers) <= 2 * SCANS_AT_ONCE
    await processes.stop()
    await recorder.until(lambda: all(map(is_over, listers)))


async def test_a_kept_process_serves_the_storage_and_the_filters_of_each_job(
    recorder: RecordingServer, quick: JobContext, processes: JobProcesses, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "in").mkdir(parents=True)
    (other / "in" / "kept").touch()
    (other / "in" / "left.tmp").touch()
    source = SourceConfig(uri=str(other), settings={"exclude": ["*.tmp"]})
    context = msgspec.structs.replace(quick, source=source, root_id=identity.read(os.fsencode(other)))
    first, second = recorder.order("scan", "/d1"), recorder.order("scan", "/in")
    assert await processes.run(Order(first, quick)) == 0
    before = len(recorder.batches)
    assert await processes.run(Order(second, context)) == 0
    rows = [row["path"] for batch in recorder.batches[before:] for event in batch["events"] for row in event["rows"]]
    assert set(rows) == {"/in", "/in/kept"}
    assert recorder.jobs[first]["worker"] == recorder.jobs[second]["worker"]


async def test_a_process_that_hangs_holds_up_no_other_job(
    recorder: RecordingServer, slow: JobContext, quick: JobContext, processes: JobProcesses
) -> None:
    jobs = JobRunner(processes)
    hanging = jobs.start(slow, recorder.order("scan"), "scan")
    await recorder.until(lambda: len(recorder.progress) > 0)
    (process,) = job_processes()
    process.send_signal(signal.SIGSTOP)
    codes = await asyncio.gather(*(jobs.start(quick, recorder.order("scan", f"/d{number}"), "scan") for number in range(1, 11)))
    assert codes == [0] * 10
    assert await asyncio.wait_for(hanging, PATIENCE_SECONDS) == -signal.SIGKILL


async def test_a_process_that_died_while_it_waited_costs_no_job(
    recorder: RecordingServer, quick: JobContext, processes: JobProcesses
) -> None:
    first, second = recorder.order("scan", "/d1"), recorder.order("scan", "/d2")
    assert await processes.run(Order(first, quick)) == 0
    (process,) = job_processes()
    process.kill()
    assert await processes.run(Order(second, quick)) == 0
    assert recorder.jobs[second]["state"] == "DONE"
    assert recorder.jobs[first]["worker"] != recorder.jobs[second]["worker"]


async def test_a_cancelled_job_leaves_its_process_to_the_next_one(
    recorder: RecordingServer, slow: JobContext, quick: JobContext, processes: JobProcesses
) -> None:
    cancelled, after = recorder.order("scan"), recorder.order("scan", "/d1")
    running = asyncio.create_task(processes.run(Order(cancelled, slow)))
    await recorder.until(lambda: len(recorder.progress) > 0)
    recorder.jobs[cancelled]["cancel"] = True
    reports = len(recorder.progress)
    assert await asyncio.wait_for(running, PATIENCE_SECONDS) == 0
    assert recorder.jobs[cancelled]["state"] == "CANCELLED"
    assert len(recorder.progress) <= reports + 2
    assert await processes.run(Order(after, quick)) == 0
    assert recorder.jobs[cancelled]["worker"] == recorder.jobs[after]["worker"]


async def test_an_idle_process_ends(recorder: RecordingServer, quick: JobContext) -> None:
    processes = JobProcesses("text", idle_seconds=0.2)
    assert await processes.run(Order(recorder.order("sentinel"), quick)) == 0
    await recorder.until(lambda: job_processes() == [])


@pytest.mark.parametrize("given", ["soon", "0.5", "-1", "nan", "inf"])
def test_a_patience_that_is_none_is_named_at_the_start(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HUNG_VARIABLE, given)
    with pytest.raises(ConfigProblem, match=HUNG_VARIABLE):
        JobProcesses("text")
