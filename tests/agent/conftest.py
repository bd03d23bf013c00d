"""Fixtures of the agent's tests: a recording server, and an agent as a process of its own on a directory of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tests.agent.recording_server import RecordingServer
from tests.blackbox.processes import PATIENCE_SECONDS

REPOSITORY = Path(__file__).resolve().parents[2]


class AgentProcess:
    """`python -m agent_runner run` on a directory, with a home of its own."""

    def __init__(self, server: str, watch: Path, home: Path, log: Path) -> None:
        self.server, self.watch, self.home, self.log = server, watch, home, log
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *arguments: str, **environment: str) -> "AgentProcess":
        """Starts it; `arguments` are added to the command line."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "agent_runner", "run", "--server", self.server, "--key", "good"),
                *("--watch", str(self.watch), "--agent-id", "host-a", *arguments),
                cwd=REPOSITORY,
                env={**os.environ, "FUSTOR_AGENT_HOME": str(self.home), "PYTHONPATH": str(REPOSITORY), **environment},
                stderr=log,
                stdout=log,
            )
        return self

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it and returns its exit code. Fails when it does not end in time."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), PATIENCE_SECONDS)

    def children(self) -> list[psutil.Process]:
        """Every process below it."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)


MakeAgent = Callable[..., Awaitable[AgentProcess]]


@pytest.fixture
async def recorder() -> AsyncIterator[RecordingServer]:
    recording = await RecordingServer().start()
    yield recording
    await recording.stop()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty directory."""
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory


@pytest.fixture
async def agent(recorder: RecordingServer, tree: Path, tmp_path: Path) -> AsyncIterator[MakeAgent]:
    """Starts agents that watch `tree` and report to `recorder`; waits until realtime is ready."""
    made: list[AgentProcess] = []

    async def make(*arguments: str, **environment: str) -> AgentProcess:
        number = len(made)
        process = AgentProcess(recorder.url, tree, tmp_path / f"home-{number}", tmp_path / f"agent-{number}.log")
        made.append(process)
        beats = len(recorder.heartbeats)
        await process.start(*arguments, **environment)
        await recorder.until(lambda: any(beat["can_realtime"] for beat in recorder.heartbeats[beats:]))
        return process

    yield make
    for process in made:
        code = await process.stop()
        print(process.log.read_text()[-6000:])
        assert code is not None
