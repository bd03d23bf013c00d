"""Questions to all members of a forest at once: one path's copies, stats with the best, trees, a directory compared (R51)."""

from collections.abc import Iterator
from typing import Any

import msgspec

from apps.runtime.problems import Invalid, NotFound
from apps.views.forest import Best, Copy, MemberState, best_of, differences, state_of
from apps.views.freshness import Freshness, State, of_view
from apps.views.models import Directory, Tree, View
from apps.views.queries import lookup, sql
from apps.views.queries.lookup import nodes_at
from apps.views.queries.nodes import DirectoryNode, Node
from apps.views.queries.scope import incomplete
from apps.views.queries.stats import freshness_of, stats_answer
from apps.views.queries.tree import TreeQuestion, encode, written
from fustor_schema import paths


def members(view: View) -> list[Tree]:
    """The trees of a forest by pipe id. Raises Unavailable while none of them was ever complete (R25)."""
    trees = list(Tree.objects.filter(view=view).exclude(scope="").select_related("view").order_by("scope"))
    if not any(tree.snapshot_complete_at is not None for tree in trees):
        raise incomplete(view, next((tree for tree in trees if tree.live_sessions), trees[0] if trees else None))
    return trees


def stats(view: View, key: str, by: Best, now: float) -> dict[str, Any]:
    """The stats of a path in every member, and which is best."""
    figures = [_member_stats(tree, key, now) for tree in members(view)]
    best = best_of({figure["pipe_id"]: figure for figure in figures if figure["status"] == "ok"}, by)
    value = next((figure[by.value] for figure in figures if figure["pipe_id"] == best), None)
    return {
        "view_id": view.slug,
        "path": paths.display(key),
        "members": figures,
        "best": None if best is None else {"pipe_id": best, "reason": by.value, "value": value},
    }


def _member_stats(tree: Tree, key: str, now: float) -> dict[str, Any]:
    """`status`: ok with the figures; present, missing or unknown without."""
    freshness = freshness_of(tree, now)
    about = {"pipe_id": tree.scope, "freshness": freshness.payload()}
    row = None
    if tree.snapshot_complete_at is not None:
        row = sql.fetch_one(f"SELECT newest_mtime FROM {sql.DIRECTORY} WHERE tree_id = %s AND path = %s", (tree.pk, key))
    if row is None:
        return {**about, **no_directory_in(tree, key, freshness)}
    figures = stats_answer(tree, key, now)
    return {
        **about,
        "status": "ok",
        **figures,
        "file_count": figures["total_files"],
        "latest_mtime": row[0],
    }


def no_directory_in(tree: Tree, key: str, freshness: Freshness) -> dict[str, Any]:
    """`status` and `error` of a member without a directory at a path: present (of another kind), missing or unknown."""
    if tree.snapshot_complete_at is None:
        return {"status": MemberState.UNKNOWN.value, "error": incomplete(tree.view, tree).detail}
    error = lookup.no_directory(tree, key)
    if isinstance(error, Invalid):
        return {"status": MemberState.PRESENT.value, "error": error.detail}
    return {"status": state_of(None, trusted=trusted(tree, key, freshness)).value, "error": error.detail}


def trusted(tree: Tree, key: str, freshness: Freshness) -> bool:
    """Whether the member's not holding a path means that it is not there: it is fresh, and could read the directory above."""
    if freshness.state is not State.LIVE:
        return False
    above = paths.ancestors(key)
    return not Directory.objects.filter(tree=tree, path__in=above).exclude(unscanned="").exists()


def trees(view: View, question: TreeQuestion, by: Best | None, now: float) -> Iterator[bytes]:
    """The JSON of the tree at a path in every member, with `by` in the best only; in chunks, one member after the other."""
    asked, best = members(view), None
    if by is not None:
        found = stats(view, question.key, by, now)["best"]
        best = None if found is None else found["pipe_id"]
        asked = [tree for tree in asked if tree.scope == best]
    return _written(asked, question, best, now)


def _written(asked: list[Tree], question: TreeQuestion, best: str | None, now: float) -> Iterator[bytes]:
    yield encode({"path": paths.display(question.key), "best": best})[:-1] + b',"members":{'
    for number, tree in enumerate(asked):
        yield (b"," if number else b"") + encode(tree.scope) + b":"
        yield from _member_tree(tree, question, now)
    yield b"}}"


def _member_tree(tree: Tree, question: TreeQuestion, now: float) -> Iterator[bytes]:
    freshness = freshness_of(tree, now)
    if tree.snapshot_complete_at is None:
        yield encode(no_directory_in(tree, question.key, freshness))
        return
    try:
        chunks = written(tree, question, {"as_of_seq": tree.change_seq}, lookup.directory_row(tree, question.key))
    except NotFound:
        yield encode({**no_directory_in(tree, question.key, freshness), "freshness": freshness.payload()})
        return
    yield encode({"status": "ok", "freshness": freshness.payload()})[:-1] + b',"data":'
    yield from chunks
    yield b"}"


class Copies(msgspec.Struct, kw_only=True):
    """One path in every member: `status` present with its `node`, missing or unknown; `differs`: in what the copies do."""

    view_id: str
    path: str
    path_b64: str | None
    members: list[dict[str, Any]]
    differs: list[str]


