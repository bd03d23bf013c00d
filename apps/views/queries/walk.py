"""Walking a subtree without recursion and without holding it in memory: directories in order, files in bounded reads.

The nested `tree` answer is written by this walk as it goes, so its size costs time and never memory (R46).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.views.models import Tree
from apps.views.queries import lookup, sql
from fustor_schema import paths

# a subtree with no more directories than this is read in one statement and ordered in memory
BULK_DIRECTORIES = 5_000
GROUP_DIRECTORIES = 200
GROUP_FILES = 2_000


@dataclass(frozen=True, slots=True)
class Visit:
    """A directory met on the walk. `listed` False: the depth ends here, its content is not shown."""

    row: sql.Row
    level: int
    listed: bool


def directories(tree: Tree, top: sql.Row, max_depth: int | None) -> Iterator[Visit]:
    """The directories of a subtree, parents before children, siblings by name; the top itself first, at level 0."""
    pending = [(top, 0)]
    while pending:
        row, level = pending.pop()
        left = None if max_depth is None else max_depth - level
        if left is not None and left <= 0:
            yield Visit(row, level, listed=False)
        elif row[4] <= BULK_DIRECTORIES and left != 1:
            yield from _whole(tree, row, level, max_depth)
        else:
            yield Visit(row, level, listed=True)
            pending.extend((child, level + 1) for child in reversed(lookup.subdirectories(row[0])))


def _whole(tree: Tree, top: sql.Row, level: int, max_depth: int | None) -> Iterator[Visit]:
    """A small subtree: one statement. More directories than the totals say may have come since; they end the read early."""
    below = lookup.directories_below(tree, top[1], "", 2 * BULK_DIRECTORIES)
    base = level - paths.depth(top[1])
    yield Visit(top, level, listed=True)
    # NUL sorts before every character of a name, so a directory's content follows it directly
    for row in sorted(below, key=lambda row: row[1].replace("/", "\0")):
        at = base + paths.depth(row[1])
        if max_depth is None or at <= max_depth:
            yield Visit(row, at, listed=max_depth is None or at < max_depth)


def with_files(visits: Iterator[Visit]) -> Iterator[tuple[Visit, Iterator[list[sql.Row]]]]:
    """Each visit with the chunks of its files (none when it is not listed), read for many directories at once."""
    group: list[Visit] = []
    for visit in visits:
        group.append(visit)
        if len(group) >= GROUP_DIRECTORIES:
            yield from _group_with_files(group)
            group = []
    yield from _group_with_files(group)


def _group_with_files(group: Sequence[Visit]) -> Iterator[tuple[Visit, Iterator[list[sql.Row]]]]:
    rows = lookup.files_of_many([visit.row[0] for visit in group if visit.listed], GROUP_FILES + 1)
    by_directory: dict[int, list[sql.Row]] = {}
    for row in rows:
        by_directory.setdefault(row[0], []).append(row)
    # beyond the bound: the directories from the last one read on are read one by one
    first_unread = rows[-1][0] if len(rows) > GROUP_FILES else None
    for visit in group:
        directory = visit.row[0]
        if not visit.listed:
            yield visit, iter(())
        elif first_unread is not None and directory >= first_unread:
            yield visit, lookup.all_files_of(directory, GROUP_FILES)
        else:
            yield visit, iter([by_directory[directory]] if directory in by_directory else [])
