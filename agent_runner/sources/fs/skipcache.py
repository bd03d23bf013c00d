"""What an audit may skip: the mtime and subdirectories of each directory, as of the last audit the server called COMPLETE (R16).

A file of SQLite per AgentPipe. An audit reads the committed file and writes the next one beside it; `commit` puts it in place
in one step. It is bound to the leadership term, the mount and the filters: any other and it is not used.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
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
    """The pair of files of one AgentPipe. `bound`: text that must be equal for the committed one to count."""

    def __init__(self, directory: Path, bound: str) -> None:
        self.committed, self._next = directory / "skip.sqlite", directory / "skip.next.sqlite"
        self._bound = bound
        self.cycle = self._committed_cycle()
        self._connection: sqlite3.Connection | None = None

    @property
    def usable(self) -> bool:
        """True when a committed cache of this term, mount and filters exists."""
        return self.cycle > 0

    def _committed_cycle(self) -> int:
        if not self.committed.exists():
            return 0
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.committed}?mode=ro", uri=True)) as connection:
                found = connection.execute("SELECT what, cycle FROM bound").fetchone()
        except sqlite3.DatabaseError:
            # a broken cache only costs one full listing; the next commit replaces it
            return 0
        return int(found[1]) if found and found[0] == self._bound else 0

    def begin(self) -> None:
        """Starts the next cache, empty. Raises OSError or sqlite3.Error when the disk is full or not writable."""
        self._next.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self._next, isolation_level=None, check_same_thread=False)
        # built beside the committed file and put in place whole: a crash in between costs this file only
        self._connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _TABLES)
        self._connection.execute("INSERT INTO bound VALUES (?, ?)", (self._bound, self.cycle + 1))
        self._connection.execute("BEGIN")

    def add(self, closed: Iterable[Closed]) -> None:
        """Adds directories to the next cache."""
        assert self._connection is not None, "begin first"
        self._connection.executemany(
            "INSERT OR REPLACE INTO directories VALUES (?, ?, ?)",
            ((item.path, item.mtime_ns, item.subdirectories) for item in closed),
        )

    def commit(self) -> None:
        """Puts the next cache in place: call it only after the server said COMPLETE."""
        assert self._connection is not None, "begin first"
        self._connection.execute("COMMIT")
        self._connection.close()
        self._connection = None
        self._next.replace(self.committed)

    def discard(self) -> None:
        """Drops the next cache; the committed one stays what it was."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._next.unlink(missing_ok=True)

    def forget(self) -> None:
        """Drops both: the next audit lists everything."""
        self.discard()
        self.committed.unlink(missing_ok=True)
        self.cycle = 0
