"""The job worker's Celery application: consumes queue `agent.<agent_id>`, whose messages are job ids (`agent_runner.run_job`).

A message only says that there is a job; the lease decides who runs it, so a message delivered twice runs it once. Started as a
child of the agent (worker.py) when a broker is configured.
"""

import asyncio
import os

from celery import Celery
from celery.signals import worker_init, worker_ready
from kombu import Queue

from agent_runner import log, running
from agent_runner.home import Home
from agent_runner.job_process import die_with_parent
from agent_runner.jobs import run_job
from agent_runner.worker import BROKER_VARIABLE, LOG_VARIABLE, QUEUE_VARIABLE, READY_FILE, celery_url

_log = log.get("worker")


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


@worker_ready.connect
def _tell_agent(**_: object) -> None:
    home = Home()
    home.write(home.path / READY_FILE, str(os.getpid()).encode())


@app.task(name="agent_runner.run_job")
def run_job_task(job_id: str) -> str:
    """Runs one job, if its lease can be had. Returns how it ended."""
    state = asyncio.run(run_job(lambda: running.read(Home()), job_id))
    _log.info("job message worked off", job=job_id, state=state)
    return state
