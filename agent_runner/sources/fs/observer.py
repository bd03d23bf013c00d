"""Realtime where there is no inotify (macOS, BSD): watchdog's observer for the system, its events as wire events.

It offers what Watcher offers. What it cannot know it does not claim: a rename is a delete and a create, and no overflow is told.
Used by FsSource.
"""

import os
import stat
import threading
from collections.abc import Callable
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from agent_runner import clock, log
from agent_runner.problems import SourceProblem
from agent_runner.sources.fs import realtime, rows
from agent_runner.sources.fs.filters import Filters
from fustor_schema.settings import FsSettings
from fustor_schema.wire import Event

Publish = Callable[[list[Event]], None]
JOIN_SECONDS = 3.0

_log = log.get("observer")


class ObserverWatcher(FileSystemEventHandler):
    """Watches one tree through watchdog. `ready` is set once the observer runs."""

    def __init__(self, root: bytes, settings: FsSettings, publish: Publish, make: Callable[[], Any] = Observer) -> None:
        self._root, self._publish = root, publish
        self._filters = Filters(settings.include, settings.exclude)
        self._observer = make()
        self.ready = threading.Event()
        self.last_error = ""

    def start(self) -> None:
        """Starts watching. Raises SourceProblem."""
        try:
            self._observer.schedule(self, os.fsdecode(self._root), recursive=True)
            self._observer.start()
        except OSError as error:
            raise SourceProblem(
                f"{os.fsdecode(self._root)} cannot be watched: {error.strerror}", "Check that the directory exists."
            ) from error
        self.ready.set()

    def stop(self, timeout: float = JOIN_SECONDS) -> bool:
        """Stops watching. Returns False when watchdog's thread did not end in time (seconds)."""
        self._observer.stop()
        self._observer.join(timeout)
        return not self._observer.is_alive()

    @property
    def alive(self) -> bool:
        """False once the observer ended."""
        return bool(self._observer.is_alive())

    @property
    def root_lost(self) -> bool:
        """True while the root is not there."""
        return not os.path.isdir(self._root)

    def attend(self, directories: list[bytes]) -> None:
        """Nothing to choose: everything is watched."""

    def health(self) -> dict[str, Any]:
        """The source's part of the health report; watchdog does not tell what it watches."""
        return {"watching": self.alive, "ready": self.ready.is_set(), "root_lost": self.root_lost, "last_error": self.last_error}

    def dispatch(self, event: FileSystemEvent) -> None:
        """Called by watchdog's thread for each event."""
        try:
            found = self._events(event)
        except OSError as error:
            self.last_error = str(error)
            found = [realtime.gap("/", "EIO")]
        if found:
            self._publish(found)

    def _events(self, event: FileSystemEvent) -> list[Event]:
        source, target = self._path(event.src_path), self._path(event.dest_path)
        if event.event_type in ("opened", "closed_no_write") or (event.event_type == "modified" and event.is_directory):
            return []
        if event.event_type == "deleted":
            return self._gone(source)
        if event.event_type == "moved":
            return self._gone(source) + self._there(target, created=True)
        return self._there(source, created=event.event_type == "created", closed=event.event_type == "closed")

    def _path(self, local: bytes | str) -> bytes | None:
        """The path within the root; None when there is none, or it is filtered out."""
        if not local:
            return None
        path = b"/" + os.fsencode(local)[len(self._root) :].strip(b"/")
        return path if self._filters.keeps_path(path, is_directory=False) or os.path.isdir(local) else None

    def _gone(self, path: bytes | None) -> list[Event]:
        if path is None or path == rows.ROOT:
            return []
        return [realtime.deleted(rows.key_of(path), clock.monotonic_ms())]

    def _there(self, path: bytes | None, *, created: bool, closed: bool = True) -> list[Event]:
        if path is None:
            return []
        try:
            status = os.lstat(rows.local(self._root, path))
        except FileNotFoundError:
            return []
        atomic = closed or created or not stat.S_ISREG(status.st_mode)
        found = [realtime.upsert(rows.key_of(path), status, created=created, atomic=atomic)]
        if created and stat.S_ISDIR(status.st_mode):
            # what came into a fresh directory before it was watched is unseen: it must be listed
            found.append(realtime.gap(rows.key_of(path), "new_directory"))
        return found
