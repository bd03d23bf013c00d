"""Nodes as answers show them (protocol V2's fields first), made from rows of the node tables."""

from collections.abc import Iterable, Sequence

import msgspec

from apps.views.models import Flag, NodeKind, Tree
from apps.views.ports import SessionLabel, ports
from apps.views.queries import sql
from apps.views.queries.gaps import open_gaps
from fustor_schema import paths

_KINDS = {int(kind): kind.label for kind in NodeKind}
_SUSPECT, _BLIND = int(Flag.SUSPECT), int(Flag.BLIND)
_UNSIGNED_64 = 1 << 64  # the column is signed


class Node(msgspec.Struct, omit_defaults=True, gc=False, kw_only=True):
    """One node. Times are Unix seconds, sizes bytes. Fields without a default are in every answer.

    `path_b64`: the raw bytes, when `path` is only a display form. `unverified`: an open gap covers it (R37).
    `member`: the pipe id, in a forest.
    """

    name: str
    content_type: str
    path: str
    size: int
    modified_time: float | None
    created_time: float | None
    integrity_suspect: bool
    agent_missing: bool
    last_agent_id: str | None
    source_uri: str | None
    kind: str
    path_b64: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    inode: int | None = None
    nlink: int | None = None
    unverified: bool = False
    member: str | None = None


class DirectoryNode(Node, omit_defaults=True, gc=False, kw_only=True):
    """A directory, with recursive totals that exclude itself. `unscanned`: why its last listing failed (R12)."""

    audit_skipped: bool
    total_files: int
    total_directories: int
    total_size: int
    unscanned: str | None = None
    placeholder: bool = False


class Namer:
    """Turns rows of one tree into nodes. Keeps the names of sessions and the open gaps of the tree for one answer."""

    def __init__(self, tree: Tree) -> None:
        self._names: dict[int, tuple[str | None, str | None]] = {}
        self._gaps = tuple(gap.path for gap in open_gaps(tree))
        self._member = tree.scope or None

    def learn(self, rows: Iterable[sql.Row]) -> None:
        """Look up, at once, the sessions that these rows name (their last column)."""
        unknown = {row[-1] for row in rows} - self._names.keys()
        if unknown:
            found = ports.session_labels(unknown)
            self._names.update({number: _named(found.get(number)) for number in unknown})

    def files(self, directory: str, rows: Sequence[sql.Row]) -> list[Node]:
        """The nodes of file rows that lie in one directory."""
        self.learn(rows)
        prefix = "/" if directory == paths.ROOT else f"{directory}/"
        return [self.file(prefix + row[1], row) for row in rows]

    def file(self, key: str, row: sql.Row) -> Node:
        """One file row (columns `sql.FILE_COLUMNS`); its session was learnt."""
        _, name, kind, size, mtime, ctime, mode, uid, gid, inode, nlink, flags, session = row
        agent, source = self._names[session]
        escaped = not key.isascii() and paths.is_escaped(key)
        # written out, without a dict in between: the hot loop of every big answer
        return Node(
            name=paths.display(name) if escaped else name,
            content_type="file",
            path=paths.display(key) if escaped else key,
            path_b64=paths.to_base64(key) if escaped else None,
            size=size,
            modified_time=mtime,
            created_time=ctime,
            integrity_suspect=flags & _SUSPECT == _SUSPECT,
            agent_missing=flags & _BLIND == _BLIND,
            last_agent_id=agent,
            source_uri=source,
            kind=_KINDS[kind],
            mode=mode,
            uid=uid,
            gid=gid,
            inode=None if inode is None else inode % _UNSIGNED_64,
            nlink=nlink,
            unverified=bool(self._gaps) and self._is_unverified(key),
            member=self._member,
        )

    def directory(self, row: sql.Row) -> DirectoryNode:
        """One directory row (columns `sql.DIRECTORY_COLUMNS`); its session was learnt."""
        _, key, _, files, directories, total, unscanned, size, mtime, ctime, mode, uid, gid, inode, nlink, flags, session = row
        agent, source = self._names[session]
        escaped = not key.isascii() and paths.is_escaped(key)
        return DirectoryNode(
            name=paths.display(paths.name(key)),
            content_type="directory",
            path=paths.display(key),
            path_b64=paths.to_base64(key) if escaped else None,
            size=size,
            modified_time=mtime,
            created_time=ctime,
            integrity_suspect=flags & _SUSPECT == _SUSPECT,
            agent_missing=flags & _BLIND == _BLIND,
            last_agent_id=agent,
            source_uri=source,
            kind="directory",
            mode=mode,
            uid=uid,
            gid=gid,
            inode=None if inode is None else inode % _UNSIGNED_64,
            nlink=nlink,
            unverified=bool(self._gaps) and self._is_unverified(key),
            member=self._member,
            audit_skipped=bool(flags & Flag.AUDIT_SKIPPED),
            total_files=files,
            total_directories=directories,
            total_size=total,
            unscanned=unscanned or None,
            placeholder=bool(flags & Flag.PLACEHOLDER),
        )

    def _is_unverified(self, key: str) -> bool:
        return any(paths.is_within(key, gap) for gap in self._gaps)


def _named(label: SessionLabel | None) -> tuple[str | None, str | None]:
    """(agent id, source uri) as nodes show them."""
    return (None, None) if label is None else (label.agent_id or None, label.source_uri or None)
