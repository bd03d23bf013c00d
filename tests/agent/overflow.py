"""Makes the kernel's queue of changes run over: more of them than it holds, while nobody reads. Without touching its limit, which
counts for every watcher of the machine."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent_runner.sources.fs import inotify
from tests.blackbox.processes import PATIENCE_SECONDS

# its calls keep the interpreter to themselves
LIBC = ctypes.PyDLL(None)


@contextmanager
def nothing_is_read() -> Iterator[None]:
    """No other thread of this process runs, a watcher's neither, as long as this one only computes and calls LIBC."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(PATIENCE_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def overflow(directory: Path) -> None:
    """Twice the changes that fit, to two files. Of those that are alike, one behind the other, only one counts: these alternate."""
    names = [os.fsencode(directory / f"storm-{number}") for number in range(2)]
    for _ in range(inotify.limit("max_queued_events")):
        for name in names:
            LIBC.close(LIBC.open(name, os.O_WRONLY | os.O_CREAT, 0o644))


def make_directory(path: Path) -> None:
    """As LIBC does it."""
    assert LIBC.mkdir(os.fsencode(path), 0o755) == 0
