"""Nodes that may still be being written, in pages (R40, R46)."""

import msgspec

from apps.views.models import Suspect, Tree
from apps.views.queries import cursors
from apps.views.queries.within import within
from fustor_schema import paths


class SuspectEntry(msgspec.Struct, omit_defaults=True):
    """`suspect_until`: Unix seconds; not before this time can the node be settled. `member`: the pipe, in a forest."""

    path: str
    suspect_until: float
    path_b64: str | None = None
    partial: bool = False
    member: str | None = None


class Suspects(msgspec.Struct):
    """One page, by path."""

    entries: list[SuspectEntry]
    next_cursor: str | None
    as_of_seq: int


def suspects(tree: Tree, key: str, cursor_text: str | None, limit: int) -> Suspects:
    """Suspects at a path or below it. Raises Invalid, Gone."""
    cursor = cursors.resume(cursor_text, tree, cursors.question_of("suspects", key))
    after = cursor.position[0] if cursor.position else ""
    found = list(within(Suspect.objects.filter(tree=tree, path__gt=after), key).order_by("path")[: limit + 1])
    page = found[:limit]
    return Suspects(
        [_entry(suspect, tree.scope) for suspect in page],
        cursors.after(cursor, page[-1].path).text() if len(found) > limit else None,
        cursor.as_of_seq,
    )


def _entry(suspect: Suspect, scope: str) -> SuspectEntry:
    escaped = paths.is_escaped(suspect.path)
    return SuspectEntry(
        paths.display(suspect.path),
        suspect.until,
        paths.to_base64(suspect.path) if escaped else None,
        suspect.partial,
        scope or None,
    )
