"""The agent's job worker, from the agent's side: the first session waits for one that starts, and for no other."""

import asyncio
from pathlib import Path

import pytest

from agent_runner.home import Home
from agent_runner.job_processes import HUNG_VARIABLE
from agent_runner.worker import READY_SECONDS, Worker
from tests.agent.recording_server import RecordingServer


async def test_a_worker_that_does_not_stay_up_is_not_waited_for(
    recorder: RecordingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HUNG_VARIABLE, "no number: the worker ends at its start")
    # something listens there
    worker = Worker(recorder.url.replace("http:", "redis:"), "host-a", Home(tmp_path), "text")
    running = asyncio.create_task(worker.run())
    try:
        await asyncio.wait_for(worker.ready(), READY_SECONDS - 1)
        assert not worker.is_up()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
