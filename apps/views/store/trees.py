"""The tree's own row: locked at the start of every batch, written at its end, read by every question: each one plain statement.

The ORM builds its SQL anew each time, which costs more than a small batch or answer itself.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from apps.views.models import Tree, View
from apps.views.store import tables
from apps.views.store.dialect import dialect, execute, query

_TREE = [field.attname for field in Tree._meta.concrete_fields]
_VIEW = [field.attname for field in View._meta.concrete_fields]
_JSON = [number for number, name in enumerate(_TREE) if name == "clock"]
_BOOLEAN = [number for number, name in enumerate(_TREE) if name in ("capacity_exceeded", "blind_deletions")]


def lock(tree_id: int) -> Tree:
    """The tree with its view, locked until the transaction ends. Raises Tree.DoesNotExist."""
    columns = ", ".join([*(f"t.{name}" for name in _TREE), *(f"v.{name}" for name in _VIEW)])
    of = f"{dialect().for_update} OF t" if dialect().for_update else ""
    rows = query(f"SELECT {columns} FROM {tables.TREE} t JOIN {tables.VIEW} v ON v.id = t.view_id WHERE t.id = %s {of}", [tree_id])
    if not rows:
        raise Tree.DoesNotExist(f"there is no tree {tree_id}")
    tree = _tree(rows[0][: len(_TREE)])
    tree.view = View.from_db(DEFAULT_DB_ALIAS, _VIEW, list(rows[0][len(_TREE) :]))
    return tree


def of_view(view: View, scope: str) -> Tree | None:
    """The tree of a view with this scope, as questions need it: not locked."""
    rows = query(f"SELECT {', '.join(_TREE)} FROM {tables.TREE} WHERE view_id = %s AND scope = %s", [view.pk, scope])
    if not rows:
        return None
    tree = _tree(rows[0])
    tree.view = view
    return tree


def _tree(row: Sequence[Any]) -> Tree:
    values = list(row)
    for number in _JSON:
        if isinstance(values[number], str):
            values[number] = json.loads(values[number])
    for number in _BOOLEAN:
        values[number] = bool(values[number])
    return Tree.from_db(DEFAULT_DB_ALIAS, _TREE, values)


def save_progress(tree: Tree) -> None:
    """Write what a batch changes of its tree."""
    execute(
        f"UPDATE {tables.TREE} SET change_seq = %s, last_event_at = %s, last_event_latency_ms = %s, capacity_exceeded = %s, "
        "tombstone_count = %s, blind_deletions = %s, clock = %s WHERE id = %s",
        [
            tree.change_seq,
            tree.last_event_at,
            tree.last_event_latency_ms,
            tree.capacity_exceeded,
            tree.tombstone_count,
            tree.blind_deletions,
            json.dumps(tree.clock),
            tree.pk,
        ],
    )


def nodes_of(view_id: int) -> int:
    """How many nodes all trees of a view hold."""
    rows = query(
        f"SELECT SUM(d.total_files + d.total_directories) FROM {tables.TREE} t JOIN {tables.DIRECTORY} d ON d.tree_id = t.id "
        "WHERE t.view_id = %s AND d.path = '/'",
        [view_id],
    )
    return int(rows[0][0] or 0)


def nodes_elsewhere(tree: Tree) -> int:
    """How many nodes the other trees of the tree's view hold."""
    rows = query(
        f"SELECT SUM(d.total_files + d.total_directories) FROM {tables.TREE} t JOIN {tables.DIRECTORY} d ON d.tree_id = t.id "
        "WHERE t.view_id = %s AND t.id <> %s AND d.path = '/'",
        [tree.view_id, tree.pk],
    )
    return int(rows[0][0] or 0)
