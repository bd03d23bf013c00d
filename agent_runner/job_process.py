"""Job processes: starting, watching and stopping them. A job may crash, hang or eat memory: the agent only notes how it ended.

The agent starts `python -m agent_runner.job_process` and writes the order to its stdin. The other end, `main`, is here as well.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys

import msgspec

from agent_runner import log
from agent_runner.drivers import Lease
from agent_runner.jobs import exit_code, run_job, run_unleased
from agent_runner.phases.scan import JobContext
from agent_runner.problems import AgentProblem

_log = log.get("jobs")
PHASES_AT_ONCE, SCANS_AT_ONCE = 2, 2
STOP_SECONDS = 2.0
LARGE_BYTES = 128 * 1024
LIFE_SECONDS, HUNG_SECONDS = 1.0, 120.0
_PR_SET_PDEATHSIG = 1


class Order(msgspec.Struct, frozen=True):
    """What a job process is told. `lease` only for a server of protocol 2; else the process leases `job_id` itself. `parent`: the
    agent's process id, to notice that it died before this process could ask to be told. `life`: the descriptor to write to every
    second, so that the agent notices a process that hangs."""

    context: JobContext
    job_id: str
    parent: int
    life: int
    log_format: str = "text"
    lease: Lease | None = None


class JobRunner:
    """The job processes of one AgentPipe. The same job id never runs twice at a time. Scans of a path have places of their own:
    there may be hundreds of them, and an audit must not wait behind."""

    def __init__(self, log_format: str, hung_seconds: float = HUNG_SECONDS) -> None:
        self._log_format, self._hung_seconds = log_format, hung_seconds
        self._running: dict[str, asyncio.Task[int]] = {}
        self._phases, self._scans = asyncio.Semaphore(PHASES_AT_ONCE), asyncio.Semaphore(SCANS_AT_ONCE)
        self.last_error = ""

    @property
    def running(self) -> list[str]:
        """The ids of the jobs that run or wait for a place."""
        return list(self._running)

    def start(self, context: JobContext, job_id: str, kind: str, lease: Lease | None = None) -> "asyncio.Task[int]":
        """Starts a job of a kind (`scan`, `audit` …), unless it runs already. The task's result is the exit code."""
        running = self._running.get(job_id)
        if running is not None:
            return running
        places = self._scans if kind == "scan" else self._phases
        task = asyncio.create_task(self._run(context, job_id, lease, places), name=f"job {job_id}")
        self._running[job_id] = task
        task.add_done_callback(lambda _: self._running.pop(job_id, None))
        return task

    async def stop(self) -> None:
        """Ends every job process, gently and then not."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, context: JobContext, job_id: str, lease: Lease | None, places: asyncio.Semaphore) -> int:
        async with places:
            hears, tells = os.pipe()
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "agent_runner.job_process"),
                    stdin=asyncio.subprocess.PIPE,
                    pass_fds=(tells,),
                    env=environment(),
                )
            except BaseException:
                os.close(hears)
                raise
            finally:
                os.close(tells)
            watching = asyncio.create_task(self._kill_when_silent(process, hears, job_id))
            try:
                order = Order(context, job_id, os.getpid(), tells, self._log_format, lease)
                await process.communicate(msgspec.json.encode(order))
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await _stop(process)
        code = process.returncode or 0
        if code:
            self.last_error = f"job {job_id} ended with exit code {code}"
            _log.error("job process failed", job=job_id, exit_code=code)
        return code

    async def _kill_when_silent(self, process: asyncio.subprocess.Process, hears: int, job_id: str) -> None:
        """A process that hangs (in a dead mount, or stopped) keeps its job and its place: it is ended, and the job tried again."""
        life = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(life), os.fdopen(hears, "rb", 0))
        try:
            while await asyncio.wait_for(life.read(64), self._hung_seconds):
                pass
        except TimeoutError:
            _log.error("job process gives no sign of life and is killed", job=job_id, seconds=self._hung_seconds)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        finally:
            transport.close()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def environment() -> dict[str, str]:
    """The environment of a process that runs jobs. glibc: what a batch took goes back to the kernel at once, where it would else
    be kept and cut up, a third of the process's memory."""
    return {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(LARGE_BYTES)}


def die_with_parent() -> None:
    """Linux: this process gets SIGTERM when its parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def main() -> int:
    """The job process: reads its order from stdin, runs it, tells the outcome by exit code."""
    die_with_parent()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    log.setup(order.log_format)
    if os.getppid() != order.parent:
        _log.warning("the agent is gone: job not started", job=order.job_id)
        return 1
    try:
        return asyncio.run(_main(order))
    except AgentProblem as problem:
        _log.error("job cannot be run", job=order.job_id, reason=str(problem), fix=problem.fix)
        return 1
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM


async def _main(order: Order) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    # a job must not take the host's memory from the control plane when the kernel has to choose
    with contextlib.suppress(OSError), open(f"/proc/{os.getpid()}/oom_score_adj", "w") as file:
        file.write("500")
    living = asyncio.create_task(_give_signs_of_life(order.life))
    try:
        if order.lease is not None:
            return exit_code(await run_unleased(order.context, order.lease))
        return exit_code(await run_job(lambda: [order.context], order.job_id))
    finally:
        living.cancel()


async def _give_signs_of_life(descriptor: int) -> None:
    while True:
        os.write(descriptor, b".")
        await asyncio.sleep(LIFE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
