"""What the pipes of one agent share. Made by the supervisor, used by pipe.py and its parts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from agent_runner.commands import Action
from agent_runner.home import Home
from agent_runner.job_processes import JobProcesses


@dataclass(frozen=True)
class Host:
    """What every pipe of this agent shares. `actions`: commands that concern the whole agent; `job_queue`: a job worker is up;
    `worker_ready` returns when it is, or when there is no use in waiting; `session_changed` is called when a pipe opened a
    session; `health`: the process's part of the health report; `config_yaml`: the configuration that runs, without keys;
    `allowed_commands`: remote commands that this host's owner opted in to (scenario 143);
    `job_processes` run the jobs of every pipe."""

    agent_id: str
    home: Home
    actions: dict[str, Action]
    job_queue: Callable[[], bool]
    worker_ready: Callable[[], Awaitable[None]]
    session_changed: Callable[[], None]
    health: Callable[[], dict[str, Any]]
    config_yaml: Callable[[], str]
    allowed_commands: tuple[str, ...]
    job_processes: JobProcesses
