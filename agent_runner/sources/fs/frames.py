"""What the scanner and its listing processes say to each other over their pipes: length-prefixed msgpack."""

import struct
from typing import Any

import msgspec

LENGTH = struct.Struct("<I")


class Orders(msgspec.Struct, array_like=True, tag=True):
    """The first frame of a scan to a listing process: what holds for all its tasks.

    `message_source`: of every event. `skip_cache`: path of the committed cache to skip by, empty = list everything.
    `deep_turn` of `deep_cycles`: which share of the silent directories is listed all the same
    (-1: none). `rate`: entries a second, 0 = all. `clock_ahead`: seconds that this host's clock is ahead of the server's.
    """

    root: bytes
    device: int
    message_source: str
    include: list[str]
    exclude: list[str]
    cross_file_systems: bool
    nice: int
    rate: float
    skip_cache: str
    deep_turn: int
    deep_cycles: int
    racy_seconds: float
    fields_mapping: list[dict[str, Any]]
    protocol: int = 3
    clock_ahead: float = 0.0


class Task(msgspec.Struct, array_like=True, tag=True):
    """Directories to list, raw paths within the root. `shallow`: list these only, and give their subdirectories back. `entries`:
    after so many the rest is given back, for others to take a share."""

    directories: list[bytes]
    shallow: bool = False
    entries: int = 20_000


class Closed(msgspec.Struct, array_like=True):
    """A directory listed without error, or silent: what the next audit may skip it by. `subdirectories`: names joined by `/`."""

    path: bytes
    mtime_ns: int
    subdirectories: bytes


class Listed(msgspec.Struct, array_like=True):
    """What came of a task so far. `events`: encoded JSON events, parents before children. `left`: directories still to list,
    given back with the last frame (`done`). `errors`: directories that could not be listed, by reason. `changed`: directories that
    the last audit knew with another mtime.
    """

    events: list[bytes] = []
    rows: int = 0
    files: int = 0
    directories: int = 0
    errors: dict[str, int] = {}
    closed: list[Closed] = []
    left: list[bytes] = []
    current: bytes = b""
    done: bool = False
    changed: list[bytes] = []


def pack(message: msgspec.Struct) -> bytes:
    """One frame."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body
