"""The upgrade of the agent's own software: one command, which the owner of the host wrote down, and nothing that a server says.

Used by the supervisor, which restarts the agent afterwards by ending with RESTART.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent_runner import log
from agent_runner.problems import AgentProblem, ConfigProblem, Refused

# EX_TEMPFAIL: the service manager starts the agent again
RESTART = 75
LONGEST_SECONDS = 540.0
POLL_SECONDS = 0.1
TOLD_LINES, TOLD_BYTES = 20, 1_500
LOG_FILE = "upgrade.log"
_SECRETS = ("FUSTOR_AGENT_KEY", "FUSTOR_AGENT_TOKEN")
_log = log.get("upgrade")


class UpgradeFailed(AgentProblem):
    """The command did not succeed; the agent goes on as it is."""


def checked(command: Sequence[str], where: str) -> tuple[str, ...]:
    """The command as it will be run. Raises ConfigProblem when there is no such program."""
    if command and shutil.which(command[0]) is None:
        raise ConfigProblem(f"{where}: {command[0]!r} is no program that can be run", "Give its whole path, then its arguments.")
    return tuple(command)


class Upgrade:
    """Runs `command` without a shell; its output goes to `log_file`. It outlives an agent that is stopped meanwhile."""

    def __init__(self, command: tuple[str, ...], log_file: Path) -> None:
        self._command, self._log_file = command, log_file
        self._under_way = self._is_too_slow = False

    async def run(self) -> dict[str, Any]:
        """Returns its exit code, 0, and last lines. Raises UpgradeFailed, Refused while it runs already, OSError."""
        if self._under_way:
            raise Refused("an upgrade is under way already", "Wait for its end.")
        self._under_way = True
        try:
            code = await self._finished()
        finally:
            self._under_way = False
        output = self._last_lines()
        _log.info("upgrade command ended", exit_code=code, output=output)
        if code:
            raise UpgradeFailed(f"the upgrade command {self._ended(code)}; nothing was restarted. Its last lines:\n{output}")
        return {"exit_code": code, "output": output}

    async def _finished(self) -> int:
        _log.warning("upgrade command started", command=self._command)
        environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
        with self._log_file.open("wb") as output:
            # not asyncio's: that would kill it when the agent is stopped meanwhile
            process = subprocess.Popen(  # noqa: S603 - the owner of the host wrote the command, no shell reads it
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
        deadline, self._is_too_slow = time.monotonic() + LONGEST_SECONDS, False
        while process.poll() is None:
            if time.monotonic() > deadline:
                self._is_too_slow = True
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.sleep(POLL_SECONDS)
        return process.returncode

    def _ended(self, code: int) -> str:
        if self._is_too_slow:
            return f"did not end within {LONGEST_SECONDS:.0f} s and was killed"
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _last_lines(self) -> str:
        with self._log_file.open("rb") as file:
            file.seek(max(0, self._log_file.stat().st_size - TOLD_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-TOLD_LINES:])
