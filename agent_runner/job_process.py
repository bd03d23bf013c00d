"""A job process: runs jobs, one at a time, apart from the agent. It may crash, hang or eat memory: nobody else does.

Started by job_processes.py as `python -m agent_runner.job_process LIFE PARENT LOG_FORMAT`. Orders come on stdin, one a line;
on the descriptor LIFE it says that it begins one, every second that it lives, and how it ended. It ends when stdin does.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from typing import Any

import msgspec

from agent_runner import log, running
from agent_runner.drivers import Lease
from agent_runner.home import Home
from agent_runner.jobs import exit_code, run_job, run_unleased
from agent_runner.phases.scan import JobContext
from agent_runner.problems import AgentProblem
from agent_runner.sources.fs.scanner import Listers

_log = log.get("jobs")
LIFE_SECONDS = 1.0
BEGUN, ALIVE, ENDED = b">", b".", b"="
ORDER_BYTES = 1 << 24
_PR_SET_PDEATHSIG = 1


class Order(msgspec.Struct, frozen=True):
    """One job to run. `context`: the AgentPipe it works for; None: whichever of this host's the lease names. `lease` only for a
    server of protocol 2; else the process leases `job_id` itself, in the name of `worker` or its own."""

    job_id: str
    context: JobContext | None = None
    lease: Lease | None = None
    worker: str = ""


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Linux: this process gets the signal when its parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def main() -> int:
    """Works off orders until stdin closes."""
    life, parent, log_format = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    # a request to end is not heard while the storage hangs, and nothing here needs a gentle end
    die_with_parent(signal.SIGKILL)
    log.setup(log_format)
    if os.getppid() != parent:
        _log.warning("the agent is gone: no job started")
        return 1
    try:
        asyncio.run(_main(life))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    return 0


async def _main(life: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    # a job must not take the host's memory from the control plane when the kernel has to choose
    with contextlib.suppress(OSError), open(f"/proc/{os.getpid()}/oom_score_adj", "w") as file:
        file.write("500")
    orders = asyncio.StreamReader(limit=ORDER_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    listers = Listers()
    try:
        while line := await orders.readline():
            _tell(life, BEGUN)
            code = await _work_off(msgspec.json.decode(line, type=Order), life, listers)
            _tell(life, ENDED + str(code).encode())
    finally:
        await listers.close()


async def _work_off(order: Order, life: int, listers: Listers) -> int:
    own_task = asyncio.current_task()
    assert own_task is not None
    living = asyncio.create_task(_give_signs_of_life(life, own_task))
    try:
        if order.lease is not None and order.context is not None:
            return exit_code(await run_unleased(order.context, order.lease, listers))
        context = order.context
        contexts = (lambda: running.read(Home())) if context is None else (lambda: [context])
        return exit_code(await run_job(contexts, order.job_id, listers, order.worker))
    except AgentProblem as problem:
        _log.error("job cannot be run", job=order.job_id, reason=str(problem), fix=problem.fix)
        return 1
    finally:
        living.cancel()


async def _give_signs_of_life(life: int, job: "asyncio.Task[Any]") -> None:
    while True:
        try:
            _tell(life, ALIVE)
        except BrokenPipeError:
            # where the system does not tell of a parent's end, this does
            job.cancel()
            return
        await asyncio.sleep(LIFE_SECONDS)


def _tell(life: int, what: bytes) -> None:
    os.write(life, what + b"\n")


if __name__ == "__main__":
    sys.exit(main())
