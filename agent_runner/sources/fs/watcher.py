"""Realtime on Linux: raw inotify → steps → wire events. Watch first, then list, for every directory that appears (R37–R39).

One thread of its own works off what the reading thread queued. Everything it learns goes out by `publish`; what it could not see
goes out as a `gap`. Started and stopped by FsSource.
"""

import contextlib
import errno
import os
import queue
import stat
import threading
from collections.abc import Callable
from typing import Any

from agent_runner import clock, log
from agent_runner.problems import SourceProblem
from agent_runner.sources.fs import inotify, realtime, rows
from agent_runner.sources.fs.filters import Filters
from agent_runner.sources.fs.inotify import RawEvent
from agent_runner.sources.fs.partial import PartialWrites
from agent_runner.sources.fs.steps import Step, What, plan
from agent_runner.sources.fs.watching import Watching
from agent_runner.sources.fs.watchtree import Node
from fustor_schema.settings import FsSettings
from fustor_schema.wire import Event

IDLE_SECONDS = 0.25
PAIR_SECONDS = 0.02
ROOT_CHECK_MS = 2_000
PUBLISH_ROWS = 2_000
GAPS_OF_TURN = 100
UNSEEN_NAMES = 10_000
UNSEEN_MS = 2_000
FIRST_RESYNC_MS = 1_000
LONGEST_RESYNC_MS = 60_000

Publish = Callable[[list[Event]], None]


