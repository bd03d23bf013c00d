"""Job processes from the side of whoever has jobs to run: started when one is needed, kept warm for the next, ended when idle,
killed when they hang. Used by the agent (through job_runner.py) and by its Celery worker.
"""

import asyncio
import contextlib
import math
import os
import signal
import sys

import msgspec

from agent_runner import health, killing, log
from agent_runner.job_process import BEGUN, ENDED, Order
from agent_runner.problems import ConfigProblem

HUNG_VARIABLE = "FUSTOR_AGENT_HUNG_SECONDS"
HUNG_SECONDS, LEAST_HUNG_SECONDS, IDLE_SECONDS = 120.0, 3.0, 60.0
# one that grew with a large scan gives its memory back by ending
KEPT_BYTES, MOST_KEPT = 100 * 1024 * 1024, 2
STOP_SECONDS = 2.0
LARGE_BYTES = 128 * 1024
_log = log.get("jobs")


class NotBegun(Exception):
    """The process ended before it took the order."""


class JobProcess:
    """One process, which runs one job at a time."""

    def __init__(self, process: asyncio.subprocess.Process, tells: asyncio.StreamReader, ending: asyncio.BaseTransport) -> None:
        assert process.stdin is not None
        self._process, self._orders, self._tells, self._transport = process, process.stdin, tells, ending
        self._killed = False
        self.idle: asyncio.TimerHandle | None = None

    @classmethod
    async def start(cls, log_format: str) -> "JobProcess":
        """Starts one; it waits for orders."""
        hears, tells = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "agent_runner.job_process", str(tells), str(os.getpid()), log_format),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(tells,),
                env=environment(),
            )
        except BaseException:
            os.close(hears)
            raise
        finally:
            os.close(tells)
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(hears, "rb", 0)
        )
        return cls(process, reader, transport)

    @property
    def may_be_kept(self) -> bool:
        """True when it lives and is small."""
        return not self._killed and self._process.returncode is None and health.rss_bytes(self._process.pid) < KEPT_BYTES

    async def run(self, order: Order, hung_seconds: float) -> int:
        """Runs a job and returns its exit code. A process that gives no sign of life for so long (in a dead mount, or stopped)
        keeps its job and its place: it is killed, and the job tried again. Raises NotBegun."""
        begun = False
        with contextlib.suppress(ConnectionError):
            self._orders.write(msgspec.json.encode(order) + b"\n")
            await self._orders.drain()
        try:
            while line := await asyncio.wait_for(self._tells.readline(), hung_seconds):
                begun = begun or line.startswith(BEGUN)
                if line.startswith(ENDED):
                    return int(line.removeprefix(ENDED))
        except TimeoutError:
            _log.error("job process gives no sign of life and is killed", job=order.job_id, seconds=hung_seconds)
            await self._kill()
            return -signal.SIGKILL
        code = await self._process.wait()
        if not begun:
            raise NotBegun(f"exit code {code}")
        return code or 1

    async def stop(self) -> None:
        """Ends it, gently and then not."""
        if self.idle is not None:
            self.idle.cancel()
        if self._process.returncode is None and not self._killed:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                await self._kill()
        self._orders.close()
        self._transport.close()

    async def _kill(self) -> None:
        self._killed = True
        if not await killing.kill(self._process, STOP_SECONDS):  # its place is free all the same
            _log.error("a job process does not end: it hangs in the storage", pid=self._process.pid)


class JobProcesses:
    """The job processes of one agent. A job alone in its process is as safe as before: warm is only what waits for the next one."""

    def __init__(self, log_format: str, hung_seconds: float | None = None, idle_seconds: float = IDLE_SECONDS) -> None:
        self._log_format, self._idle_seconds = log_format, idle_seconds
        self._hung_seconds = hung_seconds or _hung_seconds()
        self._idle: list[JobProcess] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self, order: Order) -> int:
        """Runs a job, in a process that waits or in a new one, and returns its exit code. Cancelling ends that process."""
        while self._idle:
            with contextlib.suppress(NotBegun):
                return await self._run_in(self._idle.pop(), order)
        try:
            return await self._run_in(await JobProcess.start(self._log_format), order)
        except NotBegun as problem:
            _log.error("job process does not start", job=order.job_id, reason=str(problem))
            return 1

    async def stop(self) -> None:
        """Ends what waits; jobs under way are their runners' affair."""
        waiting, self._idle = self._idle, []
        await asyncio.gather(*(process.stop() for process in waiting), *self._ending)

    async def _run_in(self, process: JobProcess, order: Order) -> int:
        if process.idle is not None:
            process.idle.cancel()
        kept = False
        try:
            code = await process.run(order, self._hung_seconds)
            kept = self._keep(process)
        finally:
            if not kept:
                await process.stop()
        return code

    def _keep(self, process: JobProcess) -> bool:
        if len(self._idle) >= MOST_KEPT or not process.may_be_kept:
            return False
        process.idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end, process)
        self._idle.append(process)
        return True

    def _end(self, process: JobProcess) -> None:
        if process in self._idle:
            self._idle.remove(process)
            task = asyncio.get_running_loop().create_task(process.stop())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


def _hung_seconds() -> float:
    given = os.environ.get(HUNG_VARIABLE) or str(HUNG_SECONDS)
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    # signs of life come every second: less would kill the living
    if not LEAST_HUNG_SECONDS <= seconds < math.inf:
        raise ConfigProblem(f"{HUNG_VARIABLE}: {given!r} is no number of seconds from {LEAST_HUNG_SECONDS:g} on", "Correct it.")
    return seconds


def environment() -> dict[str, str]:
    """The environment of a process that runs jobs. glibc: what a batch took goes back to the kernel at once, where it would else
    be kept and cut up, a third of the process's memory."""
    return {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(LARGE_BYTES)}
