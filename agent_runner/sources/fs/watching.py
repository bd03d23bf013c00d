"""Which directories are watched: placing, dropping and moving watches, the hot set within the limit, checking after an overflow.

Used by watcher.py from its one thread. `emit` takes events of what a fresh watch found, `gap` what could not be watched.
"""

import errno
import heapq
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from agent_runner import log
from agent_runner.problems import SourceProblem
from agent_runner.sources.fs import inotify, realtime, rows
from agent_runner.sources.fs.filters import Filters
from agent_runner.sources.fs.inotify import Inotify
from agent_runner.sources.fs.watchtree import Node, WatchTree
from fustor_schema.settings import FsSettings
from fustor_schema.wire import Event, FsRow

# never take the whole of the user's watches: other programs of this user need some
RESERVED_WATCHES = 1_024
UNWATCHED_NAMED = 100
PROMOTED_SHARE = 10


class Watching:
    """The watches of one tree."""

    def __init__(
        self,
        root: bytes,
        settings: FsSettings,
        filters: Filters,
        emit: Callable[[Event], None],
        gap: Callable[[str, str], None],
    ) -> None:
        self._root, self._settings, self._filters, self._emit, self._gap = root, settings, filters, emit, gap
        self._log = log.get("watching")
        self._device = 0
        self._root_inode = 0
        self._limit_reached = False
        self.tree = WatchTree()
        self.inotify: Inotify

    @property
    def limit(self) -> int:
        """How many directories may be watched at most."""
        allowed = inotify.limit("max_user_watches")
        usable = max(allowed - RESERVED_WATCHES, allowed // 2) if allowed else 1 << 30
        return min(self._settings.watch_limit, usable) if self._settings.watch_limit else usable

    def open(self) -> None:
        """Makes the inotify instance and watches the root. Raises SourceProblem."""
        try:
            self.inotify = Inotify()
        except OSError as error:
            raise SourceProblem(
                f"inotify cannot be used: {error.strerror}", "Raise fs.inotify.max_user_instances with sysctl."
            ) from error
        try:
            self._watch_root()
        except SourceProblem:
            self.inotify.close()
            raise

    def reopen(self) -> None:
        """Watches the root again after it was lost, with an empty tree. Raises SourceProblem while it is not there."""
        for wd in list(self.tree.by_wd):
            self.inotify.remove(wd)
        self.tree = WatchTree()
        self._watch_root()

    def close(self) -> None:
        """Gives up every watch."""
        self.inotify.close()

    def _watch_root(self) -> None:
        try:
            status = os.stat(self._root)
            self.tree.bind(self.tree.root, self.inotify.add(self._root))
        except OSError as error:
            raise SourceProblem(
                f"{os.fsdecode(self._root)} cannot be watched: {error.strerror}",
                "Check that the directory exists, that the storage is mounted and that the agent may read it.",
            ) from error
        self._device, self._root_inode = status.st_dev, status.st_ino

    def is_root_watched(self) -> bool:
        """True while the watched root is still what its path names."""
        try:
            status = os.stat(self._root)
        except OSError:
            return False
        return self.tree.root.wd is not None and (status.st_dev, status.st_ino) == (self._device, self._root_inode)

    def watch_everything(self) -> None:
        """Places a watch on every directory; when they are too many, on those that changed last. Emits no rows."""
        stack = [self.tree.root]
        while stack:
            node = stack.pop()
            if node.wd is not None or self.tree.watched >= self.limit or self._watch(node):
                stack.extend(self.tree.add(node, name) for name in self._subdirectories(node))
        if self.tree.watched < self.tree.directories:
            self._watch_the_hottest()

    def _watch_the_hottest(self) -> None:
        wanted = heapq.nlargest(self.limit - 1, self._by_change())
        hot = {id(node) for _, _, node in wanted}
        for node in [node for node in self.tree.by_wd.values() if node is not self.tree.root and id(node) not in hot]:
            self._unwatch(node)
        # in this order, so that the coldest is the first to be given up
        for _, _, node in reversed(wanted):
            if node.wd is None:
                self._watch(node)
            else:
                self.tree.touch(node.wd)
        self._report_unwatched()

    def _by_change(self) -> Iterator[tuple[float, int, Node]]:
        return self._with_change(self.tree.root.below())

    def _with_change(self, nodes: Iterable[Node]) -> Iterator[tuple[float, int, Node]]:
        for number, node in enumerate(nodes):
            if node is not self.tree.root:
                try:
                    yield os.lstat(rows.local(self._root, node.path())).st_mtime, number, node
                except OSError:
                    continue

    def _report_unwatched(self) -> None:
        cold = [node for node in self.tree.root.below() if node.wd is None]
        self._log.warning("not every directory is watched", watched=self.tree.watched, directories=self.tree.directories)
        scopes = [rows.key_of(node.path()) for node in cold] if len(cold) <= UNWATCHED_NAMED else ["/"]
        for scope in scopes:
            self._gap(scope, "watch_limit")

    def promote(self, directories: list[bytes]) -> None:
        """Watches directories that changed unseen, the latest first, in place of those that were quiet longest: at most a tenth of
        the watches at a time, so that no audit of a busy tree turns all of them over."""
        unseen = [node for path in directories if (node := self.tree.find(path)) is not None and node.wd is None]
        latest = heapq.nlargest(max(1, self.limit // PROMOTED_SHARE), self._with_change(unseen))
        for _, _, node in reversed(latest):
            if self._watch(node):
                # what happened since the audit listed it
                self._list(node)
        if latest:
            self._log.info("directories watched instead of quiet ones", count=len(latest), directories=self.tree.directories)

    def _watch(self, node: Node) -> bool:
        """Places one watch. Returns False when the directory is gone, elsewhere, or may not be read (then it is a gap)."""
        path = node.path()
        local = rows.local(self._root, path)
        try:
            status = os.lstat(local)
            if not stat.S_ISDIR(status.st_mode) or self._is_elsewhere(status):
                return False
            while self.tree.watched >= self.limit and self._give_up_coldest():
                pass
            self.tree.bind(node, self.inotify.add(local))
        except OSError as error:
            return self._not_watched(path, error)
        return True

    def _is_elsewhere(self, status: os.stat_result) -> bool:
        return status.st_dev != self._device and not self._settings.cross_file_systems

    def _not_watched(self, path: bytes, error: OSError) -> bool:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        reason = "watch_limit" if error.errno == errno.ENOSPC else errno.errorcode.get(error.errno or 0, "EIO")
        self._gap(rows.key_of(path), reason)
        return error.errno == errno.ENOSPC

    def _give_up_coldest(self) -> bool:
        coldest = self.tree.coldest()
        if coldest is None:
            return False
        node = self.tree.by_wd[coldest]
        self._unwatch(node)
        self._gap(rows.key_of(node.path()), "watch_limit")
        return True

    def _unwatch(self, node: Node) -> None:
        if node.wd is not None:
            wd = node.wd
            self.tree.unbind(wd)
            self.inotify.remove(wd)

    def _subdirectories(self, node: Node) -> list[bytes]:
        """The names of the subdirectories, by the listing's own type: no stat. An unreadable directory is a gap."""
        path = node.path()
        try:
            with os.scandir(rows.local(self._root, path)) as entries:
                return [
                    entry.name
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and self._keeps(path, entry.name, is_directory=True)
                ]
        except OSError as error:
            self._not_watched(path, error)
            return []

    def _keeps(self, directory: bytes, name: bytes, *, is_directory: bool) -> bool:
        return self._filters.trivial or self._filters.keeps(rows.join(directory, name), name, is_directory=is_directory)

    def _node_at(self, path: bytes) -> Node:
        node = self.tree.root
        for name in path.split(b"/"):
            if name:
                node = self.tree.add(node, name)
        return node

    def adopt(self, path: bytes) -> None:
        """A directory appeared: watch it, list it, emit what it holds, and so on below (R38). Raises OSError when it is gone again;
        then it stays untold, and is listed whole under the name that it turns up by."""
        stack = [self._node_at(path)]
        stack[0].told = False
        self._emit_directory(stack[0])
        stack[0].told = True
        while stack:
            node = stack.pop()
            if not self._watch(node):
                self._forget(node)
                continue
            stack.extend(self.tree.add(node, name) for name in self._list(node))

    def _emit_directory(self, node: Node) -> None:
        path = node.path()
        status = os.lstat(rows.local(self._root, path))
        self._emit(realtime.upsert(rows.key_of(path), status, created=True, atomic=True))

    def _list(self, node: Node) -> list[bytes]:
        """Emits the entries of a directory that was just watched. Returns its subdirectories' names."""
        path = node.path()
        found: list[FsRow] = []
        subdirectories = []
        try:
            with os.scandir(rows.local(self._root, path)) as entries:
                for name, status in self._entries(path, entries):
                    found.append(rows.row(rows.key_of(rows.join(path, name)), status))
                    if stat.S_ISDIR(status.st_mode):
                        subdirectories.append(name)
                    if len(found) >= realtime.EVENT_ROWS:
                        self._emit(realtime.listed(found))
                        found = []
        except OSError as error:
            self._not_watched(path, error)
        if found:
            self._emit(realtime.listed(found))
        return subdirectories

    def _entries(self, path: bytes, entries: "Iterator[os.DirEntry[bytes]]") -> Iterator[tuple[bytes, os.stat_result]]:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if self._keeps(path, entry.name, is_directory=stat.S_ISDIR(status.st_mode)):
                yield entry.name, status

    def drop(self, path: bytes) -> None:
        """A directory is gone or was moved out: give up what was watched below it."""
        node = self.tree.find(path)
        if node is not None and node is not self.tree.root:
            self._forget(node)

    def _forget(self, node: Node) -> None:
        for wd in self.tree.detach(node):
            self.inotify.remove(wd)

    def move(self, source: bytes, target: bytes) -> bool:
        """A directory was renamed; its watches go along. Returns False when the server cannot follow, because it was never told of
        the directory or of where it went: then what it holds must be listed."""
        node = self.tree.find(source)
        if node is None or node is self.tree.root:
            return False
        parent = self._node_at(target.rpartition(b"/")[0])
        followed = node.is_told() and parent.is_told()
        for wd in self.tree.move(node, parent, target.rpartition(b"/")[2]):
            self.inotify.remove(wd)
        return followed

    def resync(self) -> None:
        """After lost events: watches what appeared (and lists it), forgets what is gone. Files are left to the scan of the gap."""
        stack = [self.tree.root]
        while stack:
            node = stack.pop()
            names = set(self._subdirectories(node))
            for name in [name for name in node.children or {} if name not in names]:
                self._forget(self.tree.add(node, name))
            path = node.path()
            for name in names:
                child = self.tree.child(node, name)
                if child is None or (child.wd is not None and not self._is_same(child)):
                    self.adopt(rows.join(path, name))
                else:
                    stack.append(child)

    def _is_same(self, node: Node) -> bool:
        """True when the watched directory still bears this name: watching it again gives the number it has."""
        try:
            wd = self.inotify.add(rows.local(self._root, node.path()))
        except OSError:
            return False
        if wd == node.wd:
            return True
        if wd not in self.tree.by_wd:
            self.inotify.remove(wd)
        return False
