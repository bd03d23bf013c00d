"""Recognises what a scan merely repeats, without looking at it row by row: most of a second snapshot and of every audit.

Called by `loading`, for folders of which the batch names each file once. A folder whose files all stand as they are told is marked
`is_repeated`; of any other, the rows that a claim repeats are marked SAME and only the rest is read in full.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import Any

from apps.views.context import KIND_NUMBER
from apps.views.folder import SAME, Folder
from apps.views.intake import Entry, Intake, Op, Telling
from apps.views.store import nodes
from apps.views.working import WorkingSet
from fustor_schema.sources import MessageSource

_WHOLE_SCANS = {MessageSource.SNAPSHOT, MessageSource.AUDIT}
_all: Callable[[Any], tuple[Any, ...]] = attrgetter("size", "modified_time", "created_time", "mode", "uid", "gid", "inode", "nlink")
_COLUMNS = {
    Telling.LITTLE: ("size", "mtime", "ctime"),
    Telling.ALL: ("kind", "size", "mtime", "ctime", "mode", "uid", "gid", "inode", "nlink"),
}

Told = tuple[Any, ...]
"""(directory id, name, what is told of the file …), in the order of the columns."""


def candidates(working: WorkingSet, checked: Intake, names: dict[Folder, list[str]]) -> dict[Folder, list[Entry]]:
    """The entries of each stored folder that is worth reading whole and of which one claim names every file once.

    Only where nothing but whole scans speak in the batch, all in the same detail: then a row that repeats what is stored needs
    no closer look.
    """
    if checked.telling is Telling.MIXED or checked.moves:
        return {}
    if any(claim[0] is Op.DELETE or claim[1].source not in _WHOLE_SCANS for claim in checked.claims):
        return {}
    found: dict[Folder, list[Entry]] = {}
    for op, _, directory, entries, _ in checked.claims:
        folder = working.folders.get(directory)
        if op is Op.FILE and folder is not None and len(names[folder]) == len(entries) and folder.is_worth_reading_whole(entries):
            found[folder] = entries
    return found


def recognise(telling: Telling, claimed: dict[Folder, list[Entry]]) -> None:
    """Mark what the claims repeat; load the rows that they do not."""
    entire = {folder: entries for folder, entries in claimed.items() if len(entries) == folder.total_files}
    told, stored = _compared(telling, entire)
    if list(chain.from_iterable(told.values())) == stored:
        for folder in entire:
            folder.is_repeated = True
    else:
        _look_at_each(entire, told, stored)
    parts = {folder: entries for folder, entries in claimed.items() if folder not in entire}
    _look_at_each(parts, *_compared(telling, parts))


def _compared(telling: Telling, claimed: dict[Folder, list[Entry]]) -> tuple[dict[int, list[Told]], list[Told]]:
    """(what is told by directory id, what is stored), both by directory id."""
    folders = sorted(claimed, key=attrgetter("id"))
    told = {folder.id: _told(telling, folder.id, claimed[folder]) for folder in folders}
    return told, nodes.some_columns_of(list(told), _COLUMNS[telling]) if told else []


def _told(telling: Telling, number: int, entries: Iterable[Entry]) -> list[Told]:
    if telling is Telling.LITTLE:
        return [(number, name, row.size, row.modified_time, row.created_time) for name, row, _ in entries]
    return [(number, name, KIND_NUMBER[row.kind], *_all(row)) for name, row, _ in entries]  # type: ignore[index]  # ALL includes the kind


def _look_at_each(claimed: dict[Folder, list[Entry]], told: dict[int, list[Told]], stored: Iterable[Told]) -> None:
    """Directory by directory, and row by row where a directory is not told as it is stored."""
    folders = {folder.id: folder for folder in claimed}
    differing: list[tuple[int, str]] = []
    for number, rows in groupby(stored, itemgetter(0)):
        found = list(rows)
        if sorted(told[number], key=itemgetter(1)) == found:
            folders[number].is_repeated = True
        else:
            differing.extend((number, name) for name in _mark_same(folders[number], told[number], found))
    for row in nodes.files(differing):
        folders[row[0]].files[row[1]] = row


def _mark_same(folder: Folder, told: Sequence[Told], found: Sequence[Told]) -> list[str]:
    """The names that are stored otherwise than they are told."""
    by_name = {row[1]: row for row in found}
    differing = []
    for row in told:
        stored = by_name.get(row[1])
        if stored == row:
            folder.files[row[1]] = SAME
        elif stored is not None:
            differing.append(row[1])
    return differing
