"""Where the agent keeps its state: one directory (FUSTOR_AGENT_HOME, default ~/.fustor-agent), readable by its owner only.

agent_id            the id of this host, made once
last_config.json    the last configuration that worked, so that the agent starts without its server
running.json        what runs now, for job workers
pipes/<id>/         spool, skip caches and checkpoints of one AgentPipe
"""

import os
import re
import secrets
import socket
from pathlib import Path

import msgspec


class Home:
    """The state directory. Every file is written whole or not at all."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(os.environ.get("FUSTOR_AGENT_HOME") or Path.home() / ".fustor-agent")
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def agent_id(self) -> str:
        """The id of this host: kept, or made from its name and four random bytes."""
        kept = self.path / "agent_id"
        if kept.exists() and (known := kept.read_text().strip()):
            return known
        made = f"{slug(socket.gethostname()) or 'agent'}-{secrets.token_hex(4)}"
        self.write(kept, made.encode())
        return made

    def pipe_directory(self, pipe_id: str) -> Path:
        """The directory of one AgentPipe; made when missing."""
        directory = self.path / "pipes" / slug(pipe_id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return directory

    @property
    def last_config(self) -> Path:
        """The last configuration that was applied."""
        return self.path / "last_config.json"

    @property
    def running(self) -> Path:
        """What runs now (sessions, sources, keys), for the job workers of this host."""
        return self.path / "running.json"

    def write(self, path: Path, content: bytes) -> None:
        """Replaces a file in one step, mode 600, on the disk before the old one goes. Raises OSError."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def write_json(self, path: Path, content: object) -> None:
        """Replaces a file with the JSON of a struct. Raises OSError."""
        self.write(path, msgspec.json.encode(content))


def slug(text: str) -> str:
    """Letters, digits, `-` and `_` of a text; everything else becomes `-`. At most 100 characters."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:100]
