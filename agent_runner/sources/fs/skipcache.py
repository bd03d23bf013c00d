"""What an audit may skip: the mtime and subdirectories of each directory, as of the last audit the server called COMPLETE (R16).

A file of SQLite per AgentPipe. An audit reads the committed file and writes the next one beside it; `commit` puts it in place
in one step. It is bound to the leadership term, the mount and the filters: any other and it is not used.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from agent_runner.sources.fs.frames import Closed

_TABLES = """
CREATE TABLE directories (path BLOB PRIMARY KEY, mtime_ns INTEGER NOT NULL, subdirectories BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE bound (what TEXT NOT NULL, cycle INTEGER NOT NULL);
"""


class CommittedCache:
    """Read side, opened by each listing process."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)

    def get(self, directory: bytes) -> Closed | None:
        """What is known of a directory, or None."""
        found = self._connection.execute("SELECT mtime_ns, subdirectories FROM directories WHERE path = ?", (directory,)).fetchone()
        return Closed(directory, *found) if found else None


class SkipCache:
    """The files of one AgentPipe. `bound`: text that must be equal for the committed one to count."""

    def __init__(self, directory: Path, bound: str) -> None:
        self.committed = directory / "skip.sqlite"
        self.resumable = directory / "skip.resume.sqlite"
        self._next = directory / "skip.next.sqlite"
        self._bound = bound
        self.cycle = _cycle_of(self.committed, bound)
        self._connection: sqlite3.Connection | None = None

    @property
    def usable(self) -> bool:
        """True when a committed cache of this term, mount and filters exists."""
        return self.cycle > 0

    def begin(self, job_id: str) -> bool:
        """Starts the next cache, empty. True: an earlier attempt of the same job left one, now at `resumable`; what it holds was
        listed and committed. Raises OSError or sqlite3.Error when the disk is full or not writable."""
        bound = f"{self._bound}|{job_id}"
        resumes = _cycle_of(self._next, bound) > 0
        if resumes:
            self._next.replace(self.resumable)
        self._next.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self._next, isolation_level=None, check_same_thread=False)
        # survives the end of this process at any moment; after a power failure it is found broken and dropped
        self._connection.executescript("PRAGMA synchronous=OFF;" + _TABLES)
        self._connection.execute("INSERT INTO bound VALUES (?, ?)", (bound, self.cycle + 1))
        return resumes

    def add(self, closed: Sequence[Closed]) -> None:
        """Adds directories whose rows are committed."""
        assert self._connection is not None, "begin first"
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT OR REPLACE INTO directories VALUES (?, ?, ?)",
            ((item.path, item.mtime_ns, item.subdirectories) for item in closed),
        )
        self._connection.execute("COMMIT")

    def commit(self) -> None:
        """Puts the next cache in place: call it only after the server said COMPLETE."""
        assert self._connection is not None, "begin first"
        self._connection.execute("UPDATE bound SET what = ?", (self._bound,))
        self._close()
        self._next.replace(self.committed)
        self.resumable.unlink(missing_ok=True)

    def suspend(self) -> None:
        """Leaves the next cache for another attempt of the same job."""
        self._close()

    def discard(self) -> None:
        """Drops the next cache; the committed one stays what it was."""
        self._close()
        self._next.unlink(missing_ok=True)
        self.resumable.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _cycle_of(path: Path, bound: str) -> int:
    """The cycle of a cache file; 0 when it is not there, is broken, or is bound to something else."""
    if not path.exists():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT what, cycle FROM bound").fetchone()
    except sqlite3.DatabaseError:
        # a broken cache only costs one full listing; the next commit replaces it
        return 0
    return int(found[1]) if found and found[0] == bound else 0
