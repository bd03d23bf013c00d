"""What the supervisor prints: its own words, and each program's lines behind a coloured name. Used by the supervisor only."""

import os
from typing import TextIO

COLOURS = {"redis": 35, "web": 36, "worker": 33, "agent": 32, "fustor": 1}
WIDTH = 6
LONGEST_LINE = 64 * 1024


def wants_colour(stream: TextIO) -> bool:
    """On a terminal, unless NO_COLOR is set; elsewhere only with FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


class Output:
    """Writes whole lines to one stream."""

    def __init__(self, stream: TextIO, *, colour: bool | None = None) -> None:
        self._stream = stream
        self._colour = wants_colour(stream) if colour is None else colour
        self._rest: dict[str, bytes] = {}

    def say(self, text: str) -> None:
        """A line of the supervisor itself."""
        self._write("fustor", text)

    def plain(self, text: str) -> None:
        """Text for people, without a prefix."""
        print(text, file=self._stream, flush=True)

    def take(self, name: str, chunk: bytes) -> None:
        """Raw output of a program: whole lines are written, an unfinished one waits for its end."""
        *lines, rest = (self._rest.pop(name, b"") + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            self._write(name, line.decode(errors="replace").rstrip("\r"))
        if rest:
            self._rest[name] = rest

    def ended(self, name: str) -> None:
        """The program is gone: its unfinished line, if any, is all there will be."""
        if rest := self._rest.pop(name, b""):
            self._write(name, rest.decode(errors="replace"))

    def _write(self, name: str, text: str) -> None:
        prefix = f"{name:<{WIDTH}} |"
        if self._colour:
            prefix = f"\033[{COLOURS.get(name, 0)}m{prefix}\033[0m"
        print(f"{prefix} {text}", file=self._stream, flush=True)
