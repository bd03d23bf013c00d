"""What a row's path and numbers may be (R32, R34): checked one row at a time. Called by `intake`."""

from apps.views import glance
from fustor_schema import paths
from fustor_schema.wire import FsRow

_MAX_INTEGER = glance.MAX_INTEGER
_MAX_INODE = 2**64 - 1
_MAX_TIME = glance.MAX_TIME


class BadField(ValueError):
    """One field of one row is wrong; the text is the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


def is_plain(row: FsRow) -> bool:
    """The common case of `check_numbers` at a glance: a whole size, times that are times, nothing else."""
    size, mtime, ctime = row.size, row.modified_time, row.created_time
    return (
        size.__class__ is int
        and 0 <= size <= _MAX_INTEGER
        and (mtime is None or -_MAX_TIME < mtime < _MAX_TIME)
        and (ctime is None or -_MAX_TIME < ctime < _MAX_TIME)
        and row.mode is row.uid is row.gid is row.inode is row.nlink is None
    )


def deletable(path: str) -> str:
    """The path, which may be deleted. Raises BadField for the root."""
    if path == paths.ROOT:
        raise BadField("path", "the root cannot be deleted (R35)")
    return path


def row_path(row: FsRow) -> str:
    """The key of a row's path, in whichever field it came. Raises BadField."""
    if row.path_b64 is not None:
        return key_of(None, row.path_b64, "path")
    text = row.path if row.path is not None else row.file_path
    if text is None:
        raise BadField("path", "path is missing")
    try:
        return paths.normalise(text)
    except paths.PathError as error:
        raise BadField("path", str(error)) from None


def key_of(text: str | None, encoded: str | None, field: str) -> str:
    """The key of a path, as text or as base64 of its bytes, which go before. Raises BadField, which names the field."""
    if text is None and encoded is None:
        raise BadField(field, f"{field} is missing")
    try:
        if text is None or encoded is not None:
            return paths.from_base64(encoded or "")
        return paths.normalise(text)
    except paths.PathError as error:
        raise BadField(field if encoded is None else f"{field}_b64", str(error)) from None


def check_numbers(row: FsRow) -> None:
    """Bring size to an int and refuse what no file can have. A NaN fails every comparison, so it is refused too."""
    size = row.size
    if size.__class__ is not int:
        row.size = _whole(size)
    elif not 0 <= size <= _MAX_INTEGER:
        raise BadField("size", "size is negative or over 2^63-1")
    if row.modified_time is not None and not -_MAX_TIME < row.modified_time < _MAX_TIME:
        raise BadField("modified_time", "modified_time is no time in Unix seconds")
    if row.created_time is not None and not -_MAX_TIME < row.created_time < _MAX_TIME:
        raise BadField("created_time", "created_time is no time in Unix seconds")
    if row.mode is not None or row.uid is not None or row.gid is not None or row.inode is not None or row.nlink is not None:
        _check_ownership(row)


def _whole(size: float | None) -> int:
    if size is None:
        return 0
    if not 0 <= size <= _MAX_INTEGER or size != int(size):
        raise BadField("size", "size is not a whole number from 0 to 2^63-1")
    return int(size)


def _check_ownership(row: FsRow) -> None:
    for field, value, most in (
        ("mode", row.mode, 2**31 - 1),
        ("uid", row.uid, _MAX_INTEGER),
        ("gid", row.gid, _MAX_INTEGER),
        ("inode", row.inode, _MAX_INODE),
        ("nlink", row.nlink, _MAX_INTEGER),
    ):
        if value is not None and not 0 <= value <= most:
            raise BadField(field, f"{field} is negative or too big")
    if row.inode is not None and row.inode > _MAX_INTEGER:
        row.inode -= 2**64  # stored as two's complement
