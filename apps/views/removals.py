"""Decides what goes: delete claims, children that a complete listing lacks, what a change of type replaces (R6, R7, R11, R36)."""

from apps.views import rules
from apps.views.claims import Said
from apps.views.context import DOUBT, Context, known_file
from apps.views.folder import FLAGS, SIZE, UID, FileRow, Folder
from apps.views.models import BlindSpot
from apps.views.rules import Decision, Rule
from fustor_schema import paths

_CONFIRMED_SINCE = Decision(False, Rule.WINDOW, "confirmed after the listing that lacks it began", recheck=True)


def delete(context: Context, said: Said, directory: str, name: str) -> None:
    """A claim that a path is gone."""
    path = paths.join(directory, name)
    folder = context.working.folders.get(path)
    if folder is not None:
        decision = rules.delete(context.known_subtree(folder, said), said, context.bound_ms)
        if _believed(context, path, said, decision):
            remove_directory(context, said, folder, decision.rule)
        return
    parent = context.working.folders.get(directory)
    stored = parent.files.get(name) if parent is not None else None
    if parent is None or stored is None:
        context.graves.bury(path, said, Rule.DELETED, subtree=True)
        if said.realtime:
            context.seen_absent(path)
        context.outcome.applied += 1
        return
    decision = rules.delete(known_file(stored), said, context.bound_ms)
    if _believed(context, path, said, decision):
        remove_file(context, said, parent, name, decision.rule)


def absent(context: Context, said: Said, directory: str, name: str) -> bool:
    """A child that a complete listing lacks: it goes, unless somebody confirmed it since (R11, R13). True when it went."""
    parent = context.working.folders.get(directory)
    if parent is None:
        return False
    listing = rules.Listing(said.session, said.observed_at)
    confirmed = parent.confirmed_at, parent.confirmed_session
    folder = context.working.folders.get(paths.join(directory, name))
    stored = parent.files.get(name)
    if folder is None and stored is None:
        return False
    known = context.known_subtree(folder, said) if folder is not None else known_file(stored or ())
    if not rules.absent(known, *confirmed, listing, context.bound_ms):
        context.refuse(paths.join(directory, name), said, _CONFIRMED_SINCE)
        return False
    if folder is not None:
        remove_directory(context, said, folder, Rule.ABSENT)
    else:
        remove_file(context, said, parent, name, Rule.ABSENT)
    return True


def _believed(context: Context, path: str, said: Said, decision: Decision) -> bool:
    if not decision.apply:
        context.refuse(path, said, decision)
        return False
    context.outcome.applied += 1
    return True


def remove_file(context: Context, said: Said, folder: Folder, name: str, rule: Rule) -> FileRow:
    """Remove a file that is in the working set, with all that is remembered of it; the row that was."""
    path = paths.join(folder.path, name)
    stored = context.working.drop_file(folder, name)
    if stored[UID] is not None:
        folder.add_owner(stored[UID], -1, -stored[SIZE])
    context.room += 1
    if stored[FLAGS] & DOUBT:
        context.remains.suspects[path] = None
    _note_blind(context, said, path, stored[FLAGS], is_directory=False, count=1)
    context.graves.bury(path, said, rule, subtree=False)
    context.changed("deleted", path, rule)
    return stored


def remove_directory(context: Context, said: Said, folder: Folder, rule: Rule) -> None:
    """Remove a directory with all below it, and leave one tombstone for the subtree (R6)."""
    context.working.settle()
    below = folder.total_files + folder.total_directories
    context.room += below + 1
    if below or context.tree.blind_deletions:
        forget_below(context, folder.path)
    _note_blind(context, said, folder.path, folder.flags, is_directory=True, count=below + 1)
    context.working.drop_folder(folder)
    context.graves.bury(folder.path, said, rule, subtree=True)
    if below:
        context.graves.cover(folder.path, said.observed_at)
    context.changed("deleted", folder.path, rule, is_directory=True)


def forget_below(context: Context, path: str) -> None:
    """What is remembered below a path goes with it: now what is pending, with the batch what is stored."""
    context.remains.removed_subtrees.append(path)
    for pending in (context.remains.suspects, context.remains.blind_spots):
        for key in [key for key in pending if key != path and paths.is_within(key, path)]:
            del pending[key]


def _note_blind(context: Context, said: Said, path: str, flags: int, *, is_directory: bool, count: int) -> None:
    if context.finds_blind_spots(said):
        context.blind(path, BlindSpot.Change.DELETED.value, is_directory=is_directory, flags=flags, count=count)
    else:
        context.seen(path, flags)