class Watcher:
    """Watches one tree. `ready` is set once every directory (or the hottest, within the limit) is watched."""

    def __init__(self, root: bytes, settings: FsSettings, publish: Publish) -> None:
        self._root, self._settings, self._publish_events = root, settings, publish
        self._filters = Filters(settings.include, settings.exclude)
        self._partial = PartialWrites(int(settings.partial_interval * 1000))
        self._log = log.get("watcher").bind(root=os.fsdecode(root))
        self._out: list[Event] = []
        self._out_rows = 0
        self._held: list[RawEvent] = []
        self._unseen: dict[tuple[Node, bytes], tuple[bool, int]] = {}
        self._resync_at: int | None = None
        self._resync_wait = FIRST_RESYNC_MS
        self._root_checked = 0
        self._attended: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.ready = threading.Event()
        self.gaps: dict[str, int] = {}
        self._gaps_of_turn = 0
        self.root_lost = False
        self.last_error = ""
        self.watching = Watching(root, settings, self._filters, self._emit, self.gap)

    def start(self) -> None:
        """Starts the thread. Raises SourceProblem when the root cannot be watched at all."""
        self.watching.open()
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> bool:
        """Ends the thread. Returns False when it did not end in time (seconds): it hangs in the storage."""
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def gap(self, scope: str, reason: str) -> None:
        """Reports that a scope is unverified from now on. Very many at a time become one of the whole tree."""
        self.gaps[reason] = self.gaps.get(reason, 0) + 1
        self._gaps_of_turn += 1
        if self._gaps_of_turn > GAPS_OF_TURN + 1:
            return
        if self._gaps_of_turn > GAPS_OF_TURN:
            scope = "/"
        self._log.warning("gap", scope=scope, reason=reason)
        self._emit(realtime.gap(scope, reason))

    def _run(self) -> None:
        try:
            self.watching.watch_everything()
            self._flush()
            self.ready.set()
            while not self._stopping.is_set():
                self._turn()
        except Exception as error:
            self.last_error = f"{type(error).__name__}: {error}"
            self._log.exception("watcher ended")
        finally:
            self.watching.close()

    def attend(self, directories: list[bytes]) -> None:
        """Directories that changed without being seen. From any thread; the next turn takes them."""
        self._attended.put(directories)

    @property
    def alive(self) -> bool:
        """False once the thread ended."""
        return self._thread.is_alive()

    def health(self) -> dict[str, Any]:
        """The source's part of the health report."""
        tree = self.watching.tree
        return {
            "watching": self.alive,
            "ready": self.ready.is_set(),
            "root_lost": self.root_lost,
            "watches": tree.watched,
            "watch_limit": self.watching.limit,
            "directories": tree.directories,
            "coverage": round(tree.watched / max(1, tree.directories), 4),
            "gaps": dict(self.gaps),
            "last_error": self.last_error,
        }

    def _turn(self) -> None:
        self._gaps_of_turn = 0
        events = self.watching.inotify.chunk(PAIR_SECONDS if self._held else IDLE_SECONDS)
        steps, self._held = plan([*self._held, *events], final=not events)
        for step in steps:
            self._take(step)
        if self._unseen:
            self._look_again()
        self._report_due_writes()
        self._check_root()
        self._resync_when_due()
        while not self._attended.empty():
            self.watching.promote(self._attended.get())
        self._flush()

    def _emit(self, event: Event) -> None:
        self._out.append(event)
        self._out_rows += len(event.rows)
        if self._out_rows >= PUBLISH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            events, self._out, self._out_rows = self._out, [], 0
            self._publish_events(events)

    def _take(self, step: Step) -> None:
        try:
            self._ACTIONS[step.what](self, step)
        except OSError as error:
            self._failed(step, error)

    def _failed(self, step: Step, error: OSError) -> None:
        """A step that the storage refused. What is not there is looked for again; anything else is a gap."""
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            self._note_unseen(step)
            return
        self.last_error = str(error)
        node = self.watching.tree.by_wd.get(step.event.wd)
        self.gap(rows.key_of(node.path()) if node else "/", errno.errorcode.get(error.errno or 0, "EIO"))

    def _note_unseen(self, step: Step) -> None:
        """A name is gone before it could be looked at: deleted again, or a directory above it was renamed and its event is still to
        come. Then it lives on under another path, and nobody would tell of it."""
        event = step.to or step.event
        node = self.watching.tree.by_wd.get(event.wd)
        if node is None or not event.name:
            return
        if len(self._unseen) >= UNSEEN_NAMES:
            self._unseen.clear()
            self.gap("/", "unseen")
            return
        self._unseen[node, event.name] = bool(event.mask & inotify.ISDIR), clock.monotonic_ms() + UNSEEN_MS

    def _look_again(self) -> None:
        """Looks for what was not there, where the directories are now."""
        now = clock.monotonic_ms()
        for (node, name), (is_directory, until) in list(self._unseen.items()):
            path = rows.join(node.path(), name)
            try:
                if is_directory:
                    self.watching.adopt(path)
                else:
                    self._report(path, created=True)
            except OSError:
                if now < until:
                    continue
            del self._unseen[node, name]

    def _path(self, event: RawEvent) -> bytes | None:
        """The path within the root that an event is about; None when its watch is gone or the name is filtered out."""
        node = self.watching.tree.by_wd.get(event.wd)
        if node is None:
            return None
        self.watching.tree.touch(event.wd)
        path = node.path()
        if not event.name:
            return path
        path = rows.join(path, event.name)
        is_directory = bool(event.mask & inotify.ISDIR)
        return path if self._filters.trivial or self._filters.keeps(path, event.name, is_directory=is_directory) else None

    def _touched(self, step: Step) -> None:
        path = self._path(step.event)
        if path is None:
            return
        if step.closed:
            self._partial.closed(path)
        elif step.writing and not self._partial.written(path, step.event.at) and not step.created:
            return
        self._report(path, created=step.created)

    def _report(self, path: bytes, *, created: bool = False) -> None:
        status = os.lstat(rows.local(self._root, path))
        # a name that was linked, not opened, never gets a close: only a regular file with one name can be in writing
        writing = self._partial.is_open(path) and stat.S_ISREG(status.st_mode) and not (created and status.st_nlink > 1)
        if not writing:
            self._partial.closed(path)
        self._emit(realtime.upsert(rows.key_of(path), status, created=created, atomic=not writing))

    def _report_due_writes(self) -> None:
        for path in self._partial.due(clock.monotonic_ms()):
            try:
                self._report(path)
            except FileNotFoundError:
                self._partial.closed(path)

    def _made_directory(self, step: Step) -> None:
        path = self._path(step.event)
        if path is not None:
            self.watching.adopt(path)

    def _deleted(self, step: Step) -> None:
        path = self._path(step.event)
        if path is None:
            return
        self._partial.closed(path)
        self._unseen.pop((self.watching.tree.by_wd[step.event.wd], step.event.name), None)
        if step.event.mask & inotify.ISDIR:
            self.watching.drop(path)
        self._emit(realtime.deleted(rows.key_of(path), step.event.at))

    def _moved_in(self, step: Step) -> None:
        path = self._path(step.event)
        if path is None:
            return
        self._partial.closed(path)
        if step.event.mask & inotify.ISDIR:
            self.watching.adopt(path)
        else:
            self._report(path, created=True)

    def _moved(self, step: Step) -> None:
        assert step.to is not None
        source, target = self._path(step.event), self._path(step.to)
        if source is None or target is None:
            if source is not None:
                self._deleted(step)
            elif target is not None:
                self._moved_in(Step(What.MOVED_IN, step.to))
            return
        self._partial.closed(source)
        self._partial.closed(target)
        is_directory = bool(step.event.mask & inotify.ISDIR)
        if is_directory and not self.watching.move(source, target):
            # never seen whole under its old name: list it under the new one
            self._emit(realtime.deleted(rows.key_of(source), step.event.at))
            self.watching.adopt(target)
            return
        self._report_move(source, target, step.event.at)

    def _report_move(self, source: bytes, target: bytes, at: int) -> None:
        status: os.stat_result | None = None
        # moved on or deleted again already: then the next steps say so
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(rows.local(self._root, target))
        self._emit(realtime.moved(rows.key_of(source), rows.key_of(target), status, at))

    def _overflow(self, step: Step) -> None:
        self.gap("/", "overflow")
        if self._resync_at is None:
            self._resync_at = clock.monotonic_ms() + (0 if self._resync_wait == FIRST_RESYNC_MS else self._resync_wait)
            self._resync_wait = min(self._resync_wait * 2, LONGEST_RESYNC_MS)

    def _resync_when_due(self) -> None:
        now = clock.monotonic_ms()
        if self._resync_at is None or now < self._resync_at:
            if self._resync_at is None and self._resync_wait > FIRST_RESYNC_MS:
                self._resync_wait = max(FIRST_RESYNC_MS, self._resync_wait - 1)
            return
        self._resync_at = None
        self._log.info("watches are checked again after an overflow")
        self.watching.resync()

    def _watch_lost(self, step: Step) -> None:
        node = self.watching.tree.unbind(step.event.wd)
        if node is self.watching.tree.root:
            self._root_checked = 0
            self._check_root()

    def _unmounted(self, step: Step) -> None:
        node = self.watching.tree.by_wd.get(step.event.wd)
        if node is not None:
            self.gap(rows.key_of(node.path()), "unmounted")

    def _check_root(self) -> None:
        """The root may be unmounted, mounted over, removed or renamed without one event: look at it every two seconds."""
        now = clock.monotonic_ms()
        if now - self._root_checked < ROOT_CHECK_MS:
            return
        self._root_checked = now
        if self.watching.is_root_watched():
            self.root_lost = False
            return
        if not self.root_lost:
            self.root_lost = True
            self.gap("/", "root_lost")
            self._flush()
        try:
            self.watching.reopen()
        except SourceProblem as problem:
            self.last_error = str(problem)
            return
        self.root_lost = False
        self.watching.watch_everything()
        self.gap("/", "root_returned")

    _ACTIONS = {
        What.TOUCHED: _touched,
        What.MADE_DIRECTORY: _made_directory,
        What.DELETED: _deleted,
        What.MOVED: _moved,
        What.MOVED_IN: _moved_in,
        What.MOVED_OUT: _deleted,
        What.OVERFLOW: _overflow,
        What.WATCH_LOST: _watch_lost,
        What.UNMOUNTED: _unmounted,
    }
