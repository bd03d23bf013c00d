"""Keeps programs running: starts them, prints their output, restarts what dies with back-off, and ends all of them.

One thread and one loop. Used by `manage.py up` (supervisor/up.py).
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

from fustor_site.supervisor import children, orphans
from fustor_site.supervisor.backoff import Backoff
from fustor_site.supervisor.output import Output

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# for all programs together, and for the broker after them: with what a busy machine adds, under ten seconds
GRACE_SECONDS = 6.0
BROKER_GRACE_SECONDS = 1.0
CHUNK = 65536


class Stopped(Exception):
    """A signal asked to stop while something was waited for."""


class NotComingUp(Exception):
    """A program died again and again, or never got ready; the text names it."""


@dataclass
class Program:
    """One program under supervision. `last` ends after the others (the broker, which they all use)."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    last: bool = False
    child: children.Child | None = None
    started_at: float = 0.0
    restart_at: float | None = None
    backoff: Backoff = field(default_factory=Backoff)


class Supervisor:
    """Use as: `start(program)` …, `wait_for(…)`, `run()` until a signal comes, and `stop()` in any case."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.programs: list[Program] = []
        self._stops = 0
        self._someone_died = False
        self._selector = selectors.DefaultSelector()
        self._wake_reader, wake_writer = socket.socketpair()
        self._wake_writer = wake_writer
        for end in (self._wake_reader, wake_writer):
            end.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._on_death)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_stop)
        orphans.adopt()

    def start(self, program: Program) -> None:
        """Start a program and keep it running from now on."""
        self.programs.append(program)
        self._spawn(program)

    def run(self) -> None:
        """Keep everything running until a signal asks to stop."""
        while not self._stops:
            self._turn()

    def wait_for(self, condition: Callable[[], bool], seconds: float, what: str, *, deaths: int = 3) -> None:
        """Keep everything running until `condition()`. Raises Stopped on a signal, NotComingUp when it takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self._stops:
                raise Stopped
            dying = [program.name for program in self.programs if program.backoff.deaths >= deaths]
            if dying:
                raise NotComingUp(f"{', '.join(dying)} died {deaths} times while waiting for {what}. Its last lines are above.")
            if time.monotonic() > deadline:
                raise NotComingUp(f"waited {seconds:g} s in vain for {what}.")
            self._turn(longest=0.1)

    def stop(self) -> None:
        """End every program and everything that they started, the broker last. Under ten seconds."""
        started = [program for program in self.programs if program.child]
        self._end([program for program in started if not program.last], GRACE_SECONDS)
        self._end([program for program in started if program.last], BROKER_GRACE_SECONDS)
        orphans.end_all()

    def _end(self, programs: list[Program], grace: float) -> None:
        for program in programs:
            assert program.child
            children.signal_group(program.child, signal.SIGTERM)
        deadline, stops = time.monotonic() + grace, self._stops
        # a second signal means: at once
        while any(self._is_alive(p) for p in programs) and time.monotonic() < deadline and self._stops <= max(1, stops):
            self._read(0.1)
        for program in programs:
            assert program.child
            children.end([program.child], grace=0)
            self._drain(program)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1

    def _on_death(self, number: int, frame: FrameType | None) -> None:
        self._someone_died = True

    def _turn(self, longest: float = 1.0) -> None:
        """One turn of the loop: print what came, notice the dead, restart what is due."""
        due = [program.restart_at for program in self.programs if program.restart_at is not None]
        wait = min([longest, *(max(0.0, at - time.monotonic()) for at in due)])
        self._read(wait)
        if self._someone_died:
            self._someone_died = False
            orphans.reap([program.child.pid for program in self.programs if program.child])
        for program in self.programs:
            if program.restart_at is None and not self._is_alive(program):
                self._bury(program)
            elif program.restart_at is not None and time.monotonic() >= program.restart_at and not self._stops:
                self._spawn(program)

    def _read(self, wait: float) -> None:
        for key, _ in self._selector.select(wait):
            if key.data is None:
                self._wake_reader.recv(CHUNK)
            elif chunk := os.read(key.fd, CHUNK):
                self.output.take(key.data.name, chunk)
            else:
                self._selector.unregister(key.fileobj)

    def _spawn(self, program: Program) -> None:
        program.child = children.start(program.command, program.environment, children.PIPE)
        program.started_at, program.restart_at = time.monotonic(), None
        assert program.child.stdout
        self._selector.register(program.child.stdout, selectors.EVENT_READ, program)

    def _is_alive(self, program: Program) -> bool:
        return program.child is not None and program.child.poll() is None

    def _bury(self, program: Program) -> None:
        """After a death: nothing of the program's group stays, and the time of its restart is set."""
        assert program.child
        children.signal_group(program.child, signal.SIGKILL)
        self._drain(program)
        if self._stops:
            return
        wait = program.backoff.after(time.monotonic() - program.started_at)
        program.restart_at = time.monotonic() + wait
        self.output.say(f"{program.name} ended ({_cause(program.child.returncode)}); it starts again in {wait:g} s")

    def _drain(self, program: Program) -> None:
        """Print what is still in the pipe of a dead program, then close it."""
        stream = program.child.stdout if program.child else None
        if stream is None or stream.closed:
            return
        if stream in self._selector.get_map():
            self._selector.unregister(stream)
        os.set_blocking(stream.fileno(), False)
        while chunk := stream.read(CHUNK):
            self.output.take(program.name, chunk)
        self.output.ended(program.name)
        stream.close()


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
