"""The `tree` answer: nested and written as it is walked (protocol V2), or flat pages with a stable cursor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from apps.views.models import Tree
from apps.views.queries import cursors, lookup, sql, walk
from apps.views.queries.nodes import DirectoryNode, Namer, Node
from fustor_schema import paths

encode = msgspec.json.encode
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class TreeQuestion:
    """What of the tree is asked. `max_depth` 0: the node alone; None: everything below it."""

    key: str
    max_depth: int | None
    only_path: bool = False

    @property
    def digest(self) -> str:
        """What a cursor of this question is bound to."""
        return cursors.question_of("tree", self.key, self.max_depth, self.only_path)


class Outline(msgspec.Struct, omit_defaults=True, gc=False):
    """A node with `only_path`."""

    name: str
    content_type: str
    path: str
    path_b64: str | None = None


class Page(msgspec.Struct):
    """One page of a subtree: `children` are nodes below the top, flat, in path order of their directories."""

    children: list[Node | Outline]
    next_cursor: str | None
    as_of_seq: int


def written(tree: Tree, question: TreeQuestion, extra: dict[str, Any], top: sql.Row | None) -> Iterator[bytes]:
    """The JSON of the node at the path, its subtree nested in `children`, in chunks. Raises NotFound.

    `extra` goes on the top; `top` is the directory's row, if the path is one.
    """
    if top is None:
        node = shown(lookup.node_at(tree, question.key), question)
        return iter([_opened(node, extra) + b"}"])
    writer = _Writer(tree, question, extra)
    visits = walk.directories(tree, top, question.max_depth)
    return _in_chunks(writer.pieces(walk.with_files(visits)))


class _Writer:
    """Writes nested nodes. `_open[level]`: whether the directory open at that level has a child already."""

    def __init__(self, tree: Tree, question: TreeQuestion, extra: dict[str, Any]) -> None:
        self._namer, self._question, self._extra = Namer(tree), question, extra
        self._open: list[bool] = []

    def pieces(self, visits: Iterator[tuple[walk.Visit, Iterator[list[Any]]]]) -> Iterator[bytes]:
        for visit, chunks in visits:
            yield self._up_to(visit.level)
            self._namer.learn([visit.row])
            node = shown(self._namer.directory(visit.row), self._question)
            yield self._separator() + _opened(node, self._extra if visit.level == 0 else {})
            if not visit.listed:
                yield b"}"
                continue
            yield b',"children":['
            self._open.append(False)
            for rows in chunks:
                nodes = [shown(node, self._question) for node in self._namer.files(visit.row[1], rows)]
                yield self._separator() + encode(nodes)[1:-1]
        yield self._up_to(0)

    def _up_to(self, level: int) -> bytes:
        """Close what is open below a level."""
        closing = len(self._open) - level
        del self._open[level:]
        return b"]}" * closing

    def _separator(self) -> bytes:
        if not self._open:
            return b""
        first, self._open[-1] = not self._open[-1], True
        return b"" if first else b","


def page(tree: Tree, question: TreeQuestion, cursor_text: str | None, limit: int) -> Page:
    """At most `limit` nodes below the path, from the cursor on. Raises NotFound, Invalid, Gone (R46).

    Order: directories by path, each followed by its files by name. What was there all the time is in exactly one page.
    """
    cursor = cursors.resume(cursor_text, tree, question.digest)
    top = lookup.directory_row(tree, question.key)
    if top is None:
        lookup.node_at(tree, question.key)
        return Page([], None, cursor.as_of_seq)
    found = list(islice(_flat(tree, question, top, cursor.position), limit + 1))
    children = [shown(node, question) for node, _ in found[:limit]]
    more = len(found) > limit
    return Page(children, cursors.after(cursor, *found[limit - 1][1]).text() if more else None, cursor.as_of_seq)


def _flat(
    tree: Tree, question: TreeQuestion, top: sql.Row, position: Sequence[str]
) -> Iterator[tuple[Node | DirectoryNode, tuple[str, str]]]:
    """Nodes below the top behind a position (directory, last file of it), each with its own position."""
    namer = Namer(tree)
    key, after = position or (top[1], "")
    resumed = top if key == top[1] else lookup.directory_row(tree, key)
    if resumed is not None and _lists_files(key, question):
        for rows in lookup.all_files_of(resumed[0], walk.GROUP_FILES, after):
            yield from _placed_files(namer, key, rows)
    for visit, chunks in walk.with_files(_following(tree, question, top, key)):
        namer.learn([visit.row])
        yield namer.directory(visit.row), (visit.row[1], "")
        for rows in chunks:
            yield from _placed_files(namer, visit.row[1], rows)


def _placed_files(namer: Namer, directory: str, rows: Sequence[sql.Row]) -> Iterator[tuple[Node, tuple[str, str]]]:
    for node, row in zip(namer.files(directory, rows), rows, strict=True):
        yield node, (directory, row[1])


def _following(tree: Tree, question: TreeQuestion, top: sql.Row, after: str) -> Iterator[walk.Visit]:
    """The directories of the subtree behind a path, in path order, as deep as asked."""
    after = "" if after == top[1] else after
    while rows := lookup.directories_below(tree, question.key, after, walk.GROUP_DIRECTORIES, question.max_depth):
        for row in rows:
            yield walk.Visit(row, 0, listed=_lists_files(row[1], question))
        after = rows[-1][1]


def _lists_files(directory: str, question: TreeQuestion) -> bool:
    return question.max_depth is None or paths.depth(directory) - paths.depth(question.key) < question.max_depth


def shown(node: Node | DirectoryNode, question: TreeQuestion) -> Node | Outline:
    """The node as the question wants it."""
    return Outline(node.name, node.content_type, node.path, node.path_b64) if question.only_path else node


def with_fields(node: Node | Outline, extra: dict[str, Any]) -> msgspec.Raw:
    """The JSON of a node with more fields, ready to be encoded."""
    return msgspec.Raw(_opened(node, extra) + b"}")


def _opened(node: Node | Outline, extra: dict[str, Any]) -> bytes:
    """The JSON of a node without its closing brace, so that more fields can follow."""
    opened = encode(node)[:-1]
    return opened + b"," + encode(extra)[1:-1] if extra else opened


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces worth sending."""
    buffer, size = [], 0
    for piece in pieces:
        buffer.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(buffer)
            buffer, size = [], 0
    if buffer:
        yield b"".join(buffer)
