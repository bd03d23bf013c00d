"""Finding nodes by name or path with filters, in pages of bounded work; every kind of node (R46, R48).

Order and cursors are those of the flat tree: directories by path, each followed by its files by name. A text of three characters or
more is looked up in the name index; what that cannot tell is read in the order of the tree, which finds common texts early.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgspec

from apps.views.models import Tree
from apps.views.queries import candidates, cursors, sql
from apps.views.queries.matching import Condition, Filters, Pattern, filter_condition
from apps.views.queries.nodes import DirectoryNode, Namer, Node
from fustor_schema import paths

# directories looked at by one statement: a common text is found in the first few; the most bounds how long the deadline can be
# overrun
FIRST_SLICE_DIRECTORIES, MOST_SLICE_DIRECTORIES = 200, 10_000
SLICE_GROWTH = 4
BUDGET_SECONDS = 5.0
SPANS_PER_STATEMENT = 1_000
# more hits are read in order, page by page
MOST_INDEXED_HITS = 10_000

_FILE_PATH = "(CASE d.path WHEN '/' THEN '' ELSE d.path END || '/' || f.name)"
# behind this: a directory with all its files (None), or with its files up to a name ("": the directory alone)
Position = tuple[str, str | None]
Placed = tuple[tuple[str, str], sql.Row]
# spans of the index, and how a row lies in one
Among = tuple[Condition, Condition] | None


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

    def narrowed(self) -> "SearchQuestion":
        """The same, looking only where a pattern on paths can have hits."""
        within = self.pattern.directory()
        return replace(self, key=within) if paths.is_within(within, self.key) else self


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
    question = question.narrowed()
    start = _position(cursor, question.key)
    found, left = _by_index(tree, question, start, limit)
    stopped_at = None
    if left is not None and len(found) <= limit:
        more, stopped_at = _in_order(tree, question, left, limit - len(found), budget_seconds)
        found += more
    if len(found) > limit:
        stopped_at = found[limit - 1][0]
    following = None if stopped_at is None else cursors.after(cursor, *(part for part in stopped_at if part is not None))
    return Hits(_nodes(tree, found[:limit]), following.text() if following else None, cursor.as_of_seq)


def _by_index(tree: Tree, question: SearchQuestion, start: Position, limit: int) -> tuple[list[Placed], Position | None]:
    """Hits behind a position, all that the index can tell, and the position from which on it cannot; None: it told all."""
    known = candidates.find(tree, question.pattern.texts(), limit)
    if known is None or (known.until is not None and known.until < start[0]):
        return [], start
    found = _among(tree, question, start, known.spans)
    if found is None:
        return [], start
    if known.until is None or known.until >= sql.below(question.key)[1]:
        return sorted(found.items()), None
    return sorted(hit for hit in found.items() if hit[0][0] <= known.until), max(start, (known.until, None), key=_place)


def _place(position: Position) -> tuple[str, bool, str]:
    """So that a directory with all its files comes behind every file in it."""
    return position[0], position[1] is None, position[1] or ""


def _among(
    tree: Tree, question: SearchQuestion, start: Position, spans: list[candidates.Span]
) -> dict[tuple[str, str], sql.Row] | None:
    """The hits in these spans; None when there are too many of them."""
    found: dict[tuple[str, str], sql.Row] = {}
    for some in sql.chunked(spans, SPANS_PER_STATEMENT):
        among = Condition(sql.spans(), tuple(sql.bound_spans(some)))
        files = Condition("f.directory_id = c.directory_id AND f.name >= c.first AND f.name <= c.last", ())
        found.update(_file_hits(tree, question, start, None, MOST_INDEXED_HITS, (among, files)))
        directories = Condition("d.parent_id = c.directory_id AND d.name >= c.first AND d.name <= c.last", ())
        found.update(_directory_hits(tree, question, start, None, MOST_INDEXED_HITS, (among, directories)))
        if len(found) >= MOST_INDEXED_HITS:
            return None
    return found


def _in_order(
    tree: Tree, question: SearchQuestion, start: Position, limit: int, budget_seconds: float
) -> tuple[list[Placed], Position | None]:
    """Hits behind a position, one more than `limit` when there are; and where the time was up."""
    deadline = time.monotonic() + budget_seconds
    found: list[Placed] = []
    for low, last in _slices(tree, question.key, start):
        found += _hits_between(tree, question, low, last, limit + 1 - len(found))
        if len(found) > limit:
            break
        if last is not None and time.monotonic() > deadline:
            return found, (last, None)
    return found, None


def _position(cursor: cursors.Cursor, key: str) -> Position:
    if not cursor.position:
        return (key, "")
    return (cursor.position[0], cursor.position[1] if len(cursor.position) > 1 else None)


def _slices(tree: Tree, key: str, low: Position) -> Iterator[tuple[Position, str | None]]:
    """(position to start behind, last directory to look into) over the subtree; last None: up to its end."""
    _, high = sql.below(key)
    size = FIRST_SLICE_DIRECTORIES
    while True:
        row = sql.fetch_one(
            f"SELECT path FROM {sql.DIRECTORY} WHERE tree_id = %s AND path > %s AND path < %s ORDER BY path LIMIT 1 OFFSET %s",
            (tree.pk, low[0], high, size),
        )
        yield low, None if row is None else row[0]
        if row is None:
            return
        low = (row[0], None)
        size = min(MOST_SLICE_DIRECTORIES, size * SLICE_GROWTH)


def _hits_between(tree: Tree, question: SearchQuestion, low: Position, last: str | None, limit: int) -> list[Placed]:
    """Hits behind a position, up to and with a directory's files, in order."""
    found = _directory_hits(tree, question, low, last, limit) + _file_hits(tree, question, low, last, limit)
    return sorted(found, key=lambda hit: hit[0])[:limit]


