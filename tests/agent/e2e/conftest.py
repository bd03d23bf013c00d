"""The fleet of a test: agents as processes of their own, and what the view says against what os.walk says."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.pipes.models import Pipe
from tests.agent.walk import walked
from tests.blackbox.processes import PATIENCE_SECONDS
from tests.blackbox.world import World

_PR_CAPBSET_DROP = 24
# a session that is lost and opened again, and a scan of everything, on a busy machine
EQUAL_SECONDS = 2 * PATIENCE_SECONDS
REPOSITORY = Path(__file__).resolve().parents[3]


def _give_up_root_reading() -> None:
    """CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH leave the bounding set; a process of no root has neither anyway."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


class RealAgent:
    """`python -m agent_runner run` of one host."""

    def __init__(self, world: World, directory: Path, state: Path, name: str, *, pipe: int = 1) -> None:
        self.world, self.directory, self.state, self.name = world, directory, state, name
        self._key = world._keys[pipe - 1]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = state / "agent.log"
        state.mkdir(exist_ok=True)

    def start(self, *arguments: str, unprivileged: bool = False, **environment: str) -> "RealAgent":
        """Starts it. `unprivileged`: modes of files and directories hold for it also when the tests run as root."""
        target = self.target() if "--config" in arguments else self.command()
        command = [sys.executable, "-m", "agent_runner", "run", *target, *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={
                    **os.environ,
                    "PYTHONPATH": str(REPOSITORY),
                    "FUSTOR_AGENT_HOME": str(self.state),
                    "FUSTOR_AGENT_KEY": self._key,
                    **environment,
                },
                stdout=log,
                stderr=log,
                preexec_fn=_give_up_root_reading if unprivileged else None,  # noqa: PLW1509 - two system calls, no locks
            )
        return self

    def command(self) -> list[str]:
        """The command line that says what to watch and whom to tell."""
        return [*self.target(), "--watch", str(self.directory), "--pipe", "p"]

    def target(self) -> list[str]:
        """The part of it that says whom to tell."""
        return ["--server", self.world.server.url, "--agent-id", self.name]

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.ends()

    def ends(self) -> int:
        """Waits for its end. Returns the exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE_SECONDS)


class Fleet:
    """Makes agents of a world and compares."""

    def __init__(self, world: World, tmp_path: Path) -> None:
        self.world, self._tmp_path = world, tmp_path
        self.agents: list[RealAgent] = []

    def agent(self, directory: Path, name: str = "host-a", *, pipe: int = 1) -> RealAgent:
        made = RealAgent(self.world, directory, self._tmp_path / f"state-{name}", name, pipe=pipe)
        self.agents.append(made)
        return made

    def pause(self, paused: bool) -> None:
        """While the pipe is paused, events are refused: a scan that sends some stays under way."""
        Pipe.objects.filter(pk=self.world.pipe.pk).update(paused=paused)

    def seen(self) -> dict[str, int]:
        """The view: path → size, directories -1. Empty while the view answers 503."""
        answer = self.world.reader.Q("/", recursive="true")
        if answer.status_code == 503:
            return {}
        assert answer.status_code == 200, answer.text
        found, nodes = {}, [answer.json()]
        while nodes:
            node = nodes.pop()
            found[node["path"]] = -1 if node["content_type"] == "directory" else node["size"]
            nodes.extend(node.get("children", []))
        return found

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {PATIENCE_SECONDS:g} s")
            time.sleep(0.05)

    def until_equal(self, directory: Path) -> None:
        """Waits until the view equals the directory; says how they differ when it does not come to that."""
        end = time.monotonic() + EQUAL_SECONDS
        while (view := self.seen()) != (tree := walked(directory)):
            if time.monotonic() > end:
                missing, extra = sorted(tree.keys() - view.keys())[:20], sorted(view.keys() - tree.keys())[:20]
                differ = {path: (tree[path], view[path]) for path in tree.keys() & view.keys() if tree[path] != view[path]}
                raise AssertionError(f"missing {missing}; too many {extra}; different {dict(list(differ.items())[:20])}")
            time.sleep(0.05)

    def close(self) -> None:
        for agent in self.agents:
            if agent.process is not None:
                agent.send(signal.SIGCONT) if agent.process.poll() is None else None
                agent.stop()
                print(agent.log.read_text()[-5000:])
        worker = self.world.server.worker
        if worker is not None:  # what is due is done by it: a test that waits in vain should show how it was
            print(f"the server's worker: exit code {worker.poll()}")
            print((self.world.server.home / "worker.log").read_text(errors="replace")[-3000:])


@pytest.fixture
def fleet(world: World, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(world, tmp_path)
    yield made
    made.close()
