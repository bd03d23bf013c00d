"""Where a text can be found, by the name index: spans of names in directories, few enough to be looked at one by one.

What the index does not hold yet is read from the change feed. Nothing is taken on trust: `search` looks every span up in the tree.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from apps.views.models import ChangeBatch, NameChunk, NameIndex, Tree
from apps.views.names import ARRIVALS, is_kept
from apps.views.queries import sql
from apps.views.store import trigrams
from fustor_schema import paths

# more than this is faster read in the order of the tree
MOST_CHUNKS = 5_000
MOST_BATCHES = 2_000
MOST_CHANGES = 50_000

Span = tuple[int, str, str]
"""(directory id, first name, last name)."""


class Candidates(NamedTuple):
    """Every place that may hold a name with the texts: in the whole tree, or, while the first pass of the index is under way, in
    the directories up to `until` (a path; what else the spans hold is no harm)."""

    spans: list[Span]
    until: str | None


def find(tree: Tree, texts: Sequence[str], limit: int) -> Candidates | None:
    """Where names with all these texts may be.

    None: the index cannot say (none yet, too much that came after it), or reading the tree in order finds `limit` hits sooner.
    """
    if not texts or not trigrams.are_installed():
        return None
    index = NameIndex.objects.filter(pk=tree.pk, followed_seq__gte=tree.reset_seq).first()
    if index is None or not (index.complete or index.passed_path):
        return None
    arrived = _arrived(tree, index, texts)
    if arrived is None:
        return None
    most = _most_chunks(tree, limit)
    chunks = trigrams.trigrams().matching(tree.pk, texts, most + 1)
    if len(chunks) > most:
        return None
    spans = [*_of_chunks(chunks), *_of_arrivals(tree, arrived)]
    return Candidates(spans, None if index.complete else index.passed_path)


def _most_chunks(tree: Tree, limit: int) -> int:
    """Up to so many chunks are read faster than the tree in order, where one directory in (all / chunks) has a hit."""
    row = sql.fetch_one(f"SELECT total_directories FROM {sql.DIRECTORY} WHERE tree_id = %s AND path = '/'", (tree.pk,))
    return min(MOST_CHUNKS, math.isqrt(limit * (1 + (row[0] if row else 0))))


def _of_chunks(chunks: Sequence[int]) -> list[Span]:
    rows = sql.fetch(
        f"SELECT directory_id, first, last FROM {NameChunk._meta.db_table} WHERE {sql.one_of('id')}", (sql.bound(chunks),)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _arrived(tree: Tree, index: NameIndex, texts: Sequence[str]) -> list[str] | None:
    """Paths that entered the tree behind what the index follows and whose names hold the texts; None: too many to look at, or a
    directory may have moved from where the first pass was not yet to where it is no more."""
    seq = index.followed_seq
    if seq >= tree.change_seq:
        return []
    if not is_kept(tree.pk, seq):
        return None
    following = ChangeBatch.objects.filter(tree=tree, last_seq__gt=seq).order_by("last_seq")
    batches = list(following.values_list("count", "entries")[: MOST_BATCHES + 1])
    if len(batches) > MOST_BATCHES or sum(count for count, _ in batches) > MOST_CHANGES:
        return None
    folded = [text.casefold() for text in texts]
    found = []
    for _, entries in batches:
        for kind, path, is_directory, *_ in msgspec.json.decode(bytes(entries)):
            if kind == "moved" and is_directory and not index.complete:
                return None
            if kind in ARRIVALS and all(text in path.casefold() for text in folded):
                found.append(path)
    return found


def _of_arrivals(tree: Tree, arrived: Sequence[str]) -> list[Span]:
    if not arrived:
        return []
    parents: dict[str, int] = dict(
        sql.fetch(
            f"SELECT path, id FROM {sql.DIRECTORY} WHERE tree_id = %s AND {sql.one_of('path')}",
            (tree.pk, sql.bound(sorted({paths.parent(path) for path in arrived}))),
        )
    )
    return [(parents[paths.parent(path)], paths.name(path), paths.name(path)) for path in arrived if paths.parent(path) in parents]
