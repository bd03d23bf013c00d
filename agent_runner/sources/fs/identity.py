"""Which storage lies under the root: asked before and after every scan and while watching (R20).

With a marker file (`.fustor-root`, one line: a UUID) at the root the identity is the marker and the file system; without one it
is the file system and the root's inode. An unmounted mount point has another inode, and no marker.
"""

import os
import uuid
from pathlib import Path

from agent_runner.problems import SourceLost, SourceProblem

MARKER = ".fustor-root"
_MARKER_BYTES = 100


def read(root: bytes, *, marker: str = "auto") -> str:
    """The identity of what lies under the root now. Raises SourceProblem when the root cannot be read, SourceLost when the
    marker is required and missing."""
    try:
        status = os.stat(root)
        file_system = os.statvfs(root)
    except OSError as error:
        raise SourceProblem(
            f"{os.fsdecode(root)} cannot be read: {error.strerror}", "Check the path, the mount and the agent's permission."
        ) from error
    marked = _marker(root)
    if marked:
        return f"marker:{marked}:{file_system.f_fsid:x}"
    if marker == "require":
        raise SourceLost(f"{os.fsdecode(root)} has no {MARKER}: the storage is not mounted, or was never marked")
    return f"inode:{status.st_ino}:{file_system.f_fsid:x}"


def _marker(root: bytes) -> str:
    try:
        with open(os.path.join(root, MARKER.encode()), "rb") as file:
            return file.read(_MARKER_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""


def mark(root: Path) -> str:
    """Makes the marker file, when there is none, and returns its UUID. Raises OSError."""
    path = root / MARKER
    if not path.exists():
        path.write_text(f"{uuid.uuid4()}\n")
    return path.read_text().strip()
