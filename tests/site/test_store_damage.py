"""Scenario 156: a damaged database file is found at the start, and there is a way out that loses nothing that people entered."""

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from fustor_site import store_check
from fustor_site.supervisor import programs
from tests.blackbox.processes import PATIENCE_SECONDS

CONFIGURATION = """
receivers: {main: {driver: http}}
views: {research: {driver: fs}}
pipes: {research: {receiver: main, views: [research]}}
"""


class Home:
    """A home of its own, worked on with management commands as its operator would."""

    def __init__(self, path: Path) -> None:
        self.path, self.database = path, path / "fustor.sqlite3"
        others = {name: value for name, value in os.environ.items() if not name.startswith(("FUSTOR_", "DJANGO_", "DATABASE_"))}
        self.environment = others | {"FUSTOR_HOME": str(path)}

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Both outputs of a command that must end with this code."""
        done = subprocess.run(
            programs.management(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def damage(self, table: str) -> None:
        """Write garbage over the first page of a table."""
        with sqlite3.connect(self.database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        with self.database.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A configured installation that has never run."""
    made = Home(tmp_path / "home")
    made.path.mkdir()
    made.manage("migrate", "--verbosity", "0")
    written = tmp_path / "fustor.yaml"
    written.write_text(CONFIGURATION)
    made.manage("import_config", str(written))
    return made


def test_s156_damage_is_said_at_the_start_and_rebuilding_keeps_what_people_entered(home: Home) -> None:
    before = home.manage("export_config")
    home.manage("check_store")
    home.damage("fustor_views_file")
    said = home.manage("up", "--no-agent", "--port", "1", code=1)
    assert "damaged" in said
    assert "rebuild_store" in said
    assert "damaged" in home.manage("check_store", code=1)
    told = home.manage("rebuild_store", "--yes")
    assert "fustor_pipes_revision: 1 rows" in told
    assert list(home.path.glob("*.damaged-*")), "the damaged file is kept"
    assert "sound" in home.manage("check_store")
    assert home.manage("export_config") == before


def test_a_table_that_cannot_be_read_is_named_and_the_others_are_kept(home: Home) -> None:
    home.damage("fustor_pipes_revision")
    told = home.manage("rebuild_store", "--yes")
    assert "fustor_pipes_revision: 0 rows, then: " in told
    assert "research" in home.manage("export_config")


@pytest.mark.parametrize("seconds", [60.0, None])
def test_a_sound_store_that_holds_files_is_sound(tmp_path: Path, seconds: float | None) -> None:
    """Regression: SQLite 3.40 says of every row of a table WITHOUT ROWID that it holds NULL, and no server with files started."""
    database = tmp_path / "db"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "CREATE TABLE f (size INT NOT NULL, name TEXT NOT NULL, d INT NOT NULL, PRIMARY KEY (d, name)) WITHOUT ROWID"
        )
        connection.executemany("INSERT INTO f VALUES (1, ?, 1)", [(f"{number}",) for number in range(5000)])
        connection.execute("CREATE TABLE other (x TEXT)")
        connection.execute("INSERT INTO other VALUES (?)", ("x" * 100,))
        connection.execute("CREATE INDEX by_x ON other (x)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'by_x'").fetchone()
    assert store_check.check(database, seconds) == ([], True)
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    damage, _ = store_check.check(database, seconds)
    assert damage
    assert "NULL" not in "".join(damage)


def test_a_look_is_given_up_when_its_time_is_over(tmp_path: Path) -> None:
    database = tmp_path / "db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"{number:0100d}",) for number in range(50_000)])
    assert store_check.check(database, 0.0) == ([], False)
    assert store_check.check(database, 60.0) == ([], True)
    assert store_check.check(tmp_path / "none", 1.0) == ([], True)
