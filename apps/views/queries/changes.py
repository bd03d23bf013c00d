"""The change feed of a tree: what changed, in order, with a sequence to go on from; `reset` when the past is gone (R46)."""

from collections.abc import Iterator
from typing import Any

import msgspec

from apps.views import rulebook
from apps.views.models import ChangeBatch, Tree
from fustor_schema import paths

BATCHES_PER_READ = 50


class Change(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One change. `kind`: created, modified, deleted, moved (then `from_path`); a directory stands for all below it.

    `member`: the pipe, in a forest.
    """

    seq: int
    kind: str
    path: str
    content_type: str
    size: int
    modified_time: float | None
    at: float
    source: str
    rule: str | None
    path_b64: str | None = None
    from_path: str | None = None
    from_path_b64: str | None = None
    member: str | None = None


class Feed(msgspec.Struct, kw_only=True):
    """Changes behind `since`, in order. Ask again with `since=next_seq`. `more`: there is more to read at once.

    `reset` true: what was there before is void or no longer known; read the tree anew, then go on from `next_seq`.
    """

    view_id: str
    since: int
    next_seq: int
    changes: list[Change]
    more: bool = False
    reset: bool = False
    reset_reason: str | None = None


def feed(tree: Tree, since: int | None, key: str, limit: int) -> Feed:
    """Changes behind `since` at a path or below it. Without `since`: nothing yet, only where the feed stands now."""
    start = tree.change_seq if since is None else since
    answer = Feed(view_id=tree.view.slug, since=start, next_seq=start, changes=[])
    if start > tree.change_seq:
        return _reset(answer, tree.change_seq, "the feed never reached this sequence; the view was made anew")
    if start == tree.change_seq:
        return answer
    return _read(tree, answer, key, limit)


def _read(tree: Tree, answer: Feed, key: str, limit: int) -> Feed:
    batches = list(ChangeBatch.objects.filter(tree=tree, last_seq__gt=answer.since).order_by("last_seq")[: BATCHES_PER_READ + 1])
    if not batches or batches[0].last_seq - batches[0].count > answer.since:
        return _reset(answer, tree.change_seq, "changes this old are no longer kept")
    for batch in batches[:BATCHES_PER_READ]:
        for seq, entry in _entries(batch, answer.next_seq):
            if entry[0] == "reset":
                return _reset(answer, seq, "the view was emptied or became complete anew")
            answer.next_seq = seq
            if _concerns(entry, key):
                answer.changes.append(_change(seq, entry, batch, tree.scope))
                if len(answer.changes) == limit:
                    answer.more = seq < tree.change_seq
                    return answer
    answer.more = len(batches) > BATCHES_PER_READ
    return answer


def _reset(answer: Feed, seq: int, reason: str) -> Feed:
    """What was collected before a reset is void with it."""
    answer.changes, answer.reset, answer.reset_reason, answer.next_seq = [], True, reason, seq
    return answer


def _entries(batch: ChangeBatch, after: int) -> Iterator[tuple[int, list[Any]]]:
    first = batch.last_seq - batch.count + 1
    for number, entry in enumerate(msgspec.json.decode(bytes(batch.entries))):
        if first + number > after:
            yield first + number, entry


def _concerns(entry: list[Any], key: str) -> bool:
    """True when the change is at or below the path, or takes the path away with a directory above it."""
    touched = [entry[1], *entry[6:7]]
    if any(paths.is_within(path, key) for path in touched):
        return True
    return entry[2] and entry[0] in ("deleted", "moved") and any(paths.is_within(key, path) for path in touched)


def _change(seq: int, entry: list[Any], batch: ChangeBatch, scope: str) -> Change:
    kind, path, is_directory, size, mtime, rule, *rest = entry
    origin = rest[0] if rest else None
    return Change(
        seq=seq,
        kind=kind,
        path=paths.display(path),
        path_b64=_raw(path),
        content_type="directory" if is_directory else "file",
        size=size,
        modified_time=mtime,
        at=batch.at / 1000,
        source=batch.source,
        rule=rulebook.tag(rule),
        from_path=None if origin is None else paths.display(origin),
        from_path_b64=None if origin is None else _raw(origin),
        member=scope or None,
    )


def _raw(path: str) -> str | None:
    return paths.to_base64(path) if paths.is_escaped(path) else None
