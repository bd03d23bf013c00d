"""What the agent keeps in its home while it runs: its configuration and its sessions. A home that cannot be written ends nothing.

Used by the supervisor.
"""

from collections.abc import Callable

from agent_runner import log, running
from agent_runner.config import AgentConfig
from agent_runner.home import Home
from agent_runner.phases.scan import JobContext

_log = log.get("home")


class HomeNotes:
    """`error`: why something is not kept, empty when all is."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._unwritten: dict[str, Callable[[], None]] = {}
        self.error = ""

    def sessions(self, contexts: Callable[[], list[JobContext]]) -> None:
        """The pipes and their sessions changed: job workers must know. `contexts` is asked when it is written."""
        self._unwritten["sessions"] = lambda: running.write(self._home, contexts())
        self.write()

    def configuration(self, config: AgentConfig) -> None:
        """This configuration works: the agent starts with it next time."""
        self._unwritten["configuration"] = lambda: self._home.write_json(self._home.last_config, config)
        self.write()

    def write(self) -> None:
        """Writes what is to be written; what cannot be is told, and tried again at the next turn."""
        before, self.error = self.error, ""
        for what, write in list(self._unwritten.items()):
            try:
                write()
            except OSError as error:
                self.error = f"{what} not kept in {self._home.path}: {error.strerror}"
            else:
                del self._unwritten[what]
        if self.error and self.error != before:
            _log.error("home cannot be written", reason=self.error, fix="Free some space there; it is tried again.")

    def forget_sessions(self) -> None:
        """The agent ends: job workers have nobody to work for."""
        self._home.running.unlink(missing_ok=True)
