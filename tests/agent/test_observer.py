"""The watcher for systems without inotify, on watchdog's polling observer: it works everywhere, so it is tried here."""

import os
import threading
import time
from pathlib import Path

import msgspec
from watchdog.observers.polling import PollingObserver

from agent_runner.sources.fs.observer import ObserverWatcher
from fustor_schema.settings import FsSettings
from fustor_schema.wire import Event
from tests.agent.recording_server import RecordingServer
from tests.blackbox.processes import PATIENCE_SECONDS


def view(events: list[Event]) -> set[str]:
    recorded = RecordingServer()
    recorded.batches = [{"events": msgspec.to_builtins(events)}]
    return set(recorded.view) - {"/"}


def test_creates_renames_and_deletes_are_seen(tree: Path) -> None:
    events: list[Event] = []
    arrived = threading.Event()

    def publish(new: list[Event]) -> None:
        events.extend(new)
        arrived.set()

    def until(expected: set[str]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while view(events) != expected:
            assert time.monotonic() < end, f"{view(events)} is not {expected}"
            arrived.wait(0.1)
            arrived.clear()

    watcher = ObserverWatcher(os.fsencode(tree), FsSettings(exclude=["*.tmp"]), publish, lambda: PollingObserver(timeout=0.1))
    watcher.start()
    try:
        (tree / "a").write_text("x")
        (tree / "junk.tmp").write_text("x")
        (tree / "d").mkdir()
        until({"/a", "/d"})
        assert ("/d", "new_directory") in [(event.scope, event.reason) for event in events if event.event_type == "gap"]
        (tree / "a").rename(tree / "d" / "b")
        until({"/d", "/d/b"})
        (tree / "d" / "b").unlink()
        until({"/d"})
        assert watcher.health()["watching"]
    finally:
        assert watcher.stop(PATIENCE_SECONDS)
