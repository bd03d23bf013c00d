"""How long ago everything was looked at (R18): snapshots look at everything, each audit at one share of it. Called by `audits`.

A native agent says in its manifest which of how many shares (`deep_turn` of `deep_cycles`) it listed although nothing seemed to
have changed. Once complete audits of one term have covered all shares, every file was looked at since the oldest of them began.
Directories that could not be read say so themselves (R12).
"""

from collections.abc import Iterable
from typing import Any

from apps.views.models import Audit, Tree

_MOST_AUDITS = 1_000


def covered_since(audits: Iterable[tuple[int, dict[str, Any]]], cycles: int) -> int | None:
    """When the oldest of the latest turns began, from (start in ms, manifest) of complete audits, latest first. None while a share
    is missing. Pure."""
    latest: dict[int, int] = {}
    for started_at, manifest in audits:
        turn, of = manifest.get("deep_turn"), manifest.get("deep_cycles")
        if of == 1:
            latest.update({share: started_at for share in range(cycles) if share not in latest})
        elif of == cycles and isinstance(turn, int) and 0 <= turn < cycles:
            latest.setdefault(turn, started_at)
        if len(latest) == cycles:
            return min(latest.values())
    return None


def note_complete(audit: Audit) -> None:
    """An audit is complete and saved: move the tree's `deep_verified_at` on when all shares are covered. It never goes back, and
    audits from before the last snapshot or reset do not count."""
    cycles = audit.manifest.get("deep_cycles")
    verified_at = Tree.objects.values_list("deep_verified_at", flat=True).get(pk=audit.tree_id)
    if not isinstance(cycles, int) or not 0 < cycles <= _MOST_AUDITS or verified_at is None:
        return
    done = Audit.objects.filter(
        tree_id=audit.tree_id, epoch=audit.epoch, state=Audit.State.COMPLETE, started_at__gte=int(verified_at * 1000)
    )
    since = covered_since(done.order_by("-started_at").values_list("started_at", "manifest")[:_MOST_AUDITS], cycles)
    if since is not None:
        Tree.objects.filter(pk=audit.tree_id).update(deep_verified_at=max(verified_at, since / 1000))
