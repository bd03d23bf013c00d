"""Nodes as answers show them (protocol V2's fields first), made from rows of the node tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from apps.views.models import Flag, NodeKind, Tree
from apps.views.ports import SessionLabel, ports
from apps.views.queries import sql
from apps.views.queries.gaps import open_gaps
from fustor_schema import paths

_KINDS = {int(kind): kind.label for kind in NodeKind}
_UNSIGNED_64 = 1 << 64  # the column is signed
_NOBODY = SessionLabel("", "", "", "")


class Node(msgspec.Struct, omit_defaults=True, gc=False, kw_only=True):
    """One node. Times are Unix seconds, sizes bytes. Fields without a default are in every answer.

    `path_b64`: the raw bytes, when `path` is only a display form. `unverified`: an open gap covers it (R37).
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


class DirectoryNode(Node, omit_defaults=True, gc=False, kw_only=True):
    """A directory, with recursive totals that exclude itself. `unscanned`: why its last listing failed (R12)."""

    audit_skipped: bool
    total_files: int
    total_directories: int
    total_size: int
    unscanned: str | None = None
    placeholder: bool = False


class Namer:
    """Turns rows of one tree into nodes. Keeps the labels of sessions and the open gaps of the tree for one answer."""

    def __init__(self, tree: Tree) -> None:
        self._labels: dict[int, SessionLabel] = {}
        self._gaps = tuple(gap.path for gap in open_gaps(tree))

    def learn(self, rows: Iterable[sql.Row]) -> None:
        """Look up, at once, the sessions that these rows name (their last column)."""
        unknown = {row[-1] for row in rows} - self._labels.keys()
        if unknown:
            found = ports.session_labels(unknown)
            self._labels.update({number: found.get(number, _NOBODY) for number in unknown})

    def files(self, directory: str, rows: Sequence[sql.Row]) -> list[Node]:
        """The nodes of file rows that lie in one directory."""
        self.learn(rows)
        prefix = "/" if directory == paths.ROOT else f"{directory}/"
        return [self.file(prefix + row[1], row) for row in rows]

    def file(self, key: str, row: sql.Row) -> Node:
        """One file row (columns `sql.FILE_COLUMNS`); its session was learnt."""
        kind = _KINDS[row[2]]
        return Node(content_type="file", kind=kind, **self._shared(key, row[1], row[3:]))

    def directory(self, row: sql.Row) -> DirectoryNode:
        """One directory row (columns `sql.DIRECTORY_COLUMNS`); its session was learnt."""
        _, key, _, files, directories, size, unscanned = row[:7]
        flags = row[15]
        return DirectoryNode(
            content_type="directory",
            kind="directory",
            audit_skipped=bool(flags & Flag.AUDIT_SKIPPED),
            total_files=files,
            total_directories=directories,
            total_size=size,
            unscanned=unscanned or None,
            placeholder=bool(flags & Flag.PLACEHOLDER),
            **self._shared(key, paths.name(key), row[7:]),
        )

    def _shared(self, key: str, name: str, metadata: sql.Row) -> dict[str, Any]:
        size, mtime, ctime, mode, uid, gid, inode, nlink, flags, session = metadata
        label = self._labels.get(session, _NOBODY)
        escaped = paths.is_escaped(key)
        return {
            "name": paths.display(name) if escaped else name,
            "path": paths.display(key) if escaped else key,
            "path_b64": paths.to_base64(key) if escaped else None,
            "size": size,
            "modified_time": mtime,
            "created_time": ctime,
            "integrity_suspect": flags & 1 == 1,
            "agent_missing": flags & 4 == 4,
            "last_agent_id": label.agent_id or None,
            "source_uri": label.source_uri or None,
            "mode": mode,
            "uid": uid,
            "gid": gid,
            "inode": None if inode is None else inode % _UNSIGNED_64,
            "nlink": nlink,
            "unverified": bool(self._gaps) and any(paths.is_within(key, gap) for gap in self._gaps),
        }
