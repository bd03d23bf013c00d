"""The database of a test server: a SQLite file under its home, or one on the cluster of TEST_DATABASE_URL."""

import os
import subprocess
from collections.abc import Mapping
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
        """Create and migrate it."""
        if self._cluster:
            self._on_cluster(sql.SQL("CREATE DATABASE {}"))
        done = subprocess.run(
            programs.management("migrate", "--verbosity", "0"), env=dict(environment), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def drop(self) -> None:
        """Remove it from the cluster; a SQLite file goes with its home."""
        if self._cluster:
            self._on_cluster(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"))

    def _on_cluster(self, statement: sql.SQL) -> None:
        with psycopg.connect(self._cluster, autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(self.name)))