def _directory_hits(
    tree: Tree, question: SearchQuestion, low: Position, last: str | None, limit: int, among: Among = None
) -> list[Placed]:
    filters = filter_condition(question.filters, "d", directories=True)
    if filters is None:
        return []
    spans, placed = among or (None, Condition("1 = 1", ()))
    rows = _select(
        sql.columns(sql.DIRECTORY_COLUMNS, "d"),
        spans,
        f"{sql.DIRECTORY} d",
        # the scope itself stands at the start position: it is no hit of its own search
        [
            _until(question.key, last),
            _inside(question.key),
            Condition("d.path > %s", (low[0],)),
            placed,
            question.pattern.condition("d.name", "d.path"),
            filters,
        ],
        "d.path",
        tree,
        limit,
    )
    return [((row[1], ""), row) for row in rows]


def _file_hits(
    tree: Tree, question: SearchQuestion, low: Position, last: str | None, limit: int, among: Among = None
) -> list[Placed]:
    filters = filter_condition(question.filters, "f", directories=False)
    if filters is None:
        return []
    path, name = low
    behind = Condition("d.path > %s", (path,))
    if name is not None:
        behind = Condition("(d.path > %s OR (d.path = %s AND f.name > %s))", (path, path, name))
    spans, placed = among or (None, Condition("1 = 1", ()))
    # with spans: from the span to its files to their directory; without: from the directory to its files
    tables = f"{sql.DIRECTORY} d CROSS JOIN {sql.FILE} f" if among is None else f"{sql.FILE} f CROSS JOIN {sql.DIRECTORY} d"
    rows = _select(
        sql.columns(sql.FILE_COLUMNS, "f") + ", d.path",
        spans,
        tables,
        [
            Condition("f.directory_id = d.id AND d.path >= %s", (path,)),
            _until(question.key, last),
            _inside(question.key),
            behind,
            placed,
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


def _select(
    columns: str, spans: Condition | None, tables: str, conditions: list[Condition], order: str, tree: Tree, limit: int
) -> list[sql.Row]:
    where = " AND ".join(condition.text for condition in conditions)
    params = [param for condition in conditions for param in condition.params]
    first = "" if spans is None else f"{spans.text} CROSS JOIN "
    return sql.fetch(
        f"SELECT {columns} FROM {first}{tables} WHERE d.tree_id = %s AND {where} ORDER BY {order} LIMIT %s",
        (*(spans.params if spans else ()), tree.pk, *params, limit),
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
