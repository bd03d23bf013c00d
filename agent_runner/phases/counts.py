"""How far a scan is, and what it found: for progress reports, the manifest of an audit and the outcome of a job."""

import time
from dataclasses import dataclass, field
from typing import Any

from agent_runner.active import MOST_TOLD
from agent_runner.sources.fs import frames


@dataclass
class Counts:
    """How far a scan is, and what it found."""

    files: int = 0
    directories: int = 0
    rows: int = 0
    batches: int = 0
    applied: int = 0
    rejected: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    current: bytes = b"/"
    changed: list[bytes] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def found(self) -> int:
        """Entries so far."""
        return self.files + self.directories

    def take(self, frame: frames.Listed) -> None:
        """Adds one frame."""
        self.files += frame.files
        self.directories += frame.directories
        self.rows += frame.rows
        self.current = frame.current or self.current
        self.changed += frame.changed[: max(0, MOST_TOLD - len(self.changed))]
        for reason, count in frame.errors.items():
            self.errors[reason] = self.errors.get(reason, 0) + count

    def progress(self) -> dict[str, Any]:
        """The body of a progress report."""
        seconds = max(0.001, time.monotonic() - self.started)
        return {
            "found": self.found,
            "per_second": round(self.found / seconds, 1),
            "depth": self.current.count(b"/") if self.current != b"/" else 0,
            "directory": self.current.decode("utf-8", "backslashreplace"),
        }

    def manifest(self) -> dict[str, int]:
        """What an audit claims to have sent, its last batch included (R10)."""
        return {
            "batches": self.batches + 1,
            "rows": self.rows,
            "directories": self.directories,
            "errors": sum(self.errors.values()),
        }

    def summary(self) -> dict[str, Any]:
        """The counts of the job's result."""
        fields = ("files", "directories", "rows", "batches", "applied", "rejected")
        return {name: getattr(self, name) for name in fields} | {
            "errors": self.errors,
            "seconds": round(time.monotonic() - self.started, 3),
        }
