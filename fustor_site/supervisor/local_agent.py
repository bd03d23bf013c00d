"""The agent of this machine: enrolled on a directory with a pipe, a view and a key of its own. Used by first_run and up."""

import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from fustor_site.supervisor.sample import make_sample_tree


@dataclass(frozen=True)
class LocalAgent:
    """The agent of this machine: what it watches, under which names, and where it keeps its key and state."""

    agent_id: str
    pipe_id: str
    view_id: str
    watch: Path
    home: Path

    @property
    def key_file(self) -> Path:
        """Its key, readable by the owner only."""
        return self.home / "key"

    def command(self, url: str) -> list[str]:
        """Its command line. The key stays out of it: every user of the machine may read command lines."""
        run = [sys.executable, "-m", "agent_runner", "run", "--server", url]
        return [*run, "--watch", str(self.watch), "--agent-id", self.agent_id, "--pipe", self.pipe_id]

    def environment(self) -> dict[str, str]:
        """What it needs beside its command line."""
        return {
            "FUSTOR_AGENT_HOME": str(self.home),
            "FUSTOR_AGENT_KEY_FILE": str(self.key_file),
            "FUSTOR_AGENT_BROKER_URL": settings.FUSTOR_REDIS_URL,
        }


def enrol(home: Path, watch: Path | None) -> LocalAgent | None:
    """The agent for `watch` (None: the directory of last time, or a sample tree), enrolled when it is not yet."""
    watch = watch or make_sample_tree(home / "sample")
    return None
