"""The job worker's Celery application: consumes queue `agent.<agent_id>`, whose messages are job ids (`agent_runner.run_job`).

A message only says that there is a job; the lease decides who runs it, so a message delivered twice runs it once. Each runs in a
job process (job_processes.py), for a thread that hangs in a dead mount can be neither ended nor replaced; all of them belong to one
event loop, in a thread of its own. Started as a child of the agent (worker.py) when a broker is configured.
"""

import asyncio
import os
import threading

from celery import Celery
from celery.signals import worker_init, worker_ready, worker_shutdown
from kombu import Queue

from agent_runner import log
from agent_runner.home import Home
from agent_runner.job_process import Order, die_with_parent
from agent_runner.job_processes import STOP_SECONDS, JobProcesses
from agent_runner.jobs import own_name
from agent_runner.worker import BROKER_VARIABLE, LOG_VARIABLE, QUEUE_VARIABLE, READY_FILE, celery_url

_log = log.get("worker")
_loop = asyncio.new_event_loop()
_processes = JobProcesses(os.environ.get(LOG_VARIABLE, "text"))


def _make() -> Celery:
    queue = os.environ.get(QUEUE_VARIABLE, "agent")
    made = Celery("agent_runner", broker=celery_url(os.environ.get(BROKER_VARIABLE, "memory://")))
    made.conf.update(
        task_queues=[Queue(queue)],
        task_default_queue=queue,
        task_ignore_result=True,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        accept_content=["json"],
    )
    return made


app = _make()


@worker_init.connect
def _prepare(**_: object) -> None:
    die_with_parent()
    log.setup(os.environ.get(LOG_VARIABLE, "text"))
    threading.Thread(target=_loop.run_forever, name="job processes", daemon=True).start()


@worker_ready.connect
def _tell_agent(**_: object) -> None:
    home = Home()
    home.write(home.path / READY_FILE, str(os.getpid()).encode())


@app.task(name="agent_runner.run_job")
def run_job_task(job_id: str) -> int:
    """Runs one job, if its lease can be had, in the name of this worker. Returns the exit code: 0 when nothing is left to do."""
    running = asyncio.run_coroutine_threadsafe(_processes.run(Order(job_id, worker=own_name())), _loop)
    code = running.result()
    _log.info("job message worked off", job=job_id, exit_code=code)
    return code


@worker_shutdown.connect
def _end_processes(**_: object) -> None:
    asyncio.run_coroutine_threadsafe(_processes.stop(), _loop).result(STOP_SECONDS + 1)
