"""Decides claims that a directory exists: its own row, the parents that a claim implies, and what confirms it.

Called by `arbiter` and, for the parents of files, by `upserts`.
"""

from apps.views import rules
from apps.views.claims import Said
from apps.views.context import PLACEHOLDER, REALTIME, SKIPPED, Context, known_file, known_folder
from apps.views.folder import Folder
from apps.views.intake import Entry
from apps.views.models import BlindSpot
from apps.views.removals import remove_file
from apps.views.rules import Decision, Rule
from fustor_schema import paths
from fustor_schema.wire import FsRow


def put_directory(context: Context, said: Said, directory: str, entry: Entry, number: int) -> None:
    """The row of a directory."""
    name, row, index = entry
    path = paths.join(directory, name) if name else paths.ROOT
    folder = context.working.folders.get(path)
    if folder is not None:
        _update_directory(context, said, folder, row)
    else:
        folder = _create_directory(context, said, directory, name, row, (number, index))
    if context.remembers_listings(said):
        parent = context.working.folders.get(directory)
        if parent is not None and name:
            context.remains.note_listed(parent, [name], said.observed_at)
        if folder is not None:
            context.remains.note_own_row(folder, said.observed_at, skipped=row.audit_skipped)


def _create_directory(context: Context, said: Said, directory: str, name: str, row: FsRow, place: tuple[int, int]) -> Folder | None:
    parent = context.working.folders.get(directory) or make_folder(context, directory, said)
    if parent is None:
        return None
    if context.room <= 0:
        context.reject_for_room(*place)
        return None
    made = _make_child(context, said, parent, paths.join(directory, name))
    if made is None:
        return None
    folder, decision = made
    _describe(context, folder, said, row, decision.rule)
    if context.finds_blind_spots(said):
        folder.flags = context.blind(folder.path, BlindSpot.Change.ADDED.value, is_directory=True, flags=folder.flags)
    context.outcome.applied += 1
    context.changed("created", folder.path, decision.rule, is_directory=True, mtime=row.modified_time)
    return folder


def _update_directory(context: Context, said: Said, folder: Folder, row: FsRow) -> None:
    if row.audit_skipped and not said.realtime:
        _note_silent(folder)
        context.outcome.applied += 1
        return
    same = _is_same_directory(folder, row)
    if same and not said.realtime:
        if folder.flags & SKIPPED:
            folder.flags, folder.dirty = folder.flags & ~SKIPPED, True
        context.outcome.applied += 1
        confirm(folder, said)
        return
    decision = rules.upsert(known_folder(folder), None, said, context.bound_ms)
    if not decision.apply and not same and not folder.flags & PLACEHOLDER:
        context.refuse(folder.path, said, decision)
        return
    context.outcome.applied += 1
    if not decision.apply and same:
        return
    if said.realtime:
        folder.flags = context.seen(folder.path, folder.flags)
    _describe(context, folder, said, row, decision.rule)
    if not same:
        context.working.touched.add(folder)
        context.changed("modified", folder.path, decision.rule, is_directory=True, mtime=row.modified_time)


def _note_silent(folder: Folder) -> None:
    """A silent directory is evidence only (R17): nothing of it changes but that the last audit found it silent."""
    if not folder.flags & SKIPPED:
        folder.flags, folder.dirty = folder.flags | SKIPPED, True


def confirm(folder: Folder, said: Said) -> None:
    """A scan found children as they are stored: kept per directory, so an unchanged row writes nothing (R13)."""
    if said.observed_at > folder.confirmed_at:
        folder.confirmed_at, folder.confirmed_session, folder.dirty = said.observed_at, said.session, True


def _describe(context: Context, folder: Folder, said: Said, row: FsRow, rule: int) -> None:
    given = (row.size, row.modified_time, row.created_time, row.mode, row.uid, row.gid, row.inode, row.nlink)
    folder.meta = tuple(old if new is None else new for new, old in zip(given, folder.meta, strict=True))
    folder.flags &= ~(PLACEHOLDER | SKIPPED | REALTIME)
    if said.realtime:
        folder.flags |= REALTIME
    if row.audit_skipped:
        folder.flags |= SKIPPED
    folder.observed_at, folder.decided_at, folder.session, folder.rule = said.observed_at, context.now_ms, said.session, int(rule)
    folder.dirty = True


def make_folder(context: Context, path: str, said: Said) -> Folder | None:
    """The missing parent of a claim, with its missing parents, as placeholders. None when a rule forbids it (and it is logged)."""
    folders = context.working.folders
    missing = [path]
    while (above := paths.parent(missing[-1])) not in folders:
        missing.append(above)
    folder = folders[above]
    for wanted in reversed(missing):
        made = _make_child(context, said, folder, wanted)
        if made is None:
            return None
        folder, decision = made
        folder.observed_at, folder.decided_at, folder.session = said.observed_at, context.now_ms, said.session
        folder.rule = int(decision.rule)
        folder.flags |= REALTIME if said.realtime else 0
        context.changed("created", wanted, decision.rule, is_directory=True)
    return folder


def _make_child(context: Context, said: Said, parent: Folder, path: str) -> tuple[Folder, Decision] | None:
    """A new directory where nothing stands, or where a file stands that the claim beats (R36)."""
    name = paths.name(path)
    stored = parent.files.get(name)
    if stored is not None:
        decision = rules.retype(known_file(stored), said, context.bound_ms)
    else:
        decision = rules.upsert(None, context.graves.covering(path) if context.graves else None, said, context.bound_ms)
    if not decision.apply:
        context.refuse(path, said, decision)
        return None
    if stored is not None:
        remove_file(context, said, parent, name, Rule.TYPE)
        decision = decision._replace(rule=Rule.TYPE)
    if context.graves:
        context.graves.lift(path)
    context.room -= 1
    if said.realtime:
        context.seen_absent(path)
    if decision.recheck:
        context.recheck(path, decision.reason)
    return context.working.add_folder(path), decision


def _is_same_directory(folder: Folder, row: FsRow) -> bool:
    meta = folder.meta
    return (
        not folder.flags & PLACEHOLDER
        and (row.modified_time is None or meta[1] == row.modified_time)
        and (row.created_time is None or meta[2] == row.created_time)
        and (row.mode is None or meta[3:] == (row.mode, row.uid, row.gid, row.inode, row.nlink))
    )
