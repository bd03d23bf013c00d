"""Keeping the name index: a first pass over each complete tree, then what the change feed says entered it.

Runs as a housekeeping task beside the ingestion, in short transactions. A search reads the index and, for what came after it, the
feed (queries.candidates); names that left the tree stay in the index and do no harm, since every hit is looked up in the tree.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec
from django.db import transaction

from apps.views.models import ChangeBatch, Directory, NameIndex, Tree
from apps.views.queries import lookup, sql
from apps.views.store import trigrams
from fustor_schema import paths

# how much one transaction takes: on SQLite nobody else writes meanwhile
DIRECTORIES_PER_STEP = 50
NAMES_PER_STEP = 1_000
BATCHES_PER_STEP = 50
# SQLite: between two steps others write. It has no queue: a writer that waits looks again after 1, 2, 5, 10, 15, 20, 25 … ms
PAUSE_SECONDS = 0.025
# an index with so many more names than the tree is begun anew
GARBAGE_FLOOR = 100_000

Chunk = tuple[int, list[str]]


def index_names(budget_seconds: float) -> int:
    """Bring the index of every complete tree up to date, for about so many seconds; how many names were added.

    Goes on where the last run stopped. Safe to run twice at a time: each step holds the index's row.
    """
    deadline = time.monotonic() + budget_seconds
    added = 0
    if not trigrams.are_installed():
        return added
    for tree_id in Tree.objects.filter(snapshot_complete_at__isnull=False).order_by("pk").values_list("pk", flat=True):
        while time.monotonic() < deadline:
            step = _step(tree_id)
            if step is None:
                break
            added += step
            if sql.is_sqlite():
                time.sleep(PAUSE_SECONDS)
    return added


def _step(tree_id: int) -> int | None:
    """One short transaction on one tree: how many names it added; None when the index is up to date or held by another run."""
    with transaction.atomic():
        index = _held(tree_id)
        tree = Tree.objects.filter(pk=tree_id).first()
        if index is None or tree is None:
            return None
        if _is_void(index, tree):
            _begin(index, tree)
        if not index.complete:
            return _pass_on(index, tree)
        return _follow(index, tree) if index.followed_seq < tree.change_seq else None


def forget(tree_id: int) -> None:
    """Remove the index of a tree that is emptied or goes."""
    trigrams.trigrams().forget(tree_id)
    NameIndex.objects.filter(pk=tree_id).delete()


def _held(tree_id: int) -> NameIndex | None:
    NameIndex.objects.get_or_create(tree_id=tree_id, defaults={"followed_seq": -1})
    return NameIndex.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=tree_id).first()


def _is_void(index: NameIndex, tree: Tree) -> bool:
    """Whether the index must be begun anew: never begun, the tree was reset, the feed was trimmed, or it is mostly garbage."""
    if index.followed_seq < tree.reset_seq:
        return True
    if index.complete and index.followed_seq < tree.change_seq and not is_kept(tree.pk, index.followed_seq):
        return True
    return index.names > GARBAGE_FLOOR and index.names > 2 * _size(tree.pk) + GARBAGE_FLOOR


def is_kept(tree_id: int, seq: int) -> bool:
    """Whether the feed still has what follows a sequence."""
    following = ChangeBatch.objects.filter(tree_id=tree_id, last_seq__gt=seq).order_by("last_seq").first()
    return following is not None and following.last_seq - following.count <= seq


def _size(tree_id: int) -> int:
    root = Directory.objects.filter(tree_id=tree_id, path=paths.ROOT).values_list("total_files", "total_directories").first()
    return sum(root) if root else 0


def _begin(index: NameIndex, tree: Tree) -> None:
    trigrams.trigrams().begin(tree.pk)
    index.complete, index.passed_path, index.names = False, "", 0
    index.followed_seq = index.built_seq = tree.change_seq
    index.save()


def _pass_on(index: NameIndex, tree: Tree) -> int:
    """The next directories of the first pass."""
    rows = list(
        Directory.objects.filter(tree=tree, path__gt=index.passed_path)
        .order_by("path")
        .values_list("pk", "path")[:DIRECTORIES_PER_STEP]
    )
    added = 0
    for directory, path in rows:
        added += _add(tree.pk, _chunks_of(directory))
        index.passed_path = path
        if added >= NAMES_PER_STEP:
            break
    else:
        index.complete = len(rows) < DIRECTORIES_PER_STEP
        index.built_seq = tree.change_seq
    index.names += added
    index.save()
    return added


def _chunks_of(directory: int) -> Iterator[Chunk]:
    """All names in a directory, files and directories, in chunks."""
    for rows in lookup.all_files_of(directory, NAMES_PER_STEP):
        yield directory, [row[1] for row in rows]
    names = [name for (name,) in sql.fetch(f"SELECT name FROM {sql.DIRECTORY} WHERE parent_id = %s ORDER BY name", (directory,))]  # noqa: S608 - a constant
    for chunk in sql.chunked(names, NAMES_PER_STEP):
        yield directory, list(chunk)


def _add(tree_id: int, chunks: Iterable[Chunk]) -> int:
    listed = list(chunks)
    if listed:
        trigrams.trigrams().add(tree_id, listed)
    return sum(len(names) for _, names in listed)


def _follow(index: NameIndex, tree: Tree) -> int:
    """What the next batches of the feed brought in."""
    batches = ChangeBatch.objects.filter(tree=tree, last_seq__gt=index.followed_seq).order_by("last_seq")[:BATCHES_PER_STEP]
    arrived: set[str] = set()
    moved: set[str] = set()
    for batch in batches:
        if len(arrived) >= NAMES_PER_STEP:
            break
        index.followed_seq = batch.last_seq
        for kind, path, is_directory, *_ in msgspec.json.decode(bytes(batch.entries)):
            if kind in ARRIVALS:
                arrived.add(path)
            # the first pass may have missed a directory that was moved behind its back
            if kind == "moved" and is_directory and batch.last_seq <= index.built_seq:
                moved.add(path)
    added = _add(tree.pk, _chunks_by_parent(tree, arrived)) + sum(_add(tree.pk, _chunks_below(tree, path)) for path in moved)
    index.names += added
    index.save()
    return added


ARRIVALS = ("created", "moved")


def _chunks_by_parent(tree: Tree, arrived: set[str]) -> Iterator[Chunk]:
    by_parent = {
        parent: sorted(paths.name(path) for path in group)
        for parent, group in groupby(sorted(arrived - {paths.ROOT}, key=lambda path: (paths.parent(path), path)), paths.parent)
    }
    # a parent that is gone took its names with it
    rows = sql.fetch(
        f"SELECT id, path FROM {sql.DIRECTORY} WHERE tree_id = %s AND {sql.one_of('path')}",  # noqa: S608 - constants
        (tree.pk, sql.bound(list(by_parent))),
    )
    for directory, path in rows:
        yield directory, by_parent[path]


def _chunks_below(tree: Tree, path: str) -> Iterator[Chunk]:
    low, high = sql.below(path)
    inside = Directory.objects.filter(tree=tree, path__gt=low, path__lt=high).values_list("pk", flat=True)
    top = Directory.objects.filter(tree=tree, path=path).values_list("pk", flat=True)
    for directory in (*top, *inside):
        yield from _chunks_of(directory)
