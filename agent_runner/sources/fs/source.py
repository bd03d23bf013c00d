"""Source driver `fs`: one directory tree, watched and scanned. The supervisor makes one per distinct source; pipes share it."""

import os
import sys
from typing import Any

from agent_runner.bus import Fanout
from agent_runner.config import SourceConfig
from agent_runner.sources.fs import identity, inotify, realtime, settings
from agent_runner.sources.fs.observer import ObserverWatcher
from agent_runner.sources.fs.watcher import Watcher


class FsSource:
    """The realtime side of a tree. `events` is where its pipes subscribe. Raises ConfigProblem for wrong settings."""

    driver = "fs"

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.settings = settings.parse(config.settings)
        self.root = os.fsencode(os.path.realpath(config.uri))
        self.events = Fanout()
        self._watcher: Watcher | ObserverWatcher | None = None
        self._starts = 0

    @property
    def uri(self) -> str:
        """What the server is told: host-independent path of the tree."""
        return self.config.uri

    def identity(self) -> str:
        """`root_id` of what lies under the root now (R20). Raises SourceProblem."""
        return identity.read(self.root, marker=self.settings.root_marker)

    def facts(self) -> dict[str, Any]:
        """What the server should know of the mount, once per session."""
        seconds = identity.attribute_cache_seconds(self.root)
        return {} if seconds is None else {"attr_cache_seconds": seconds}

    def start(self) -> None:
        """Starts watching. Raises SourceProblem while the root cannot be watched. What happened before a later try is a gap."""
        self._starts += 1
        make = Watcher if is_supported() else ObserverWatcher
        watcher = make(self.root, self.settings, self.events.publish)
        watcher.start()
        self._watcher = watcher
        if self._starts > 1:
            self.events.publish([realtime.gap("/", "watched_late")])

    def stop(self) -> bool:
        """Stops watching. Returns False when its thread hangs in the storage."""
        watcher, self._watcher = self._watcher, None
        return watcher is None or watcher.stop()

    @property
    def ready(self) -> bool:
        """True once every directory that is to be watched is watched."""
        return self._watcher is not None and self._watcher.ready.is_set() and not self._watcher.root_lost

    @property
    def alive(self) -> bool:
        """False when the watching thread ended by itself."""
        return self._watcher is not None and self._watcher.alive

    def attend(self, directories: list[bytes]) -> None:
        """Watches these instead of others that are quiet, when not all can be watched."""
        if self._watcher is not None:
            self._watcher.attend(directories)

    def health(self) -> dict[str, Any]:
        """Watches used and allowed, coverage, gaps by reason."""
        return {"watching": False} if self._watcher is None else self._watcher.health()


def is_supported() -> bool:
    """True where raw inotify works."""
    return sys.platform == "linux" and inotify.limit("max_user_watches") > 0
