"""Processes whose parent died: adopted by the supervisor, so that it can end them too. Linux; elsewhere there are none to see."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Container, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """From now on, descendants that lose their parent become children of this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap(own: Container[int]) -> None:
    """Let adopted processes that ended disappear; `own` are the children that somebody else waits for."""
    for pid, state in _children():
        if state == "Z" and pid not in own:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def end_all() -> int:
    """Kill every child that this process still has, and theirs as they surface. How many there were."""
    ended = 0
    while found := list(_children()):
        for pid, _ in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        ended += len(found)
    return ended


def _children() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        # a process may end between listing and reading
        with contextlib.suppress(OSError):
            # the command's name, in parentheses, may hold anything; fields are counted behind it
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "X":
                yield int(entry.parent.name), state
