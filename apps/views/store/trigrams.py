"""The trigram index of names in either database. Called by apps.views.names (writing) and queries.candidates (reading).

SQLite: one contentless FTS5 table per tree, made when its index is begun; its rows have the ids of the name chunks. It can only
grow, so an index that holds much that is gone is begun anew. PostgreSQL: pg_trgm over the names of the chunks, when it is
installed. A database without either is searched plainly.
"""

import functools
import sqlite3
from collections.abc import Sequence
from typing import Protocol

from django.db import connection

from apps.views.models import NameChunk
from apps.views.store.dialect import execute, query

CHUNK = NameChunk._meta.db_table
MOST_TRIGRAMS = 24


class Trigrams(Protocol):
    """What an index of names can do."""

    @property
    def installed(self) -> bool:
        """Whether the database has what it takes."""
        ...

    def begin(self, tree_id: int) -> None:
        """An empty index for a tree, whatever there was."""
        ...

    def add(self, tree_id: int, chunks: Sequence[tuple[int, list[str]]]) -> None:
        """Add sorted names of directories: (directory id, names)."""
        ...

    def matching(self, tree_id: int, texts: Sequence[str], limit: int) -> list[int]:
        """Ids of at most `limit` chunks that may hold a name with all these texts (of three characters or more), in any case."""
        ...

    def forget(self, tree_id: int) -> None:
        """Remove a tree's index."""
        ...


class SqliteTrigrams:
    """FTS5 with the trigram tokenizer (SQLite 3.34)."""

    @property
    def installed(self) -> bool:
        """Whether this SQLite was built with FTS5 and is new enough."""
        return sqlite3.sqlite_version_info >= (3, 34) and bool(query("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"))

    def begin(self, tree_id: int) -> None:
        """Drop the table and make it anew."""
        self.forget(tree_id)
        execute(
            f"CREATE VIRTUAL TABLE {self._table(tree_id)} "
            "USING fts5(names, content='', detail=none, columnsize=0, tokenize='trigram')"
        )

    def add(self, tree_id: int, chunks: Sequence[tuple[int, list[str]]]) -> None:
        """Chunks get their ids here; the text goes into the FTS table alone."""
        made = NameChunk.objects.bulk_create(
            NameChunk(tree_id=tree_id, directory_id=directory, first=names[0], last=names[-1]) for directory, names in chunks
        )
        rows = [(chunk.pk, "/".join(names)) for chunk, (_, names) in zip(made, chunks, strict=True)]
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {self._table(tree_id)} (rowid, names) VALUES (%s, %s)", rows)

    def matching(self, tree_id: int, texts: Sequence[str], limit: int) -> list[int]:
        """All trigrams of all texts must be in the chunk; without positions in the index, that is as much as it can tell."""
        wanted = {text[start : start + 3] for text in texts for start in range(len(text) - 2)}
        match = " ".join('"' + trigram.replace('"', '""') + '"' for trigram in sorted(wanted)[:MOST_TRIGRAMS])
        table = self._table(tree_id)
        rows = query(f"SELECT rowid FROM {table} WHERE {table} MATCH %s LIMIT %s", (match, limit))
        return [row[0] for row in rows]

    def forget(self, tree_id: int) -> None:
        """Drop the table."""
        execute(f"DROP TABLE IF EXISTS {self._table(tree_id)}")
        NameChunk.objects.filter(tree_id=tree_id).delete()

    def _table(self, tree_id: int) -> str:
        return f"fustor_views_names_{tree_id}"


class PostgresTrigrams:
    """pg_trgm; the GIN index comes with the migration."""

    @property
    def installed(self) -> bool:
        """Whether the migration could install the extension."""
        return bool(query("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'"))

    def begin(self, tree_id: int) -> None:
        """Remove the tree's chunks."""
        self.forget(tree_id)

    def add(self, tree_id: int, chunks: Sequence[tuple[int, list[str]]]) -> None:
        """The names go with the chunks."""
        NameChunk.objects.bulk_create(
            NameChunk(tree_id=tree_id, directory_id=directory, first=names[0], last=names[-1], names="/".join(names))
            for directory, names in chunks
        )

    def matching(self, tree_id: int, texts: Sequence[str], limit: int) -> list[int]:
        """The index narrows, the text itself decides."""
        conditions = " AND ".join("names ILIKE %s" for _ in texts)
        rows = query(
            # "+ 0": the planner takes ILIKE for cheap, and would rather read every chunk of the tree by the index on tree_id
            f"SELECT id FROM {CHUNK} WHERE {conditions} AND tree_id + 0 = %s LIMIT %s",
            (*(_like(text) for text in texts), tree_id, limit),
        )
        return [row[0] for row in rows]

    def forget(self, tree_id: int) -> None:
        """Remove the tree's chunks."""
        NameChunk.objects.filter(tree_id=tree_id).delete()


def _like(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return f"%{text}%"


def trigrams() -> Trigrams:
    """The index of the default database."""
    return SqliteTrigrams() if connection.vendor == "sqlite" else PostgresTrigrams()


@functools.cache
def are_installed() -> bool:
    """Whether names can be indexed in the default database; looked up once per process."""
    return trigrams().installed
