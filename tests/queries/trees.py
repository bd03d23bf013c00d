"""Builders of stored trees for these tests: rows of the node tables with right totals, without the arbitration."""

from collections import defaultdict
from typing import Any

from apps.views.models import Directory, File, Tree, View
from fustor_schema import paths

T0 = 1_750_000_000.0


def make_view(slug: str = "v", scope: str = "", **columns: Any) -> Tree:
    """A view with one complete, live tree."""
    view, _ = View.objects.get_or_create(slug=slug, defaults={"driver": "fs-forest" if scope else "fs"})
    values = {"snapshot_complete_at": T0, "last_snapshot_at": T0, "live_sessions": 1, "leader_session": 1, "change_seq": 10}
    return Tree.objects.create(view=view, scope=scope, **{**values, **columns})


def fill(tree: Tree, files: dict[str, dict[str, Any]] | list[str], directories: dict[str, dict[str, Any]] | None = None) -> None:
    """Store files (and extra directories) with their parents. A list means size 1 and mtime T0."""
    rows = files if isinstance(files, dict) else {path: {} for path in files}
    wanted = {paths.ROOT, *(directories or {})}
    wanted |= paths.above_all((*rows, *wanted))
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for path, row in rows.items():
        for above in paths.ancestors(path):
            totals[above][0] += 1
            totals[above][2] += row.get("size", 1)
    for path in wanted:
        for above in paths.ancestors(path):
            totals[above][1] += 1
    stored: dict[str, Directory] = {}
    for path in sorted(wanted, key=paths.depth):
        count = totals[path]
        stored[path] = Directory.objects.create(
            tree=tree,
            path=path,
            name=paths.name(path),
            parent=None if path == paths.ROOT else stored[paths.parent(path)],
            total_files=count[0],
            total_directories=count[1],
            total_bytes=count[2],
            **{"mtime": T0, **(directories or {}).get(path, {})},
        )
    File.objects.bulk_create(
        File(directory=stored[paths.parent(path)], name=paths.name(path), **{"size": 1, "mtime": T0, **row})
        for path, row in rows.items()
    )
