"""Is the SQLite file sound? A look at every start (scenario 156), a whole check on demand. PostgreSQL has checks of its own.

SQLite keeps no checksums: what is found is a damaged structure (pages, indexes, row formats), not one wrong letter in a name.
"""

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

_MOST_LINES = 10
_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine; a few milliseconds


class Finding(NamedTuple):
    """`damage`: what is wrong, in SQLite's words; nothing when all is well. `complete`: the whole file was looked at."""

    damage: list[str]
    complete: bool


def check(database: Path, seconds: float | None = None) -> Finding:
    """Look at the structure of a database file, for so many seconds at most (None: to the end, indexes included)."""
    if not database.exists() or not database.stat().st_size:
        return Finding([], complete=True)
    pragma = "integrity_check" if seconds is None else "quick_check"
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
            if deadline is not None:
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
            lines = [row[0] for row in connection.execute(f"PRAGMA {pragma}({_MOST_LINES})")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return Finding([], complete=False)
        return Finding([str(error)], complete=True)
    return Finding([] if lines == ["ok"] else lines, complete=True)
