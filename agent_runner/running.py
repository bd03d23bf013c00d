"""`running.json`: the agent's pipes and their sessions, for the job worker, a process of its own. Written by the supervisor."""

import msgspec

from agent_runner.home import Home
from agent_runner.phases.scan import JobContext


class Running(msgspec.Struct, frozen=True):
    """Every pipe; one without a session has an empty `session_id`."""

    contexts: list[JobContext] = []


def write(home: Home, contexts: list[JobContext]) -> None:
    """Tells job workers. Raises OSError."""
    home.write_json(home.running, Running(contexts))


def read(home: Home) -> list[JobContext]:
    """The pipes; none while the agent is down."""
    try:
        return msgspec.json.decode(home.running.read_bytes(), type=Running).contexts
    except FileNotFoundError:
        return []
