"""Starting and ending child processes so that none is ever left behind. Used by the supervisor and by the tests.

Each child leads a process group of its own, so a signal reaches its children too, and asks the kernel for SIGTERM when its parent
dies, so even a killed supervisor leaves nothing running.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

_PR_SET_PDEATHSIG = 1


PIPE = subprocess.PIPE
Child = subprocess.Popen[bytes]


def start(command: Sequence[str], env: Mapping[str, str], output: int | IO[bytes], cwd: str | None = None) -> Child:
    """A child in a process group of its own, both its streams on `output`. Call it from the main thread, which lives longest."""
    return subprocess.Popen(  # noqa: S603 - the command lines are our own programs, never text from outside
        list(command),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=_follow_parent(os.getpid()),  # noqa: PLW1509 - two system calls, nothing that takes a lock
    )


def _follow_parent(parent: int) -> Callable[[], None] | None:
    """What a fresh child does first: die with the thread that started it. None where the system cannot do that."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def follow() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return follow


def signal_group(child: Child, number: signal.Signals) -> None:
    """Send a signal to the child and to everything it started in its group; a group that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def end(children: Sequence[Child], grace: float) -> None:
    """End all children: SIGTERM, `grace` seconds to finish, then SIGKILL to what is left of their groups."""
    for child in children:
        if child.poll() is None:
            signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + grace
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        signal_group(child, signal.SIGKILL)
        child.wait()
