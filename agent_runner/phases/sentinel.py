"""The sentinel: looks again at what the server suspects of still being written, and says what it found. Run by jobs.py."""

import os
from collections.abc import Callable
from typing import Any

from agent_runner import log
from agent_runner.drivers import Sender
from agent_runner.sources.fs import rows
from fustor_schema import paths

_log = log.get("sentinel")
FEEDBACK_PATHS = 1_000


async def run(root: bytes, sender: Sender, check_same_root: Callable[[], object]) -> int:
    """Checks every suspect the server names. Returns how many. Raises SenderProblem, and what `check_same_root` raises when the
    storage is not mounted: then nothing that was found missing is told (R20)."""
    suspects = await sender.sentinel_tasks()
    for start in range(0, len(suspects), FEEDBACK_PATHS):
        updates = [update for path in suspects[start : start + FEEDBACK_PATHS] if (update := _look(root, path)) is not None]
        check_same_root()
        await sender.sentinel_feedback(updates)
    return len(suspects)


def _look(root: bytes, path: str) -> dict[str, Any] | None:
    """What lstat says of a suspect; None when the storage does not say (then nothing is claimed, R12)."""
    try:
        raw = paths.to_bytes(paths.normalise(path))
        status = os.lstat(rows.local(root, raw))
        inside = rows.is_inside(root, raw)
    except (FileNotFoundError, NotADirectoryError):
        inside = False
    except (OSError, paths.PathError) as error:
        _log.warning("suspect not checked", path=path, reason=str(error))
        return None
    if not inside:
        return {"path": path, "mtime": 0.0, "size": 0, "status": "missing"}
    return {"path": path, "mtime": status.st_mtime, "size": status.st_size, "status": "exists"}
