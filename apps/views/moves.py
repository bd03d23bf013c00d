"""Decides renames (R39): one message moves a file, or a directory with all below it, and says so in the feed."""

from apps.views import rules, survivors
from apps.views.claims import Said
from apps.views.context import BLIND_MARKS, DOUBT, PARTIAL, REALTIME, Context, known_file
from apps.views.folder import FLAGS, MTIME, NAME, SIZE, UID, Folder
from apps.views.intake import Movement
from apps.views.removals import remove_directory, remove_file
from apps.views.rules import Rule
from apps.views.store import memory
from fustor_schema import paths


def move(context: Context, said: Said, movement: Movement) -> bool:
    """Carry out a rename. True when a directory moved: names below its new path are then not in the working set yet.

    An origin that nobody knew leaves its tombstone; the row that comes with the move tells the destination.
    """
    origin, target = movement
    if paths.is_within(target, origin) or paths.is_within(origin, target):
        return False
    folder = context.working.folders.get(origin)
    if folder is not None:
        return _move_directory(context, said, folder, target)
    parent = context.working.folders.get(paths.parent(origin))
    stored = parent.files.get(paths.name(origin)) if parent is not None else None
    if parent is None or stored is None:
        if _stands_full(context, target) and not _is_told_already(context, said, movement):
            context.recheck(target, "what was not known was renamed over a directory that holds something", recursive=True)
        context.graves.bury(origin, said, Rule.MOVED, subtree=True)
        return False
    decision = rules.delete(known_file(stored), said, context.bound_ms)
    if decision.apply:
        _move_file(context, said, parent, movement)
    else:
        context.refuse(origin, said, decision)
    return False


def _move_file(context: Context, said: Said, parent: Folder, movement: Movement) -> None:
    origin, target = movement
    destination = context.working.folders.get(paths.parent(target))
    if destination is None:
        # the row of the destination makes its parents and the file
        remove_file(context, said, parent, paths.name(origin), Rule.MOVED)
        return
    row = parent.files[paths.name(origin)]
    _clear_target(context, said, target)
    context.working.drop_file(parent, paths.name(origin))
    context.leave_aggregate(origin, row[FLAGS])
    flags = (row[FLAGS] & ~BLIND_MARKS) | REALTIME
    decided = (said.observed_at, context.now_ms, said.session, int(Rule.MOVED))
    moved = (destination.id, paths.name(target), *row[NAME + 1 : FLAGS], flags, *decided)
    context.working.put_file(destination, paths.name(target), moved, None)
    if row[UID] is not None:
        parent.add_owner(row[UID], -1, -row[SIZE])
        destination.add_owner(row[UID], 1, row[SIZE])
    _leave(context, said, movement, subtree=False)
    if row[FLAGS] & DOUBT:
        # whoever writes it writes on under the new name
        context.remains.suspects[origin] = None
        context.suspect(target, row[MTIME], row[SIZE], partial=bool(row[FLAGS] & PARTIAL))
    context.changed("moved", target, Rule.MOVED, size=row[SIZE], mtime=row[MTIME], origin=origin)


def _move_directory(context: Context, said: Said, folder: Folder, target: str) -> bool:
    origin = folder.path
    decision = rules.delete(context.known_subtree(folder, said), said, context.bound_ms)
    if not decision.apply:
        context.refuse(origin, said, decision)
        return False
    if paths.parent(target) not in context.working.folders:
        # nobody knows where it went: what was here is gone, and the destination is scanned
        remove_directory(context, said, folder, Rule.MOVED)
        context.recheck(target, "moved below a directory that was not known", recursive=True)
        return False
    newer = _newer_at(context, said, Movement(origin, target))
    if newer is None:
        # what is left at the origin are late words of this source, or nobody can tell: nothing at the target is deleted (R5)
        remove_directory(context, said, folder, Rule.MOVED)
        context.recheck(target, "one rename told by two sources", recursive=True)
        return False
    if _stands_full(context, target):
        context.recheck(target, "a directory was renamed over one that holds something", recursive=True)
    _clear_target(context, said, target)
    context.working.move_folder(folder, target)
    folder.observed_at, folder.decided_at, folder.session = said.observed_at, context.now_ms, said.session
    context.leave_aggregate(origin, folder.flags)
    folder.rule, folder.flags = int(Rule.MOVED), (folder.flags & ~BLIND_MARKS) | REALTIME
    folder.dirty = True
    _leave(context, said, Movement(origin, target), subtree=True)
    context.changed("moved", target, Rule.MOVED, is_directory=True, mtime=folder.meta[1], origin=origin)
    survivors.put_back(context, said, newer)
    return True


def _newer_at(context: Context, said: Said, movement: Movement) -> survivors.Survivors | None:
    """What stands at the target and is newer than the rename; None when it came by this very rename, or nobody can tell."""
    standing = context.working.folders.get(movement.target)
    if standing is None:
        return survivors.NONE
    return None if _is_told_already(context, said, movement) else survivors.of(context, said, standing)


def _is_told_already(context: Context, said: Said, movement: Movement) -> bool:
    """Whether another source told this rename before: the delete at its origin and the directory at its target are of one event."""
    grave = context.graves.at(movement.origin)
    standing = context.working.folders.get(movement.target)
    if grave is None or standing is None or grave.session == said.session:
        return False
    return (grave.session, grave.observed_at) == (standing.session, standing.observed_at)


def _stands_full(context: Context, target: str) -> bool:
    """Whether a directory with anything in it stands where a rename says that something moved: the kernel would not have done that,
    so what emptied it was not told."""
    standing = context.working.folders.get(target)
    context.working.settle()
    return standing is not None and standing.total_files + standing.total_directories > 0


def _clear_target(context: Context, said: Said, target: str) -> None:
    """What stood at the destination is overwritten."""
    standing = context.working.folders.get(target)
    if standing is not None:
        remove_directory(context, said, standing, Rule.MOVED)
    parent = context.working.folders[paths.parent(target)]
    if paths.name(target) in parent.files:
        remove_file(context, said, parent, paths.name(target), Rule.MOVED)


def _leave(context: Context, said: Said, movement: Movement, *, subtree: bool) -> None:
    """The old path gets a tombstone, the new one loses its own; what is remembered below moves along."""
    origin, target = movement
    context.graves.clear_at(target, said.observed_at)
    context.graves.bury(origin, said, Rule.MOVED, subtree=subtree)
    for pending in (context.remains.suspects, context.remains.blind_spots):
        for key in [key for key in pending if paths.is_within(key, origin)]:
            pending[target + key[len(origin) :]] = pending.pop(key)
    counted = context.remains.counted_down
    for directory, change in [key for key in counted if paths.is_within(key[0], origin)]:
        counted[target + directory[len(origin) :], change] += counted.pop((directory, change))
    for path in context.remains.removed_subtrees:
        memory.forget_below(context.tree.pk, path, context.now)
    context.remains.removed_subtrees.clear()
    memory.close_blind_spots(context.tree.pk, [origin, target], context.now, "realtime event")
    if subtree:
        # deletions that were noted below the new path before it moved here
        memory.forget_below(context.tree.pk, target, context.now)
        memory.move_below(context.tree.pk, origin, target)
