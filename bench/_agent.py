"""A real agent on a directory, reporting to a real server, its memory watched. Used by scan.py and latency.py."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.blackbox.world import World

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.2


class Memory:
    """The most that a process and all its children held at one moment. `rss_mb` counts pages that they share once for each of
    them, as `ps` does; `pss_mb` once in all."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.rss_mb = self.pss_mb = 0
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            rss = pss = 0
            try:
                for process in (self._process, *self._process.children(recursive=True)):
                    used = process.memory_full_info()
                    rss, pss = rss + used.rss, pss + used.pss
            except psutil.Error:
                # one of them ended while it was looked at: this sample does not count
                continue
            self.rss_mb, self.pss_mb = max(self.rss_mb, rss >> 20), max(self.pss_mb, pss >> 20)


@contextmanager
def running_agent(world: World, tree: Path) -> Iterator[Memory]:
    """Runs an agent that watches `tree` with the world's key; ends it afterwards."""
    target = ["--server", world.server.url, "--watch", str(tree), "--agent-id", "bench"]
    command = [sys.executable, "-m", "agent_runner", "run", *target]
    with tempfile.TemporaryDirectory(prefix="fustor-bench-") as home:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "FUSTOR_AGENT_HOME": home, "FUSTOR_AGENT_KEY": world.key}
        agent = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
        memory = Memory(agent.pid)
        try:
            yield memory
        finally:
            memory.stop()
            agent.terminate()
            agent.wait(10)
