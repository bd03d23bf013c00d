"""The agent's own part of the health report: memory, versions, uptime. Each pipe adds its own."""

import os
import platform
import time
from typing import Any

from agent_runner.version import VERSION

_STARTED = time.monotonic()
_PAGE = os.sysconf("SC_PAGE_SIZE")


def report() -> dict[str, Any]:
    """What holds for the whole process."""
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "uptime_seconds": round(time.monotonic() - _STARTED),
        "rss_bytes": rss_bytes(),
    }


def rss_bytes(pid: int | None = None) -> int:
    """Memory of this process, or of another, in bytes; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid or 'self'}/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError):
        return 0
