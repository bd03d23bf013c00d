"""Decides claims that files exist, new and known ones.

A scan's rows of one directory come as one claim: those that say nothing new, and those of a directory nobody knew, take a short
way; every other row asks `rules`.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from apps.views import rules
from apps.views.claims import Said
from apps.views.context import DOUBT, KIND_NUMBER, PARTIAL, REALTIME, Context, known_file
from apps.views.folder import CTIME, FLAGS, INODE, KIND, META, MODE, MTIME, NLINK, SAME, SIZE, UID, FileRow, Folder
from apps.views.intake import Entry
from apps.views.models import BlindSpot
from apps.views.removals import remove_directory
from apps.views.rules import Rule
from apps.views.upsert_directories import confirm, make_folder
from fustor_schema import paths
from fustor_schema.sources import MessageSource
from fustor_schema.wire import FsRow

_SEEN = int(Rule.NEWER_OBSERVATION)
_facts: Callable[[FsRow], tuple[Any, ...]] = attrgetter("modified_time", "created_time", "mode", "uid", "gid", "inode", "nlink")


def put_files(context: Context, said: Said, directory: str, entries: list[Entry], number: int) -> None:
    """Rows of files in one directory."""
    folder = context.working.folders.get(directory) or make_folder(context, directory, said)
    if folder is None:
        return
    if context.remembers_listings(said):
        context.remains.note_listed(folder, [entry[0] for entry in entries], said.observed_at)
    before = context.outcome.applied
    if folder.is_repeated:
        context.outcome.applied += len(entries)
        confirm(folder, said)
    else:
        _put_one_by_one(context, said, folder, entries, number)
    if context.outcome.applied - before == len(entries):
        folder.told = (number, len(entries))


def _put_one_by_one(context: Context, said: Said, folder: Folder, entries: list[Entry], number: int) -> None:
    is_plain_scan = not said.realtime and said.source is not MessageSource.ON_DEMAND
    if is_plain_scan and folder.is_new and not context.complete and not context.graves and context.room > len(entries):
        entries = _add_to_new_folder(context, said, folder, entries)
    confirmed = 0
    for name, row, index in entries:
        stored = folder.files.get(name)
        if stored is None:
            if not _blocked_by_directory(context, said, folder, name):
                _create_file(context, said, folder, name, row, (number, index))
        elif stored is SAME or (is_plain_scan and (_is_same_at_a_glance(stored, row) or _is_same(stored, row))):
            confirmed += 1
        else:
            _update_file(context, said, folder, name, row, stored)
    if confirmed:
        context.outcome.applied += confirmed
        confirm(folder, said)


def _add_to_new_folder(context: Context, said: Said, folder: Folder, entries: list[Entry]) -> list[Entry]:
    """Store the files of a directory that this batch brought; the entries that need a closer look are left."""
    plain, left = (entries, []) if _are_plainly_new(context, folder, entries) else _sorted_out(context, folder, entries)
    number, end = folder.id, (0, said.observed_at, context.now_ms, said.session, _SEEN)
    rows = [(number, name, KIND_NUMBER[row.kind or "file"], row.size or 0, *_facts(row), *end) for name, row, _ in plain]
    context.working.add_files(folder, rows)
    context.room -= len(rows)
    context.outcome.applied += len(rows)
    return left


def _are_plainly_new(context: Context, folder: Folder, entries: list[Entry]) -> bool:
    """Whether nothing stands under any of the names, each is named once, and no file is hot: the common case, all at once."""
    names = {entry[0] for entry in entries}
    newest = max([entry[1].modified_time or 0.0 for entry in entries])
    has_directories = folder.total_directories or folder.delta_directories
    return newest <= context.hot_after and len(names) == len(entries) and not has_directories and names.isdisjoint(folder.files)


def _sorted_out(context: Context, folder: Folder, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """(those that may be stored as they are, those of which something said in `_are_plainly_new` is not true)."""
    plain: list[Entry] = []
    left: list[Entry] = []
    taken, folders = set(folder.files), context.working.folders
    for entry in entries:
        name = entry[0]
        needs_a_look = name in taken or context.is_hot(entry[1].modified_time) or paths.join(folder.path, name) in folders
        (left if needs_a_look else plain).append(entry)
        taken.add(name)
    return plain, left


def _create_file(context: Context, said: Said, folder: Folder, name: str, row: FsRow, place: tuple[int, int]) -> None:
    path = paths.join(folder.path, name)
    grave = context.graves.covering(path) if context.graves else None
    decision = rules.upsert(None, grave, said, context.bound_ms)
    if not decision.apply:
        context.refuse(path, said, decision)
        return
    if context.room <= 0:
        context.reject_for_room(*place)
        return
    context.room -= 1
    context.outcome.applied += 1
    if grave is not None:
        context.graves.lift(path)
    size, mtime = row.size or 0, row.modified_time
    flags = REALTIME if said.realtime else 0
    if decision.doubtful or (not row.is_atomic_write if said.realtime else context.is_hot(mtime)):
        flags |= context.suspect(path, mtime, int(size), partial=said.realtime)
    if context.finds_blind_spots(said):
        flags = context.blind(path, BlindSpot.Change.ADDED.value, is_directory=False, flags=flags)
    elif said.realtime:
        context.seen_absent(path)
    kind = KIND_NUMBER[row.kind] if row.kind else 0
    values = (kind, size, mtime, row.created_time, row.mode, row.uid, row.gid, row.inode, row.nlink)
    _store(context, said, folder, name, values, flags, decision.rule, None)
    context.changed("created", path, decision.rule, size=int(size), mtime=mtime)
    if decision.recheck:
        context.recheck(path, decision.reason)


def _update_file(context: Context, said: Said, folder: Folder, name: str, row: FsRow, stored: FileRow) -> None:
    same = _is_same(stored, row)
    path = paths.join(folder.path, name)
    decision = rules.upsert(known_file(stored), None, said, context.bound_ms)
    if not decision.apply:
        if same:
            context.outcome.applied += 1
        else:
            context.refuse(path, said, decision)
        return
    context.outcome.applied += 1
    values = _merged(stored, row)
    flags = _flags_after_update(context, said, path, row, stored, values, same=same, doubtful=decision.doubtful)
    _store(context, said, folder, name, values, flags, decision.rule, stored)
    if not same:
        context.changed("modified", path, decision.rule, size=values[1], mtime=values[2])
    if decision.recheck:
        context.recheck(path, decision.reason)


def overwrite(context: Context, said: Said, folder: Folder, name: str, row: FsRow, rule: Rule) -> None:
    """Take what a second look found changed, and keep the file suspect for another threshold (R40)."""
    stored, path = folder.files[name], paths.join(folder.path, name)
    values = _merged(stored, row)
    flags = stored[FLAGS] | context.suspect(path, values[2], values[1], partial=bool(stored[FLAGS] & PARTIAL))
    _store(context, said, folder, name, values, flags, rule, stored)
    context.changed("modified", path, rule, size=values[1], mtime=values[2])


def clear_doubt(context: Context, folder: Folder, name: str) -> None:
    """A file is suspect no longer; nothing else of it changes."""
    stored = folder.files[name]
    if stored[FLAGS] & DOUBT:
        context.remains.suspects[paths.join(folder.path, name)] = None
        context.working.put_file(folder, name, (*stored[:FLAGS], stored[FLAGS] & ~DOUBT, *stored[FLAGS + 1 :]), stored)


def _store(
    context: Context, said: Said, folder: Folder, name: str, values: tuple[Any, ...], flags: int, rule: int, before: FileRow | None
) -> None:
    row = (folder.id, name, *values, flags, said.observed_at, context.now_ms, said.session, int(rule))
    if before is not None and before[UID] is not None:
        folder.add_owner(before[UID], -1, -before[SIZE])
    if row[UID] is not None:
        folder.add_owner(row[UID], 1, row[SIZE])
    context.working.put_file(folder, name, row, before)


def _flags_after_update(
    context: Context, said: Said, path: str, row: FsRow, stored: FileRow, values: tuple[Any, ...], *, same: bool, doubtful: bool
) -> int:
    flags: int = stored[FLAGS]
    if said.realtime:
        flags = context.seen(path, flags) | REALTIME
        if not row.is_atomic_write or doubtful:
            return flags | context.suspect(path, values[2], values[1], partial=True)
        if flags & DOUBT:
            context.remains.suspects[path] = None
        return flags & ~DOUBT
    flags &= ~REALTIME
    if same:
        return flags
    if context.finds_blind_spots(said):
        flags = context.blind(path, BlindSpot.Change.MODIFIED.value, is_directory=False, flags=flags)
    if doubtful or flags & DOUBT or context.is_hot(values[2]):
        # a scan never clears a partial mark (R40); a change renews it
        flags |= context.suspect(path, values[2], values[1], partial=bool(flags & PARTIAL))
    return flags


def _blocked_by_directory(context: Context, said: Said, folder: Folder, name: str) -> bool:
    """True when a directory stands where the claim says file, and stays. When the file wins, the directory goes (R36)."""
    if not (folder.total_directories or folder.delta_directories):
        return False
    standing = context.working.folders.get(paths.join(folder.path, name))
    if standing is None:
        return False
    decision = rules.retype(context.known_subtree(standing, said), said, context.bound_ms)
    if not decision.apply:
        context.refuse(standing.path, said, decision)
        return True
    remove_directory(context, said, standing, Rule.TYPE)
    context.graves.narrow(standing.path)
    return False


def _is_same_at_a_glance(stored: FileRow, row: FsRow) -> bool:
    """The common case of `_is_same`: all that an old client sends is as it was."""
    return bool(
        stored[MTIME] == row.modified_time
        and stored[SIZE] == row.size
        and stored[CTIME] == row.created_time
        and row.kind is None
        and row.mode is row.inode is None
    )


def _is_same(stored: FileRow, row: FsRow) -> bool:
    """Whether a row says nothing new (R19); a field that the row lacks says nothing."""
    return (
        (stored[MTIME] == row.modified_time or row.modified_time is None)
        and (stored[SIZE] == row.size or row.size is None)
        and (row.created_time is None or stored[CTIME] == row.created_time)
        and (row.inode is None or stored[INODE] == row.inode)
        and (row.kind is None or stored[KIND] == KIND_NUMBER[row.kind])
        and (row.mode is None or stored[META][3:] == (row.mode, row.uid, row.gid, row.inode, row.nlink))
    )


def _merged(stored: FileRow, row: FsRow) -> tuple[Any, ...]:
    """Kind and metadata after an update: a field that the row lacks keeps its value."""
    kind = KIND_NUMBER[row.kind] if row.kind else stored[KIND]
    size, mtime = row.size, row.modified_time
    if size is not None and mtime is not None and row.mode is row.uid is row.gid is row.inode is row.nlink is None:
        return (kind, size, mtime, stored[CTIME] if row.created_time is None else row.created_time, *stored[MODE : NLINK + 1])
    given = (row.size, row.modified_time, row.created_time, row.mode, row.uid, row.gid, row.inode, row.nlink)
    return (kind, *[old if new is None else new for new, old in zip(given, stored[META], strict=True)])