def copies(view: View, key: str, now: float) -> tuple[Copies, Freshness]:
    """The node at a path in every member, and how fresh they are together. Raises NotFound, Unavailable."""
    asked = _sides(view, key, now)
    found = Copies(
        view_id=view.slug,
        path=paths.display(key),
        path_b64=paths.to_base64(key) if paths.is_escaped(key) else None,
        members=[member.summary() for member in asked],
        differs=_differs(asked),
    )
    return found, of_view([member.freshness for member in asked])


class Compared(msgspec.Struct, kw_only=True):
    """One name in several members. `states` and `copies` by pipe id; `differs`: in what."""

    name: str
    path: str
    path_b64: str | None
    differs: list[str]
    states: dict[str, str]
    copies: dict[str, Node | DirectoryNode]


class Comparison(msgspec.Struct, kw_only=True):
    """The entries of one directory side by side. `members`: what each says of the directory itself."""

    view_id: str
    path: str
    members: list[dict[str, Any]]
    differs: list[str]
    entries: list[Compared]
    next_cursor: str | None


def compare(view: View, key: str, after: str, limit: int, *, only_differences: bool, now: float) -> Comparison:
    """The path in every member, and its direct entries by name, those behind the name `after`. Raises NotFound, Unavailable."""
    asked = _sides(view, key, now)
    entries: list[Compared] = []
    scanned = after
    for name in _names(asked, after, limit):
        scanned = name
        entry = _compared(asked, key, name)
        if entry.differs or not only_differences:
            entries.append(entry)
    more = any(member.more for member in asked) and scanned != after
    return Comparison(
        view_id=view.slug,
        path=paths.display(key),
        members=[member.summary() for member in asked],
        differs=_differs(asked),
        entries=entries,
        next_cursor=paths.to_base64(paths.join(paths.ROOT, scanned)) if more else None,
    )


class _Member:
    """One member's side of a comparison: the directory, and a page of its entries by name."""

    def __init__(self, tree: Tree, key: str, now: float) -> None:
        self.tree, self.key, self.pipe = tree, key, tree.scope
        self.freshness = freshness_of(tree, now)
        self.complete = tree.snapshot_complete_at is not None
        self.top = nodes_at(tree, [key]).get(key) if self.complete else None
        self.trusted = self.complete and trusted(tree, key, self.freshness)
        self.state = state_of(copy_of(self.top) if self.top else None, trusted=self.trusted)
        self.entries: dict[str, Node | DirectoryNode] = {}
        self.more = False

    def read(self, after: str, limit: int) -> None:
        """Read up to `limit` entries behind a name."""
        if isinstance(self.top, DirectoryNode):
            self.entries = lookup.entries_of(self.tree, self.key, after, limit + 1)
            self.more = len(self.entries) > limit

    def says(self, name: str) -> MemberState:
        """What it says of an entry: a directory whose listing failed cannot say that a name is missing."""
        entry = self.entries.get(name)
        knows = self.trusted and not (isinstance(self.top, DirectoryNode) and self.top.unscanned)
        return state_of(copy_of(entry) if entry else None, trusted=knows)

    def summary(self) -> dict[str, Any]:
        """What it says of the directory itself."""
        return {"pipe_id": self.pipe, "status": self.state.value, "node": self.top, "freshness": self.freshness.payload()}


def _sides(view: View, key: str, now: float) -> list[_Member]:
    """Every member's side of a path. Raises NotFound when all of them know that it is not there, Unavailable."""
    asked = [_Member(tree, key, now) for tree in members(view)]
    if all(member.state is MemberState.MISSING for member in asked):
        raise lookup.absent(key)
    return asked


def _differs(asked: list[_Member]) -> list[str]:
    return differences({side.pipe: side.state for side in asked}, {side.pipe: copy_of(side.top) for side in asked if side.top})


def _names(asked: list[_Member], after: str, limit: int) -> list[str]:
    """The next names over all members, at most `limit`: none is passed over, since each member was read that far."""
    for member in asked:
        member.read(after, limit)
    names = sorted({name for member in asked for name in member.entries})
    for member in asked:
        member.more = member.more or len(names) > limit
    return names[:limit]


def _compared(asked: list[_Member], key: str, name: str) -> Compared:
    path = paths.join(key, name)
    states = {member.pipe: member.says(name) for member in asked}
    copies = {member.pipe: member.entries[name] for member in asked if name in member.entries}
    return Compared(
        name=paths.display(name),
        path=paths.display(path),
        path_b64=paths.to_base64(path) if paths.is_escaped(path) else None,
        differs=differences(states, {pipe: copy_of(node) for pipe, node in copies.items()}),
        states={pipe: state.value for pipe, state in states.items()},
        copies=copies,
    )


def copy_of(node: Node | DirectoryNode) -> Copy:
    """A node as copies are compared."""
    if isinstance(node, DirectoryNode):
        return Copy(node.kind, node.total_size, None, node.total_files, node.total_directories, node.integrity_suspect)
    return Copy(node.kind, node.size, node.modified_time, suspect=node.integrity_suspect)
