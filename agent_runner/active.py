"""Directories that an audit found changed: told by the job's process in a file of the AgentPipe's state, taken by the agent, which
may watch them instead of others when it cannot watch all.
"""

import os
from pathlib import Path

import msgspec

MOST_TOLD = 10_000
_NAME = "active.msgpack"


def tell(state_directory: Path, directories: list[bytes]) -> None:
    """Leaves the raw paths for the agent, in place of what it did not take yet. Raises OSError."""
    temporary = state_directory / f"{_NAME}.{os.getpid()}.new"
    temporary.write_bytes(msgspec.msgpack.encode(directories[:MOST_TOLD]))
    temporary.replace(state_directory / _NAME)


def take(state_directory: Path) -> list[bytes]:
    """What was told since the last time. Raises OSError."""
    told = state_directory / _NAME
    try:
        content = told.read_bytes()
    except FileNotFoundError:
        return []
    told.unlink()
    return msgspec.msgpack.decode(content, type=list[bytes])
