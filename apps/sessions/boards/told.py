"""What agents say of themselves in heartbeats, as far as it can be used. None of it is ours to trust: what has not the right type
was not told.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.sessions.models import Session

MOST_SCANS = 8


@dataclass(frozen=True)
class RunningScan:
    """One scan that an agent has under way. `per_second`: entries, on average."""

    job_id: str
    kind: str
    found: int | None
    per_second: int | None
    directory: str


def running_scans(session: Session) -> tuple[RunningScan, ...]:
    """The scans of the session's last health report."""
    told = session.agent_status.get("scans")
    scans = told[:MOST_SCANS] if isinstance(told, list) else []
    return tuple(
        RunningScan(
            job_id=text(scan, "job_id"),
            kind=text(scan, "kind"),
            found=count(scan, "found"),
            per_second=count(scan, "per_second"),
            directory=text(scan, "directory"),
        )
        for scan in scans
        if isinstance(scan, dict)
    )


def count(told: Mapping[str, Any], name: str) -> int | None:
    """A number that was told, None when it was not."""
    value = told.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return int(value)


def text(told: Mapping[str, Any], name: str) -> str:
    """A text that was told, empty when it was not."""
    value = told.get(name)
    return value[:500] if isinstance(value, str) else ""
