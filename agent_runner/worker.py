"""The job worker, a child process of the agent: Celery on the queue `agent.<agent_id>`. It may die; the agent does not."""

import asyncio
import contextlib
import sys
import time
from urllib.parse import urlsplit

from agent_runner import log
from agent_runner.error_recovery import Recovery
from agent_runner.home import Home
from agent_runner.job_processes import environment

BROKER_VARIABLE = "FUSTOR_AGENT_BROKER_URL"
QUEUE_VARIABLE = "FUSTOR_AGENT_QUEUE"
LOG_VARIABLE = "FUSTOR_AGENT_LOG_FORMAT"
HOME_VARIABLE = "FUSTOR_AGENT_HOME"
JOBS_AT_ONCE = 3
STOP_SECONDS = 2.0
STEADY_SECONDS = 5.0
CONNECT_SECONDS = 2.0
READY_SECONDS, READY_TURN_SECONDS = 60.0, 0.05
REDIS_PORT = 6379
READY_FILE = "worker.ready"

_log = log.get("worker")


def queue_name(agent_id: str) -> str:
    """The queue on which the server puts this agent's job ids."""
    return f"agent.{agent_id}"


def celery_url(url: str) -> str:
    """Celery's spelling of a broker address: it knows `redis+socket://` where redis itself says `unix://`."""
    return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


async def broker_answers(url: str) -> bool:
    """True when something listens at the broker's address."""
    parts = urlsplit(url)
    opening = (
        asyncio.open_unix_connection(parts.path)
        if "unix" in parts.scheme or "socket" in parts.scheme
        else asyncio.open_connection(parts.hostname or "localhost", parts.port or REDIS_PORT)
    )
    try:
        _, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


class Worker:
    """Keeps the worker process running, with back-off when it dies."""

    def __init__(self, broker_url: str, agent_id: str, home: Home, log_format: str) -> None:
        self._environment = {
            **environment(),
            BROKER_VARIABLE: broker_url,
            QUEUE_VARIABLE: queue_name(agent_id),
            LOG_VARIABLE: log_format,
            HOME_VARIABLE: str(home.path),
        }
        self._agent_id, self._ready_file = agent_id, home.path / READY_FILE
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self._broker_url, self._deadline = broker_url, time.monotonic() + READY_SECONDS

    def is_up(self) -> bool:
        """True while the worker consumes its queue: it says so itself, with its process id, in a file of the home."""
        process = self._process
        if process is None or process.returncode is not None:
            return False
        try:
            return self._ready_file.read_text() == str(process.pid)
        except OSError:
            return False

    async def ready(self) -> None:
        """Returns when it is up, or there is no use in waiting: the server decides at the start of a session how it delivers jobs,
        so a worker that is just starting is waited for, once."""
        if self.is_up() or not await broker_answers(self._broker_url):
            return
        while not self.is_up() and time.monotonic() < self._deadline:
            await asyncio.sleep(READY_TURN_SECONDS)

    async def run(self) -> None:
        """Runs until cancelled."""
        recovery = Recovery(first=1.0)
        try:
            while True:
                self._process = await self._start()
                self._started = time.monotonic()
                code = await self._process.wait()
                self._deadline = 0.0  # one that does not stay up is not waited for
                if time.monotonic() - self._started > STEADY_SECONDS:
                    recovery.succeeded()
                pause = recovery.failed(RuntimeError(f"exit code {code}"))
                _log.error("job worker ended", exit_code=code, restart_seconds=round(pause, 1))
                await asyncio.sleep(pause)
        finally:
            await self._stop()

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "celery",
            "--app=agent_runner.celery_app",
            "--quiet",
            "worker",
            "--pool=threads",
            f"--concurrency={JOBS_AT_ONCE}",
            f"--hostname={self._agent_id}@%h",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=WARNING",
            env=self._environment,
        )

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
