"""How far the scans of an AgentPipe are: told by each job's process in a file of the AgentPipe's state, read by the agent for its
health report. A file, because the process may be the agent's own or a Celery worker's; the report to the server is another matter.
"""

import time
from pathlib import Path
from typing import Any

import msgspec

from agent_runner.drivers import Lease

_PREFIX, _SUFFIX = "scan.", ".msgpack"
# a process that was killed tells nothing any more
STALE_SECONDS = 15.0


class ScanProgress(msgspec.Struct, frozen=True):
    """One scan as it stands. `per_second`: entries, on average; `directory`: where it is, in display form; `at`: Unix seconds."""

    job_id: str
    kind: str
    path: str
    found: int
    per_second: float
    directory: str
    at: float


def tell(state_directory: Path, lease: Lease, progress: dict[str, Any]) -> None:
    """Leaves how far a job is, in place of what was told before. Raises OSError."""
    told = ScanProgress(
        job_id=lease.job_id,
        kind=lease.kind,
        path=lease.path,
        found=progress["found"],
        per_second=progress["per_second"],
        directory=progress["directory"],
        at=time.time(),
    )
    temporary = state_directory / f"{_PREFIX}{lease.job_id}.new"
    temporary.write_bytes(msgspec.msgpack.encode(told))
    temporary.replace(_file(state_directory, lease.job_id))


def forget(state_directory: Path, job_id: str) -> None:
    """The job is over. Raises OSError."""
    _file(state_directory, job_id).unlink(missing_ok=True)


def read(state_directory: Path) -> list[ScanProgress]:
    """The scans that run now, in the order of their ids; what a killed process left behind is removed. Raises OSError."""
    found = []
    for file in sorted(state_directory.glob(f"{_PREFIX}*{_SUFFIX}")):
        try:
            told = msgspec.msgpack.decode(file.read_bytes(), type=ScanProgress)
        except FileNotFoundError:  # it ended in between
            continue
        if abs(time.time() - told.at) < STALE_SECONDS:
            found.append(told)
        else:
            file.unlink(missing_ok=True)
    return found


def _file(state_directory: Path, job_id: str) -> Path:
    return state_directory / f"{_PREFIX}{job_id}{_SUFFIX}"
