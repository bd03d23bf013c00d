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


def attribute_cache_seconds(root: bytes) -> float | None:
    """How long this host may see an old state of the storage (R13): 0 on local file systems, NFS's acdirmax; None when unknown."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return None
    return cache_seconds(os.path.realpath(root), mounts)


def cache_seconds(path: bytes, mounts: list[bytes]) -> float | None:
    """The same, of a path and the lines of /proc/self/mountinfo."""
    mount = _mount_of(path, mounts)
    if mount is None:
        return None
    kind, options = mount
    if kind in _LOCAL:
        return 0.0
    return _nfs_cache_seconds(options) if kind in (b"nfs", b"nfs4") else None


_LOCAL = {b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"zfs", b"f2fs", b"tmpfs", b"ramfs", b"overlay", b"bcachefs", b"vfat"}
_NFS_ACDIRMAX_SECONDS = 60.0


def _mount_of(path: bytes, mounts: list[bytes]) -> tuple[bytes, list[bytes]] | None:
    """Type and options of the mount that holds a path: the longest mount point above it, the last one mounted there."""
    best: tuple[int, bytes, list[bytes]] | None = None
    for line in mounts:
        left, _, right = line.partition(b" - ")
        point = left.split(b" ")[4].replace(b"\\040", b" ")
        inside = point == b"/" or path == point or path.startswith(point + b"/")
        if inside and (best is None or len(point) >= best[0]):
            kind, _, options = right.split(b" ", 2)
            best = len(point), kind, options.split(b",")
    return None if best is None else best[1:]


def _nfs_cache_seconds(options: list[bytes]) -> float:
    if b"noac" in options:
        return 0.0
    given = dict(option.split(b"=", 1) for option in options if b"=" in option)
    return float(given.get(b"acdirmax", given.get(b"actimeo", _NFS_ACDIRMAX_SECONDS)))
