"""The home of a running server: who holds it, and what is kept in it. Used by `manage.py up`."""

import fcntl
import os
from pathlib import Path
from typing import IO


class HomeInUse(Exception):
    """Another Fustor runs on this home; the text says which."""


class HomeLock:
    """Held while a server runs on a home. The kernel lets go of it when the process dies, however it dies."""

    def __init__(self, home: Path) -> None:
        self.path = home / "up.lock"
        self._file: IO[str] | None = None

    def take(self, note: str) -> None:
        """Hold the home; `note` (the URL) is what a second start tells its user. Raises HomeInUse."""
        # the descriptor is not inherited: no child can keep the lock when the supervisor is gone
        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = file.read().strip()
            file.close()
            raise HomeInUse(
                f"Fustor already runs on {self.path.parent} ({holder}). Stop it first, or give this one a home of its own: "
                "make run HOME_DIR=dir"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}, {note}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let the home go."""
        if self._file:
            self._file.close()
            self._file = None


def keep_secret(path: Path, secret: str) -> None:
    """Write a secret that only its owner may read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret + "\n")
    fresh.replace(path)
