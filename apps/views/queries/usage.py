"""Who and how old: files and bytes below a path by owner (stored totals) and by age of the files (counted, in bounded work).

`bytes` count every name of a file; `unique_bytes` count a file once in the subtree, at its first name, however many names it has
there (R36), as `du` does.
"""

import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

from django.db.models import Sum

from apps.views import clock as watermark
from apps.views.models import OwnerTotal, Tree
from apps.views.queries import cursors, lookup, sql
from fustor_schema import paths

SLICE_DIRECTORIES = 5_000
BUDGET_SECONDS = 3.0
MAX_OWNERS = 10_000
_DAY = 86_400.0


class By(StrEnum):
    """What usage is split by."""

    OWNER = "owner"
    AGE = "age"


# upper ends of the age groups, in seconds; the last has none
AGES: tuple[tuple[str, float], ...] = (
    ("1d", _DAY),
    ("7d", 7 * _DAY),
    ("30d", 30 * _DAY),
    ("90d", 90 * _DAY),
    ("1y", 365 * _DAY),
    ("3y", 3 * 365 * _DAY),
)
AGE_NAMES = (*(f"under {name}" for name, _ in AGES), f"over {AGES[-1][0]}", "unknown")


def by_owner(tree: Tree, key: str) -> dict[str, Any]:
    """Files and bytes per uid below a directory, most bytes first; what carries no uid is `unowned`. Raises NotFound, Invalid."""
    row = lookup.directory_at(tree, key)
    directory, files, size = row[0], row[3], row[5]
    return {
        "path": paths.display(key),
        "by": By.OWNER.value,
        "total_files": files,
        "total_bytes": size,
        **owners_of([directory], files, size),
        "as_of_seq": tree.change_seq,
    }


def owners_of(directories: Sequence[int], files: int, size: int) -> dict[str, Any]:
    """`owners` of what is below the directories (of different trees) together, and what of so many files and bytes is `unowned`."""
    totals = OwnerTotal.objects.filter(directory_id__in=directories).values("uid").order_by()
    summed = totals.annotate(of_files=Sum("files"), of_bytes=Sum("bytes")).order_by("-of_bytes", "uid")
    owners = [{"uid": row["uid"], "files": row["of_files"], "bytes": row["of_bytes"]} for row in summed[:MAX_OWNERS]]
    return {
        "owners": owners,
        "unowned": {"files": files - sum(o["files"] for o in owners), "bytes": size - sum(o["bytes"] for o in owners)},
    }


def by_age(tree: Tree, key: str, cursor_text: str | None, now: float, budget_seconds: float = BUDGET_SECONDS) -> dict[str, Any]:
    """Files and bytes per age below a directory, by the storage's own time (R42). Raises NotFound, Invalid, Gone.

    `next_cursor`: the time of one request was up; add the next answer's figures to these.
    """
    lookup.directory_at(tree, key)
    cursor = cursors.resume(cursor_text, tree, age_question(key))
    deadline = time.monotonic() + budget_seconds
    storage_now = watermark.logical_now(tree.clock, now)
    counts = [[0, 0, 0] for _ in AGE_NAMES]
    following: str | None = None
    for low, last in _slices(tree, key, cursor.position[0] if cursor.position else None):
        for group, *figures in _aged(tree, key, low, last, storage_now):
            counts[group] = [have + int(more) for have, more in zip(counts[group], figures, strict=True)]
        if last is not None and time.monotonic() > deadline:
            following = cursors.after(cursor, last).text()
            break
    return {
        "path": paths.display(key),
        "by": By.AGE.value,
        "storage_time": storage_now,
        "ages": _named(counts),
        "next_cursor": following,
        "as_of_seq": cursor.as_of_seq,
    }


def age_question(key: str) -> str:
    """What a cursor of usage by age is bound to."""
    return cursors.question_of("usage", key)


def _named(counts: list[list[int]]) -> list[dict[str, Any]]:
    return [
        {"age": name, "files": files, "bytes": size, "unique_bytes": unique}
        for name, (files, size, unique) in zip(AGE_NAMES, counts, strict=True)
    ]


def summed(parts: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The `ages` of several answers added up."""
    figures = ("files", "bytes", "unique_bytes")
    return [
        {"age": name, **{figure: sum(part[number][figure] for part in parts) for figure in figures}}
        for number, name in enumerate(AGE_NAMES)
    ]


def _slices(tree: Tree, key: str, behind: str | None) -> Iterator[tuple[str | None, str | None]]:
    """(directory behind which to start; None: with the top itself, last directory of the slice; None: the end)."""
    _, high = sql.below(key)
    while True:
        row = sql.fetch_one(
            f"SELECT path FROM {sql.DIRECTORY} WHERE tree_id = %s AND path > %s AND path < %s ORDER BY path LIMIT 1 OFFSET %s",
            (tree.pk, key if behind is None else behind, high, SLICE_DIRECTORIES),
        )
        yield behind, None if row is None else row[0]
        if row is None:
            return
        behind = row[0]


# Whether the file of `f` has another name in the subtree before this one. A tree is one file system (agents stay on one unless they
# are told otherwise), so the inode says it; the partial index `file_links` finds its names.
_HAS_EARLIER_NAME = (
    f"EXISTS (SELECT 1 FROM {sql.FILE} o CROSS JOIN {sql.DIRECTORY} e WHERE o.inode = f.inode AND o.nlink > 1 AND o.size = f.size "
    "AND e.id = o.directory_id AND e.tree_id = %s AND e.path >= %s AND e.path < %s AND (e.path = %s OR e.path > %s) "
    "AND (e.path, o.name) < (d.path, f.name))"
)


def _aged(tree: Tree, key: str, behind: str | None, last: str | None, storage_now: float) -> list[sql.Row]:
    """(number of the age group, files, bytes, unique bytes) of the files in a slice of directories."""
    groups = "".join(f"WHEN f.mtime > %s THEN {number} " for number in range(len(AGES)))
    group = f"CASE WHEN f.mtime IS NULL THEN {len(AGES) + 1} {groups}ELSE {len(AGES)} END"
    start = ("d.path >= %s", key) if behind is None else ("d.path > %s", behind)
    end = ("d.path < %s", sql.below(key)[1]) if last is None else ("d.path <= %s", last)
    below = (key, sql.below(key)[1], key, sql.below(key)[0])
    # a sibling such as `/a-b` sorts between `/a` and `/a/`; it is not below `/a`
    inside = "(d.path = %s OR d.path > %s)"
    return sql.fetch(
        f"SELECT {group} AS age, COUNT(*), SUM(f.size), SUM(CASE WHEN f.nlink > 1 AND {_HAS_EARLIER_NAME} THEN 0 ELSE f.size END) "
        f"FROM {sql.DIRECTORY} d CROSS JOIN {sql.FILE} f "
        f"WHERE f.directory_id = d.id AND d.tree_id = %s AND {start[0]} AND {end[0]} AND {inside} GROUP BY age",
        (*(storage_now - seconds for _, seconds in AGES), tree.pk, *below, tree.pk, start[1], end[1], key, below[-1]),
    )
