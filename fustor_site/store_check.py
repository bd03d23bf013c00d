"""Is the SQLite file sound? A look at every start (scenario 156), a whole check on demand. PostgreSQL has checks of its own.

SQLite keeps no checksums: what is found is a damaged structure (pages, indexes, row formats), not one wrong letter in a name.
"""

import contextlib
import functools
import itertools
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_MOST_LINES, _ALL_LINES = 10, 2**31 - 1
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
            # as many lines as there are: those that say nothing would hide the others behind a limit
            said = (line for (line,) in connection.execute(f"PRAGMA {pragma}({_ALL_LINES})") if line != "ok")
            lines = list(itertools.islice(_meant(connection, said), _MOST_LINES))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return Finding([], complete=False)
        return Finding([str(error)], complete=True)
    return Finding(lines, complete=True)


def _meant(connection: sqlite3.Connection, lines: Iterable[str]) -> Iterator[str]:
    """The lines without those that some versions of SQLite (3.40) write of every row of a sound table WITHOUT ROWID."""
    if not _says_null_of_sound_rows():
        yield from lines
        return
    keyed = {name for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE wr = 1")}
    for line in lines:
        table = line.removeprefix("NULL value in ").partition(".")[0]
        if not (line.startswith("NULL value in ") and table in keyed):
            yield line


@functools.cache
def _says_null_of_sound_rows() -> bool:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (b)) WITHOUT ROWID")
        connection.execute("INSERT INTO t VALUES (1, 1)")
        answer: tuple[str] = connection.execute("PRAGMA quick_check").fetchone()
        return answer[0] != "ok"
