"""Proves that a stored tree is consistent, and repairs what is derived. Called by `manage.py verify_view` and by the fuzz tests.

Derived are totals, owner totals, flags and the tombstone count; they must equal what is recomputed from files, directories and the
suspect and blind spot tables (R47, I7, I8). Directories that hang nowhere, and files of no directory, are damage: they are
reported, and repair removes them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, Max, QuerySet, Sum

from apps.views.blind_spots import has_bit
from apps.views.context import BLIND, COUNTED, DOUBT
from apps.views.models import BlindSpot, Directory, File, OwnerTotal, Suspect, Tombstone, Tree
from apps.views.store import nodes, trees
from fustor_schema import paths


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be. `path` is a key; `what` says it in words."""

    path: str
    what: str


class Totals(NamedTuple):
    """Recursive totals of one directory."""

    files: int = 0
    directories: int = 0
    size: int = 0
    newest_mtime: float | None = None


def verify(tree_id: int, *, repair: bool = False) -> list[Fault]:
    """All faults of a tree, in one consistent look with the tree locked; `repair` puts right what it can."""
    with transaction.atomic():
        tree = trees.lock(tree_id)
        faults = [*_misplaced(tree, repair=repair)]
        faults += _wrong_totals(tree, repair=repair)
        faults += _wrong_owner_totals(tree, repair=repair)
        faults += _wrong_flags(tree)
        faults += _wrong_tombstone_count(tree, repair=repair)
    return faults


def _misplaced(tree: Tree, *, repair: bool) -> Iterator[Fault]:
    directories = Directory.objects.filter(tree=tree)
    known = dict(directories.values_list("pk", "path"))
    for pk, path, name, parent in directories.values_list("pk", "path", "name", "parent"):
        above = known.get(parent) if parent is not None else None
        right = path == paths.ROOT if parent is None else above is not None and paths.join(above, name) == path
        if not right:
            yield Fault(path, "the directory does not hang below its parent")
            if repair:
                nodes.delete_subtree(tree.pk, pk, path, is_leaf=False, is_empty=False)
    if paths.ROOT not in known.values():
        yield Fault(paths.ROOT, "the root is missing")
        if repair:
            nodes.insert_root(tree.pk)


def _recomputed(tree: Tree) -> dict[int, Totals]:
    """Directory id → totals, from files and directories alone."""
    own = {
        directory: (files, size or 0, newest)
        for directory, files, size, newest in File.objects.filter(directory__tree=tree)
        .order_by()
        .values_list("directory")
        .annotate(files=Count("name"), bytes=Sum("size"), newest=Max("mtime"))
    }
    found: dict[int, Totals] = {}
    below: defaultdict[int, list[Totals]] = defaultdict(list)
    rows = Directory.objects.filter(tree=tree).values_list("pk", "path", "parent")
    for pk, _, parent in sorted(rows, key=lambda row: -len(paths.ancestors(row[1]))):
        files, size, newest = own.get(pk, (0, 0, None))
        children = below.pop(pk, [])
        times = [time for time in (newest, *(child.newest_mtime for child in children)) if time is not None]
        found[pk] = Totals(
            files + sum(child.files for child in children),
            sum(child.directories + 1 for child in children),
            size + sum(child.size for child in children),
            max(times, default=None),
        )
        if parent is not None:
            below[parent].append(found[pk])
    return found


def _wrong_totals(tree: Tree, *, repair: bool) -> list[Fault]:
    faults = []
    right = _recomputed(tree)
    for folder in Directory.objects.filter(tree=tree).iterator():
        stored = Totals(folder.total_files, folder.total_directories, folder.total_bytes, folder.newest_mtime)
        if stored == right[folder.pk]:
            continue
        faults.append(Fault(folder.path, f"totals are {tuple(stored)}, recomputed they are {tuple(right[folder.pk])}"))
        if repair:
            folder.total_files, folder.total_directories, folder.total_bytes, folder.newest_mtime = right[folder.pk]
            folder.save(update_fields=("total_files", "total_directories", "total_bytes", "newest_mtime"))
    return faults


def _wrong_owner_totals(tree: Tree, *, repair: bool) -> list[Fault]:
    parents = dict(Directory.objects.filter(tree=tree).values_list("pk", "parent"))
    names = dict(Directory.objects.filter(tree=tree).values_list("pk", "path"))
    right: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    owned = File.objects.filter(directory__tree=tree, uid__isnull=False).order_by().values_list("directory", "uid")
    for directory, uid, files, size in owned.annotate(files=Count("name"), bytes=Sum("size")):
        above: int | None = directory
        while above is not None:
            right[above, uid][0] += files
            right[above, uid][1] += size
            above = parents[above]
    stored = {
        (directory, uid): [files, size]
        for directory, uid, files, size in OwnerTotal.objects.filter(directory__tree=tree).values_list(
            "directory", "uid", "files", "bytes"
        )
        if files or size
    }
    wrong = [key for key in {*stored, *right} if stored.get(key, [0, 0]) != right.get(key, [0, 0])]
    if repair and wrong:
        OwnerTotal.objects.filter(directory__in={directory for directory, _ in wrong}).delete()
        redone = {directory for directory, _ in wrong}
        nodes.add_owner_totals([(*key, *value) for key, value in right.items() if key[0] in redone])
    return [Fault(names[directory], f"totals of owner {uid} are wrong") for directory, uid in wrong]


def _wrong_flags(tree: Tree) -> list[Fault]:
    counted = {bit: _flagged(tree, bit) for bit in COUNTED}
    spots = BlindSpot.objects.filter(tree=tree, closed_at=None).exclude(change=BlindSpot.Change.DELETED)
    faults = _differing(_flagged(tree, DOUBT), Suspect.objects.filter(tree=tree), "suspect")
    blind = _flagged(tree, BLIND).difference(*counted.values())
    faults += _differing(blind, spots.filter(aggregate=False), "blind spot")
    for bit, change in COUNTED.items():
        right = Counter(paths.parent(path) for path in counted[bit])
        stored = dict(spots.filter(aggregate=True, change=change).values_list("path", "count"))
        faults += [
            Fault(path, f"{stored.get(path, 0)} {change} nodes are counted as blind spots, {right[path]} are flagged so")
            for path in {*right, *stored}
            if stored.get(path, 0) != right[path]
        ]
    return faults


def _differing(flagged: set[str], listed: QuerySet[Suspect] | QuerySet[BlindSpot], what: str) -> list[Fault]:
    noted = set(listed.values_list("path", flat=True))
    faults = [Fault(path, f"flagged as {what} and not listed") for path in flagged - noted]
    return faults + [Fault(path, f"listed as {what} and not flagged") for path in noted - flagged]


def _flagged(tree: Tree, wanted: int) -> set[str]:
    """The nodes that have one of these flag bits."""
    files = File.objects.filter(directory__tree=tree).alias(bit=has_bit(wanted)).filter(bit__gt=0)
    directories = Directory.objects.filter(tree=tree).alias(bit=has_bit(wanted)).filter(bit__gt=0)
    found = {paths.join(directory, name) for directory, name in files.values_list("directory__path", "name")}
    return found | set(directories.values_list("path", flat=True))


def _wrong_tombstone_count(tree: Tree, *, repair: bool) -> list[Fault]:
    right = Tombstone.objects.filter(tree=tree).count()
    if right == tree.tombstone_count:
        return []
    if repair:
        Tree.objects.filter(pk=tree.pk).update(tombstone_count=right)
    return [Fault(paths.ROOT, f"{tree.tombstone_count} tombstones are counted, {right} are stored")]
