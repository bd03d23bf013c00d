"""The database of a test server: a SQLite file under its home, or one on the cluster of TEST_DATABASE_URL."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from fustor_site.supervisor import programs


class ServerDatabase:
    """Made before the server starts, dropped after it ended."""

    def __init__(self, home: Path) -> None:
        self._cluster = os.environ.get("TEST_DATABASE_URL", "")
        if self._cluster:
            self.name = f"server_{home.name.replace('-', '_').lower()}"
            self.url = urlunsplit(urlsplit(self._cluster)._replace(path=f"/{self.name}"))
        else:
            self.name = str(home / "fustor.sqlite3")
            self.url = f"sqlite:///{self.name}"

    def create(self, environment: Mapping[str, str]) -> None:
        """Create and migrate it. SQLite files are copies of one that each test process migrates once."""
        if self._cluster:
            self._on_cluster(sql.SQL("CREATE DATABASE {}"))
            _migrate(environment)
            return
        pattern = Path(os.environ["FUSTOR_HOME"]) / "server-pattern.sqlite3"
        if pattern.exists():
            shutil.copyfile(pattern, self.name)
            return
        _migrate(environment)
        with closing(sqlite3.connect(self.name)) as made, closing(sqlite3.connect(pattern)) as copy:
            made.backup(copy)

    def drop(self) -> None:
        """Remove it from the cluster; a SQLite file goes with its home."""
        if self._cluster:
            self._on_cluster(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"))

    def _on_cluster(self, statement: sql.SQL) -> None:
        with psycopg.connect(self._cluster, autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(self.name)))


def _migrate(environment: Mapping[str, str]) -> None:
    command = programs.management("migrate", "--verbosity", "0")
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
