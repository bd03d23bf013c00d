"""Blind spots after they were found: closed by a person, and kept bounded (R41, R54). Called by `services` and `housekeeping`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.expressions import CombinedExpression

from apps.views.context import BLIND_MARKS, COUNTED
from apps.views.models import BlindSpot, Directory, File, Tree
from apps.views.store import memory
from apps.views.working import FLAGS, Folder, WorkingSet
from fustor_schema import paths

MOST_OPEN = 100_000
_AT_ONCE = 2_000
_BIT = {change: bit for bit, change in COUNTED.items()}


def close(tree: Tree, wanted: Sequence[str] | None, actor: str, now_ms: int) -> int:
    """Close the open blind spots at these paths (None: all), and clear the flag of their nodes. Needs the tree locked."""
    found = BlindSpot.objects.filter(tree=tree, closed_at=None)
    single = set(found.filter(aggregate=False).values_list("path", flat=True))
    closing = sorted(single if wanted is None else single & set(wanted))
    for part in _in_parts(closing):
        memory.close_blind_spots(tree.pk, part, now_ms / 1000, actor)
        mark(tree, part, now_ms, clear=BLIND_MARKS)
    summed = found.filter(aggregate=True) if wanted is None else found.filter(aggregate=True, path__in=wanted)
    return len(closing) + _close_aggregates(tree, summed, actor, now_ms)


def _close_aggregates(tree: Tree, summed: QuerySet[BlindSpot], actor: str, now_ms: int) -> int:
    for directory, change in summed.exclude(change=BlindSpot.Change.DELETED).values_list("path", "change"):
        for part in _in_parts(_counted_in(tree, directory, _BIT[change])):
            mark(tree, part, now_ms, clear=BLIND_MARKS)
    return summed.update(closed_at=now_ms / 1000, closed_by=actor)


def _counted_in(tree: Tree, directory: str, bit: int) -> list[str]:
    """The nodes directly in a directory that one of its aggregates counts."""
    files = File.objects.filter(directory__tree=tree, directory__path=directory).alias(bit=has_bit(bit)).filter(bit__gt=0)
    folders = (
        Directory.objects.filter(tree=tree, parent__tree=tree, parent__path=directory).alias(bit=has_bit(bit)).filter(bit__gt=0)
    )
    return [paths.join(directory, name) for rows in (files, folders) for name in rows.values_list("name", flat=True)]


def has_bit(wanted: int) -> CombinedExpression:
    """An expression on node rows that is positive when one of these flag bits is set."""
    return F("flags").bitand(wanted)


def mark(tree: Tree, wanted: Iterable[str], now_ms: int, *, clear: int = 0, add: int = 0) -> None:
    """Clear and set flag bits of nodes. Nothing else of them changes. Needs the tree locked."""
    listed = list(wanted)
    working = WorkingSet(tree.pk, listed, now_ms)
    names: defaultdict[Folder, list[str]] = defaultdict(list)
    for path in listed:
        parent = working.folders.get(paths.parent(path))
        if parent is not None and path not in working.folders:
            names[parent].append(paths.name(path))
    working.load_files(names)
    for path in listed:
        folder = working.folders.get(path)
        if folder is not None:
            folder.flags, folder.dirty = (folder.flags & ~clear) | add, True
            continue
        parent = working.folders.get(paths.parent(path))
        row = parent.files.get(paths.name(path)) if parent is not None else None
        if parent is not None and row is not None:
            parent.files[paths.name(path)] = (*row[:FLAGS], (row[FLAGS] & ~clear) | add, *row[FLAGS + 1 :])
            parent.mark_written(paths.name(path))
    working.flush()


def aggregate(tree_id: int, now_ms: int) -> int:
    """Keep the open blind spots of a tree bounded (R54); how many records were put together.

    The oldest above the bound become one per directory and kind, with their exact count. Aggregates of deletions, for which no
    node stands any more, are put together upwards when they are too many themselves; the others are no more than directories.
    """
    single = BlindSpot.objects.filter(tree=tree_id, closed_at=None, aggregate=False)
    summed = BlindSpot.objects.filter(tree=tree_id, closed_at=None, aggregate=True, change=BlindSpot.Change.DELETED)
    return _put_together(tree_id, single, now_ms) + _put_together(tree_id, summed.exclude(path=paths.ROOT), now_ms)


def _put_together(tree_id: int, rows: QuerySet[BlindSpot], now_ms: int) -> int:
    """Aggregate the oldest of too many rows, a part at a time, so that batches wait for no more than one part."""
    excess, done = rows.count() - MOST_OPEN, 0
    while excess > 0 and done < excess + MOST_OPEN // 10:
        with transaction.atomic():
            tree = Tree.objects.select_for_update(of=("self",)).get(pk=tree_id)
            oldest = list(rows.order_by("detected_at", "pk")[:_AT_ONCE])
            _aggregate(tree, oldest, now_ms)
        done += len(oldest)
        if not oldest:
            break
    return done


def _aggregate(tree: Tree, oldest: Sequence[BlindSpot], now_ms: int) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    latest: dict[tuple[str, str], float] = {}
    for spot in oldest:
        key = paths.parent(spot.path), spot.change
        counted[key] += spot.count
        latest[key] = max(latest.get(key, 0.0), spot.detected_at)
    for change, bit in _BIT.items():
        mark(tree, [spot.path for spot in oldest if spot.change == change], now_ms, add=bit)
    BlindSpot.objects.filter(pk__in=[spot.pk for spot in oldest]).delete()
    present = BlindSpot.objects.filter(tree=tree, closed_at=None, aggregate=True, path__in={path for path, _ in counted})
    for spot in present:
        key = spot.path, spot.change
        if key in counted:
            spot.count += counted.pop(key)
            spot.detected_at = max(spot.detected_at, latest[key])
            spot.save(update_fields=("count", "detected_at"))
    BlindSpot.objects.bulk_create(
        BlindSpot(
            tree=tree, path=path, change=change, count=count, is_directory=True, aggregate=True, detected_at=latest[path, change]
        )
        for (path, change), count in counted.items()
    )


def _in_parts(listed: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(listed), _AT_ONCE):
        yield listed[start : start + _AT_ONCE]
