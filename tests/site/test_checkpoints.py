"""The write-ahead log of SQLite is emptied beside the writers."""

import sqlite3
import time
from pathlib import Path

from fustor_site import checkpoints
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until

PAGES = 50


def written(path: Path) -> sqlite3.Connection:
    """A database whose own checkpoints are off, with something in its log."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_SECONDS)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,) for _ in range(PAGES)])
    return connection


def test_a_pass_copies_the_log_while_a_writer_is_in_the_middle_of_a_transaction(tmp_path: Path) -> None:
    path = tmp_path / "db"
    writer = written(path)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t VALUES (1)")
    pages, copied = checkpoints.checkpoint(sqlite3.connect(path, timeout=0))
    assert pages == copied > PAGES
    writer.execute("COMMIT")


def test_the_thread_goes_on_until_it_is_stopped_and_waits_for_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "db"
    stop = checkpoints.start(path, every_seconds=0.01)
    time.sleep(0.05)
    assert not path.exists(), "it makes no database"
    writer = written(path)
    try:
        wait_until(lambda: path.stat().st_size > PAGES * 4096, PATIENCE_SECONDS, "everything to be in the database file")
    finally:
        stop.set()
    writer.close()
