"""Blind spots after they were found: closed by a person, and kept bounded (R41, R54). Called by `services` and `housekeeping`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from django.db import transaction
from django.db.models import F, Max, QuerySet
from django.db.models.expressions import CombinedExpression

from apps.views.context import BLIND_MARKS, COUNTED
from apps.views.folder import FLAGS, Folder
from apps.views.models import BlindSpot, ChangeBatch, Directory, File, Tree
from apps.views.store import memory
from apps.views.working import WorkingSet
from fustor_schema import paths
from fustor_schema.sources import MessageSource

MOST_OPEN = 100_000
_AT_ONCE = 2_000
# how far the change feed is searched for the deletions that a person closes one by one, with the tree locked
MOST_DELETIONS = 100
MOST_BATCHES = 5_000
_encode = msgspec.json.Encoder().encode
_BIT = {change: bit for bit, change in COUNTED.items()}


def close(tree: Tree, wanted: Sequence[str] | None, actor: str, now_ms: int) -> int:
    """Close the open blind spots at these paths (None: all), and clear the flag of their nodes; how many. Needs the tree locked.

    A path that an aggregate counts leaves it, with a closed record of its own; the path of an aggregate closes that as a whole.
    """
    found = BlindSpot.objects.filter(tree=tree, closed_at=None)
    single = set(found.filter(aggregate=False).values_list("path", flat=True))
    closing = sorted(single if wanted is None else single & set(wanted))
    for part in _in_parts(closing):
        memory.close_blind_spots(tree.pk, part, now_ms / 1000, actor)
        mark(tree, part, now_ms, clear=BLIND_MARKS)
    summed = found.filter(aggregate=True) if wanted is None else found.filter(aggregate=True, path__in=wanted)
    whole = _close_aggregates(tree, summed, actor, now_ms)
    alone = [] if wanted is None else sorted(set(wanted) - single)
    return len(closing) + whole + sum(_take_out(tree, part, actor, now_ms) for part in _in_parts(alone))


def _close_aggregates(tree: Tree, summed: QuerySet[BlindSpot], actor: str, now_ms: int) -> int:
    for directory, change in summed.exclude(change=BlindSpot.Change.DELETED).values_list("path", "change"):
        for part in _in_parts(_counted_in(tree, directory, _BIT[change])):
            mark(tree, part, now_ms, clear=BLIND_MARKS)
    return summed.update(closed_at=now_ms / 1000, closed_by=actor)


def _take_out(tree: Tree, wanted: list[str], actor: str, now_ms: int) -> int:
    """Close what aggregates count at these paths, one by one; how many."""
    flags = _flags_at(tree, wanted)
    counted = [(path, change, paths.parent(path)) for path, bits in flags.items() for bit, change in COUNTED.items() if bits & bit]
    gone = _counted_as_gone(tree, [path for path in wanted if path not in flags])
    fewer = Counter((directory, change) for _, change, directory in [*counted, *gone])
    if not fewer:
        return 0
    closed_at = now_ms / 1000
    memory.count_down(tree.pk, dict(fewer), closed_at, actor)
    mark(tree, [path for path, _, _ in counted], now_ms, clear=BLIND_MARKS)
    BlindSpot.objects.bulk_create(
        BlindSpot(tree=tree, path=path, change=change, detected_at=closed_at, closed_at=closed_at, closed_by=actor)
        for path, change, _ in [*counted, *gone]
    )
    return len(counted) + len(gone)


def _flags_at(tree: Tree, wanted: Sequence[str]) -> dict[str, int]:
    """The flags of the nodes at these paths; paths without a node are left out."""
    found = dict(Directory.objects.filter(tree=tree, path__in=wanted).values_list("path", "flags"))
    nearby = File.objects.filter(
        directory__tree=tree,
        directory__path__in={paths.parent(path) for path in wanted},
        name__in={paths.name(path) for path in wanted},
    )
    files = {paths.join(directory, name): bits for directory, name, bits in nearby.values_list("directory__path", "name", "flags")}
    return found | {path: bits for path, bits in files.items() if path in set(wanted)}


def _counted_as_gone(tree: Tree, absent: Sequence[str]) -> list[tuple[str, str, str]]:
    """(path, change, directory) of paths that an aggregate of deletions counts: the nearest one above, as far as its count goes."""
    summed = BlindSpot.objects.filter(
        tree=tree, closed_at=None, aggregate=True, change=BlindSpot.Change.DELETED, path__in=paths.above_all(absent)
    ).order_by("path")
    left = dict(summed.values_list("path", "count"))
    if not left:
        return []
    missed = _missed_deletions(tree, absent)
    closed = BlindSpot.objects.filter(tree=tree, path__in=missed, aggregate=False).values_list("path").annotate(Max("closed_at"))
    closed_at = {path: at for path, at in closed.order_by() if at is not None}
    found = []
    for path, went_at in missed.items():
        directory = next((above for above in paths.ancestors(path) if left.get(above, 0) > 0), None)
        if directory is not None and closed_at.get(path, -1.0) < went_at:
            left[directory] -= 1
            found.append((path, BlindSpot.Change.DELETED.value, directory))
    return found


def _missed_deletions(tree: Tree, absent: Sequence[str]) -> dict[str, float]:
    """Which of these paths a scan found gone, and when last (server seconds), as far as the change feed is looked at.

    An aggregate keeps no paths, so this is the proof that it counts one.
    """
    left = {path: _encode(("deleted", path))[:-1] + b"," for path in absent[:MOST_DELETIONS]}
    found: dict[str, float] = {}
    batches = ChangeBatch.objects.filter(tree=tree).exclude(source=MessageSource.REALTIME.value).order_by("-last_seq")
    for at, entries in batches.values_list("at", "entries")[:MOST_BATCHES].iterator():
        packed = bytes(entries)
        for path in [path for path, entry in left.items() if entry in packed]:
            found[path] = at / 1000
            del left[path]
        if not left:
            break
    return found


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

    The oldest above the bound become one per directory and kind, with their exact count: records of one node before those of
    whole subtrees. Aggregates of deletions, for which no
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
            # what stands for many stays single while others are left: a person can close it with its exact count
            by_age = rows.order_by("detected_at", "pk")
            oldest = list(by_age.filter(count=1)[:_AT_ONCE]) or list(by_age[:_AT_ONCE])
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
