"""Finding nodes by name or path with filters, in pages of bounded work; every kind of node (R46, R48).

Order and cursors are those of the flat tree: directories by path, each followed by its files by name.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from apps.views.models import Tree
from apps.views.queries import cursors, sql
from apps.views.queries.matching import Condition, Filters, Pattern, filter_condition
from apps.views.queries.nodes import DirectoryNode, Namer, Node
from fustor_schema import paths

# directories looked at by one statement: bounds how long the deadline can be overrun
SLICE_DIRECTORIES = 10_000
BUDGET_SECONDS = 5.0

_FILE_PATH = "(CASE d.path WHEN '/' THEN '' ELSE d.path END || '/' || f.name)"
# behind this: a directory with all its files (None), or with its files up to a name ("": the directory alone)
Position = tuple[str, str | None]
Placed = tuple[tuple[str, str], sql.Row]


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """What to look for, and below which path."""

    pattern: Pattern
    key: str = paths.ROOT
    filters: Filters = field(default_factory=Filters)

    @property
    def digest(self) -> str:
        """What a cursor of this question is bound to."""
        return cursors.question_of("search", self.pattern, self.key, self.filters)


class Hits(msgspec.Struct):
    """One page of hits, with their keys. With `next_cursor` and few hits: the time for one request was up, there may be more."""

    placed: list[tuple[str, Node | DirectoryNode]]
    next_cursor: str | None
    as_of_seq: int

    @property
    def nodes(self) -> list[Node | DirectoryNode]:
        """The hits."""
        return [node for _, node in self.placed]


def search(
    tree: Tree, question: SearchQuestion, cursor_text: str | None, limit: int, budget_seconds: float = BUDGET_SECONDS
) -> Hits:
    """At most `limit` hits from the cursor on. Raises Invalid, Gone."""
    cursor = cursors.resume(cursor_text, tree, question.digest)
    deadline = time.monotonic() + budget_seconds
    found: list[Placed] = []
    stopped_at: Position | None = None
    for low, last in _slices(tree, question.key, _position(cursor, question.key)):
        found += _hits_between(tree, question, low, last, limit + 1 - len(found))
        if len(found) > limit:
            stopped_at = found[limit - 1][0]
            break
        if last is not None and time.monotonic() > deadline:
            stopped_at = (last, None)
            break
    following = None if stopped_at is None else cursors.after(cursor, *(part for part in stopped_at if part is not None))
    return Hits(_nodes(tree, found[:limit]), following.text() if following else None, cursor.as_of_seq)


def _position(cursor: cursors.Cursor, key: str) -> Position:
    if not cursor.position:
        return (key, "")
    return (cursor.position[0], cursor.position[1] if len(cursor.position) > 1 else None)


def _slices(tree: Tree, key: str, low: Position) -> Iterator[tuple[Position, str | None]]:
    """(position to start behind, last directory to look into) over the subtree; last None: up to its end."""
    _, high = sql.below(key)
    while True:
        row = sql.fetch_one(
            f"SELECT path FROM {sql.DIRECTORY} WHERE tree_id = %s AND path > %s AND path < %s ORDER BY path LIMIT 1 OFFSET %s",
            (tree.pk, low[0], high, SLICE_DIRECTORIES),
        )
        yield low, None if row is None else row[0]
        if row is None:
            return
        low = (row[0], None)


def _hits_between(tree: Tree, question: SearchQuestion, low: Position, last: str | None, limit: int) -> list[Placed]:
    """Hits behind a position, up to and with a directory's files, in order."""
    found = _directory_hits(tree, question, low, last, limit) + _file_hits(tree, question, low, last, limit)
    return sorted(found, key=lambda hit: hit[0])[:limit]


def _directory_hits(tree: Tree, question: SearchQuestion, low: Position, last: str | None, limit: int) -> list[Placed]:
    filters = filter_condition(question.filters, "d", directories=True)
    if filters is None:
        return []
    # the root has no name, and only the scope itself is ever at the start position: it is no hit of its own search
    rows = _select(
        sql.columns(sql.DIRECTORY_COLUMNS, "d"),
        f"{sql.DIRECTORY} d",
        [
            _until(question.key, last),
            _inside(question.key),
            Condition("d.path > %s", (low[0],)),
            question.pattern.condition("d.name", "d.path"),
            filters,
        ],
        "d.path",
        tree,
        limit,
    )
    return [((row[1], ""), row) for row in rows]


def _file_hits(tree: Tree, question: SearchQuestion, low: Position, last: str | None, limit: int) -> list[Placed]:
    filters = filter_condition(question.filters, "f", directories=False)
    if filters is None:
        return []
    path, name = low
    behind = Condition("d.path > %s", (path,))
    if name is not None:
        behind = Condition("(d.path > %s OR (d.path = %s AND f.name > %s))", (path, path, name))
    rows = _select(
        sql.columns(sql.FILE_COLUMNS, "f") + ", d.path",
        f"{sql.DIRECTORY} d CROSS JOIN {sql.FILE} f",
        [
            Condition("f.directory_id = d.id AND d.path >= %s", (path,)),
            _until(question.key, last),
            _inside(question.key),
            behind,
            question.pattern.condition("f.name", _FILE_PATH),
            filters,
        ],
        "d.path, f.name",
        tree,
        limit,
    )
    return [((row[-1], row[1]), row) for row in rows]


def _until(key: str, last: str | None) -> Condition:
    return Condition("d.path < %s", (sql.below(key)[1],)) if last is None else Condition("d.path <= %s", (last,))


def _inside(key: str) -> Condition:
    """In the scope: a sibling such as `/a-b` sorts between `/a` and `/a/`."""
    return Condition("(d.path = %s OR d.path > %s)", (key, sql.below(key)[0]))


def _select(columns: str, tables: str, conditions: list[Condition], order: str, tree: Tree, limit: int) -> list[sql.Row]:
    where = " AND ".join(condition.text for condition in conditions)
    params = [param for condition in conditions for param in condition.params]
    return sql.fetch(
        f"SELECT {columns} FROM {tables} WHERE d.tree_id = %s AND {where} ORDER BY {order} LIMIT %s",
        (tree.pk, *params, limit),
    )


def _nodes(tree: Tree, found: list[Placed]) -> list[tuple[str, Node | DirectoryNode]]:
    namer = Namer(tree)
    rows = [(place, row if place[1] == "" else row[:-1]) for place, row in found]
    namer.learn([row for _, row in rows])
    return [_named(namer, directory, name, row) for (directory, name), row in rows]


def _named(namer: Namer, directory: str, name: str, row: sql.Row) -> tuple[str, Node | DirectoryNode]:
    if name == "":
        return directory, namer.directory(row)
    key = paths.join(directory, name)
    return key, namer.file(key, row)
