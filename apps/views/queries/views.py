"""Which views a principal may read, and how each is."""

from typing import Any

from apps.views import freshness
from apps.views.access import Principal
from apps.views.models import View
from apps.views.queries.stats import freshness_of


def listing(principal: Principal, now: float) -> dict[str, Any]:
    """The answer of `GET /views`."""
    found = principal.readable_views().filter(enabled=True).prefetch_related("trees").order_by("slug")
    shown = [_entry(view, now) for view in found]
    return {"views": shown, "count": len(shown)}


def _entry(view: View, now: float) -> dict[str, Any]:
    trees = list(view.trees.all())
    return {
        "view_id": view.slug,
        "name": view.name or view.slug,
        "driver": view.driver,
        "members": [tree.scope for tree in trees if tree.scope],
        "complete": any(tree.snapshot_complete_at is not None for tree in trees),
        "freshness": freshness.of_view([freshness_of(tree, now) for tree in trees]).payload() if trees else None,
    }
