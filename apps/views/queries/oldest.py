"""The oldest directory below a path, for `oldest_item_path`: the one figure of `stats` that no stored row holds.

Finding it reads every directory of the subtree, so in a big subtree an answer is kept for half a minute (R46 before exactness:
an age of years does not change in half a minute). A small subtree is always read.
"""

import time

from apps.views.models import Tree
from apps.views.queries import sql
from fustor_schema import paths

READ_ALWAYS = 2_000
KEPT_SECONDS = 30.0
MOST_KEPT = 1_000

_kept: dict[tuple[int, float | None, str], tuple[float, str | None]] = {}


def oldest_below(tree: Tree, key: str, directories: int) -> str | None:
    """The path of the directory with the oldest mtime below a path that holds so many directories; None when none has one."""
    if directories <= READ_ALWAYS:
        return _read(tree, key)
    place = (tree.pk, tree.snapshot_complete_at, key)
    until, path = _kept.get(place, (0.0, None))
    if time.monotonic() >= until:
        path = _read(tree, key)
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[place] = (time.monotonic() + KEPT_SECONDS, path)
    return path


def _read(tree: Tree, key: str) -> str | None:
    low, high = sql.below(key)
    row = sql.fetch_one(
        f"SELECT path FROM {sql.DIRECTORY} "
        "WHERE tree_id = %s AND path > %s AND path < %s AND mtime IS NOT NULL ORDER BY mtime, path LIMIT 1",
        (tree.pk, low, high),
    )
    return None if row is None else paths.display(row[0])
