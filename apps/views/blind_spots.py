"""Blind spots after they were found: closed by a person, and kept bounded (R41, R54). Called by `services` and `housekeeping`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from django.db import transaction

from apps.views.context import BLIND
from apps.views.models import BlindSpot, Tree
from apps.views.store import memory
from apps.views.working import FLAGS, Folder, WorkingSet
from fustor_schema import paths

MOST_OPEN = 100_000
_AT_ONCE = 2_000


def close(tree: Tree, wanted: Sequence[str] | None, actor: str, now_ms: int) -> int:
    """Close the open blind spots at these paths (None: all), and clear the flag of their nodes. Needs the tree locked."""
    found = BlindSpot.objects.filter(tree=tree, closed_at=None)
    open_paths = set(found.values_list("path", flat=True))
    closing = sorted(open_paths if wanted is None else open_paths & set(wanted))
    for start in range(0, len(closing), _AT_ONCE):
        part = closing[start : start + _AT_ONCE]
        memory.close_blind_spots(tree.pk, part, now_ms / 1000, actor)
        clear_flags(tree, part, BLIND, now_ms)
    return len(closing)


def clear_flags(tree: Tree, wanted: Iterable[str], flags: int, now_ms: int) -> None:
    """Clear flag bits of nodes. Nothing else of them changes."""
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
            folder.flags, folder.dirty = folder.flags & ~flags, True
            continue
        parent = working.folders.get(paths.parent(path))
        row = parent.files.get(paths.name(path)) if parent is not None else None
        if parent is not None and row is not None:
            parent.files[paths.name(path)] = (*row[:FLAGS], row[FLAGS] & ~flags, *row[FLAGS + 1 :])
            parent.mark_written(paths.name(path))
    working.flush()


def aggregate(tree_id: int, now: float) -> int:
    """Keep the open blind spots of a tree bounded: the oldest above the bound become one per directory, with their count (R54)."""
    found = BlindSpot.objects.filter(tree=tree_id, closed_at=None, change=BlindSpot.Change.DELETED)
    excess = found.count() - MOST_OPEN
    if excess <= 0:
        return 0
    with transaction.atomic():
        oldest = list(found.order_by("detected_at", "pk")[: excess + MOST_OPEN // 10])
        counted: Counter[str] = Counter()
        for spot in oldest:
            counted[paths.parent(spot.path)] += spot.count
        BlindSpot.objects.filter(pk__in=[spot.pk for spot in oldest]).delete()
        for directory, count in counted.items():
            present, made = BlindSpot.objects.get_or_create(
                tree_id=tree_id,
                path=directory,
                closed_at=None,
                defaults={"change": BlindSpot.Change.DELETED, "is_directory": True, "count": count, "detected_at": now},
            )
            if not made:
                present.count += count
                present.save(update_fields=("count",))
    return len(oldest)
