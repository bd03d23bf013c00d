"""SQLite only: copies what was committed from the write-ahead log into the database file beside the ingestion.

Left to itself SQLite does that in the commit that finds the log long, and a batch then waits for the disk: a second on a slow one.
Started by asgi. A process that does not start it still finds SQLite's own checkpoints, at the length that settings name.
"""

import contextlib
import sqlite3
import threading
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

EVERY_SECONDS = 0.5


def start(database: Path, every_seconds: float = EVERY_SECONDS) -> threading.Event:
    """Keep the log of a database short from a thread of its own, until the returned event is set."""
    stop = threading.Event()
    threading.Thread(target=_run, args=(database, every_seconds, stop), name="checkpoints", daemon=True).start()
    return stop


def _run(database: Path, every_seconds: float, stop: threading.Event) -> None:
    while not stop.wait(every_seconds):
        try:
            with contextlib.closing(_connect(database)) as connection:
                while not stop.wait(every_seconds):
                    checkpoint(connection)
        except sqlite3.Error as error:  # a full disk, or a file that is being replaced: the next round tries again
            log.warning("the write-ahead log was not copied into the database", database=str(database), error=str(error))


def _connect(database: Path) -> sqlite3.Connection:
    # never make the file, nor wait for a lock: whoever holds it is doing this work
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)


def checkpoint(connection: sqlite3.Connection) -> tuple[int, int]:
    """One pass that holds up nobody: (pages in the log, pages of it that are in the database now). Raises sqlite3.Error."""
    _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return pages, copied
