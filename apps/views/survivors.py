"""What stands at the target of a rename and is newer than it: another source told it before the rename was heard of (R5, R39).

Called by `moves`. The kernel renames a directory over an empty one only, so whatever is older than the rename was gone by then, and
whatever is newer lies in the directory that moved there.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from apps.views.claims import Said
from apps.views.context import BLIND_MARKS, DOUBT, PARTIAL, REALTIME, Context
from apps.views.folder import FLAGS, MTIME, NAME, RULE, SIZE, UID, FileRow, Folder
from apps.views.removals import remove_directory, remove_file
from apps.views.rules import Rule
from apps.views.store import nodes
from fustor_schema import paths

MOST = 1_000
# of a directory's state: what its own row says, without totals and listings
_OWN = slice(0, nodes.OWN_COLUMNS)


class Survivors(NamedTuple):
    """Directories, and files as (path, row)."""

    directories: list[nodes.ToldFolder]
    files: list[tuple[str, FileRow]]


NONE = Survivors([], [])


def of(context: Context, said: Said, standing: Folder) -> Survivors | None:
    """What of a directory, itself included, a rename over it does not end. None when a scan has to tell: there is too much, or a
    newer directory holds older things, so that it may have moved here with them.
    """
    if standing.is_new:
        return NONE
    error = said.error_ms
    since = nodes.Since(said.session, said.observed_at - 2 * error, said.observed_at + error + context.bound_ms + 1)
    folders, files = nodes.told_since(context.tree.pk, standing.path, since, MOST)
    told = [*(folder.path for folder in folders), *(path for path, _ in files)]
    newer = Counter(above for path in told for above in paths.ancestors(path))
    if len(told) > MOST or any(folder.below > newer[folder.path] for folder in folders):
        return None
    return Survivors(folders, files)


def put_back(context: Context, said: Said, survivors: Survivors) -> None:
    """Store them in the directory that moved to their place; they are newer than what came with it."""
    context.working.load([*(told.path for told in survivors.directories), *(path for path, _ in survivors.files)])
    for told in sorted(survivors.directories):
        folder = _folder(context, said, told.path)
        folder.values[_OWN] = told.own
        folder.flags, folder.dirty = folder.flags & ~BLIND_MARKS, True
        context.changed("modified", told.path, folder.rule, is_directory=True, mtime=folder.meta[1])
    inside: defaultdict[Folder, list[tuple[str, FileRow]]] = defaultdict(list)
    for path, row in survivors.files:
        inside[_folder(context, said, paths.parent(path))].append((path, row))
    for folder, rows in inside.items():
        context.working.load_files({folder: [row[NAME] for _, row in rows]})
        for path, row in rows:
            _put_file(context, said, folder, path, row)


def _folder(context: Context, said: Said, path: str) -> Folder:
    """The directory at a path, made with its parents where it is missing. A file that stands in the way is older."""
    missing = []
    while path not in context.working.folders:
        missing.append(path)
        path = paths.parent(path)
    folder = context.working.folders[path]
    for below in reversed(missing):
        name = paths.name(below)
        context.working.load_files({folder: [name]})
        if name in folder.files:
            remove_file(context, said, folder, name, Rule.TYPE)
        folder = context.working.add_folder(below)
        folder.observed_at, folder.decided_at, folder.session = said.observed_at, context.now_ms, said.session
        folder.rule, folder.flags = int(Rule.MOVED), folder.flags | REALTIME
        context.room -= 1
        context.changed("created", below, Rule.MOVED, is_directory=True)
    return folder


def _put_file(context: Context, said: Said, folder: Folder, path: str, row: FileRow) -> None:
    name = row[NAME]
    if (other := context.working.folders.get(path)) is not None:
        remove_directory(context, said, other, Rule.TYPE)
    before = folder.files.get(name)
    if before is not None and before[UID] is not None:
        folder.add_owner(before[UID], -1, -before[SIZE])
    if row[UID] is not None:
        folder.add_owner(row[UID], 1, row[SIZE])
    flags = row[FLAGS] & ~(BLIND_MARKS | DOUBT)
    if row[FLAGS] & DOUBT:
        flags |= context.suspect(path, row[MTIME], row[SIZE], partial=bool(row[FLAGS] & PARTIAL))
    elif before is not None and before[FLAGS] & DOUBT:
        context.remains.suspects[path] = None
    context.working.put_file(folder, name, (folder.id, *row[NAME:FLAGS], flags, *row[FLAGS + 1 :]), before)
    context.room -= before is None
    context.changed("created" if before is None else "modified", path, row[RULE], size=row[SIZE], mtime=row[MTIME])
