"""The sentinel: suspects are handed out to be looked at again, and what comes back decides them (R40).

Called by the consistency endpoints of apps.sessions, and by `services.put_suspects`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from django.db.models import F

from apps.views import arbiter, removals, roots
from apps.views.claims import Origin, Said
from apps.views.closings import Closings
from apps.views.context import Context
from apps.views.folder import MTIME, SIZE, Folder
from apps.views.intake import Claim, Intake, Op
from apps.views.loading import load
from apps.views.models import Suspect, Tree
from apps.views.outcome import Outcome
from apps.views.rules import Rule
from apps.views.upserts import clear_doubt, overwrite
from fustor_schema import paths
from fustor_schema.sources import MessageSource
from fustor_schema.wire import FsRow


@dataclass(frozen=True, slots=True)
class Look:
    """What a second look at a path found. `path` is a key of `fustor_schema.paths`; mtime in Unix seconds, size in bytes."""

    path: str
    status: Literal["exists", "missing"] = "exists"
    mtime: float | None = None
    size: int | None = None


def tasks(tree_ids: Sequence[int], now: float, limit: int = 1_000) -> list[str]:
    """Paths of suspects to look at again, those not asked for longest first; notes when they were asked (server seconds)."""
    wanted = Suspect.objects.filter(tree__in=tree_ids).order_by(F("asked_at").asc(nulls_first=True), "until", "pk")[:limit]
    suspects = list(wanted)
    Suspect.objects.filter(pk__in=[suspect.pk for suspect in suspects]).update(asked_at=now)
    return [suspect.path for suspect in suspects]


def feedback(tree_id: int, origin: Origin, updates: Sequence[Look], now_ms: int) -> int:
    """Judge what looks at suspects found; how many of the paths are known. Runs in the caller's transaction.

    Same mtime and size, and cold: cleared. Changed: updated, and suspect for another threshold. Missing: a confirmed delete (R40).
    """
    tree = Tree.objects.select_for_update(of=("self",)).select_related("view").get(pk=tree_id)
    if roots.is_foreign(tree, origin):
        return 0
    said = Said(MessageSource.SENTINEL, origin.session, now_ms, 0)
    claims: list[Claim] = [
        (Op.DELETE, said, paths.parent(look.path), [(paths.name(look.path), FsRow(), 0)], 0)
        for look in updates
        if look.path != paths.ROOT
    ]
    checked = Intake(claims, [], len(claims), {}, {})
    context = Context(tree, load(tree.pk, checked, now_ms), origin, Outcome(), None)
    context.graves.load(look.path for look in updates)
    context.last_said = said
    due = _due(tree, context.now)
    known = sum(_judge(context, said, look, due) for look in updates if look.path != paths.ROOT)
    arbiter.write(context, Closings(context))
    return known


def _due(tree: Tree, now: float) -> set[str]:
    """Suspects that have been quiet for the threshold."""
    return set(Suspect.objects.filter(tree=tree, until__lte=now).values_list("path", flat=True))


def _judge(context: Context, said: Said, look: Look, due: set[str]) -> bool:
    folder = context.working.folders.get(paths.parent(look.path))
    name = paths.name(look.path)
    if folder is None or name not in folder.files:
        return False
    if look.status == "missing":
        removals.remove_file(context, said, folder, name, Rule.SUSPECT)
    elif not _is_unchanged(folder, name, look):
        row = FsRow(path=look.path, modified_time=look.mtime, size=look.size)
        overwrite(context, said, folder, name, row, Rule.SUSPECT)
    elif look.path in due or context.logical_now - (folder.files[name][MTIME] or 0.0) >= context.threshold:
        clear_doubt(context, folder, name)
    return True


def _is_unchanged(folder: Folder, name: str, look: Look) -> bool:
    stored = folder.files[name]
    return (look.mtime is None or look.mtime == stored[MTIME]) and (look.size is None or look.size == stored[SIZE])
