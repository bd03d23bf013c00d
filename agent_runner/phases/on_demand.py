"""The on-demand scan: one path, looked at again because somebody asked. Run by jobs.py."""

import os

from agent_runner import clock, mapping
from agent_runner.phases.scan import ScanJob, one_frame
from agent_runner.problems import Refused
from agent_runner.sources.fs import rows
from agent_runner.sources.fs.scanner import root_event
from fustor_schema import paths
from fustor_schema.sources import MessageSource
from fustor_schema.wire import Event, FsRow


async def run(job: ScanJob) -> None:
    """Scans the job's path, with what lies below when it is recursive. An absent path is proven absent by the listing of the
    nearest directory above it that is there (R45). What lies behind a link is no part of the tree, and is not looked at. Raises
    SenderProblem, SourceProblem, Refused for what is no path."""
    wanted = _wanted(job.lease.path)
    directory, shallow = _where(job.root, wanted)
    await job.send_all(one_frame([_row_event(job, directory if shallow else wanted)], 1))
    if os.path.isdir(rows.local(job.root, directory)):
        scanner = job.scanner(job.orders(), [directory], shallow=shallow or not job.lease.recursive)
        await job.send_all(scanner.listed())
    job.check_same_root()
    if shallow and _is_gone(job.root, wanted):
        # the listing did not have it and a second look does not either: this absence is no accident of one listing (R12)
        await job.send_all(one_frame([_event(job, "delete", [rows.gone(rows.key_of(wanted))])], 1))
    await job.end()
    await job.complete()


def _where(root: bytes, wanted: bytes) -> tuple[bytes, bool]:
    """The directory to list for a path, and whether only that one: for a file its parent, for what is gone the nearest above."""
    directory = wanted
    while directory != rows.ROOT and not _is_directory(root, directory):
        directory = directory.rpartition(b"/")[0] or rows.ROOT
    return directory, directory != wanted


def _is_directory(root: bytes, path: bytes) -> bool:
    local = rows.local(root, path)
    return rows.is_inside(root, path) and os.path.isdir(local) and not os.path.islink(local)


def _is_gone(root: bytes, path: bytes) -> bool:
    """Raises OSError when the storage does not say: that is no absence (R12)."""
    try:
        os.lstat(rows.local(root, path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not rows.is_inside(root, path)


def _wanted(path: str) -> bytes:
    try:
        return paths.to_bytes(paths.normalise(path))
    except paths.PathError as error:
        raise Refused(f"{path!r} is no path within the root: {error}") from error


def _row_event(job: ScanJob, path: bytes) -> bytes:
    if path == rows.ROOT:
        return root_event(job.root, MessageSource.ON_DEMAND.value, job.mapping(), job.context.protocol)
    return _event(job, "update", [rows.row(rows.key_of(path), os.lstat(rows.local(job.root, path)))])


def _event(job: ScanJob, event_type: str, found: list[FsRow]) -> bytes:
    event = Event(
        event_type=event_type,
        rows=found,
        message_source=MessageSource.ON_DEMAND.value,
        event_schema="fs",
        table="files",
        index=clock.wall_ms(),
        observed_at=clock.monotonic_ms(),
    )
    return mapping.event_encoder(job.mapping(), job.context.protocol)(event)
