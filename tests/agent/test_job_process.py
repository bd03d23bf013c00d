"""Job processes from the agent's side: one that hangs is ended and gives up its place."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from agent_runner.config import SenderConfig, SourceConfig
from agent_runner.job_process import SCANS_AT_ONCE, JobRunner
from agent_runner.phases.scan import JobContext
from agent_runner.sources.fs import identity
from tests.agent.recording_server import RecordingServer
from tests.agent.walk import grow

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for children")


@pytest.fixture
def slow(recorder: RecordingServer, tree: Path, tmp_path: Path) -> JobContext:
    """A scan that takes its time."""
    grow(tree, 600)
    recorder.sessions.append({"task_id": "host-a:p"})
    return JobContext(
        pipe_id="p",
        task_id="host-a:p",
        session_id="11111111-1111-1111-1111-111111111111",
        protocol=3,
        source=SourceConfig(uri=str(tree), settings={"scan_rate": 50}),
        sender=SenderConfig(uri=recorder.url, key="good"),
        state_directory=str(tmp_path),
        root_id=identity.read(os.fsencode(tree)),
        epoch=1,
    )


def job_processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "agent_runner.job_process" in child.cmdline()]


async def test_a_job_process_that_hangs_is_killed_and_its_job_can_be_started_again(
    recorder: RecordingServer, slow: JobContext
) -> None:
    jobs = JobRunner("text", hung_seconds=3.0)
    job = recorder.order("snapshot")
    running = jobs.start(slow, job, "snapshot")
    await recorder.until(lambda: len(recorder.progress) > 4, 60)
    (process,) = job_processes()
    assert not running.done()  # four signs of life came and the limit did not end it
    process.send_signal(signal.SIGSTOP)
    assert await asyncio.wait_for(running, 60) == -signal.SIGKILL
    assert job in jobs.last_error
    assert jobs.running == []
    recorder.jobs[job] |= {"state": "QUEUED", "attempt": 2}
    progressed = len(recorder.progress)
    again = jobs.start(slow, job, "snapshot")
    await recorder.until(lambda: len(recorder.progress) > progressed, 60)
    await jobs.stop()
    assert again.cancelled()
    assert job_processes() == []


async def test_an_audit_does_not_wait_behind_scans_of_single_paths(recorder: RecordingServer, slow: JobContext) -> None:
    jobs = JobRunner("text")
    for _ in range(SCANS_AT_ONCE + 2):
        jobs.start(slow, recorder.order("scan"), "scan")
    await recorder.until(lambda: sum(job["state"] == "RUNNING" for job in recorder.jobs.values()) == SCANS_AT_ONCE, 60)
    audit = recorder.order("audit")
    jobs.start(slow, audit, "audit")
    await recorder.until(lambda: recorder.jobs[audit]["state"] == "RUNNING", 60)
    assert sum(job["state"] == "RUNNING" for job in recorder.jobs.values()) == SCANS_AT_ONCE + 1
    await jobs.stop()
