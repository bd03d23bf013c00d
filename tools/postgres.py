"""A PostgreSQL of one command: `python tools/postgres.py COMMAND …` runs the command with TEST_DATABASE_URL set.

Makes a cluster in a temporary directory with the binaries that are installed, listens on a free loopback port, and removes
everything afterwards. Used by .ci/run and `make test-postgres`. Exit code: the command's; 3 when PostgreSQL is not installed.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# as it was given: importing fustor_site names the settings of a server, and tests would then run on those
ENVIRONMENT = dict(os.environ)

from fustor_site.supervisor import children, ports  # noqa: E402 - see above

# it holds nothing that must survive, so it need not wait for the disk
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class NoPostgres(Exception):
    """PostgreSQL is not installed; the text says how to get it."""


def binaries() -> Path:
    """The directory of `initdb` and `postgres`. Raises NoPostgres."""
    on_path = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    for directory in [*([Path(on_path).resolve().parent] if on_path else []), *versions]:
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return directory
    raise NoPostgres("PostgreSQL is not installed. On Debian or Ubuntu: sudo apt-get install postgresql")


@contextmanager
def running() -> Iterator[str]:
    """The URL of a fresh server. Raises NoPostgres."""
    programs, password, port = binaries(), secrets.token_hex(12), ports.free()
    directory = Path(tempfile.mkdtemp(prefix="fustor-postgres-"))
    (directory / "password").write_text(password)
    user = _unprivileged(directory)
    initdb = [str(programs / "initdb"), "-D", str(directory / "data"), "-U", "fustor", "--auth=scram-sha-256", "-E", "UTF8"]
    subprocess.run([*initdb, f"--pwfile={directory / 'password'}", "--no-sync"], check=True, stdout=subprocess.DEVNULL, **user)
    options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={directory}", *SETTINGS]
    command = [str(programs / "postgres"), "-D", str(directory / "data"), *(part for option in options for part in ("-c", option))]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, process_group=0, **user)
    try:
        _wait(programs, port, directory)
        yield f"postgres://fustor:{password}@127.0.0.1:{port}/postgres"
    finally:
        children.end([server], grace=10)
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged(directory: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as the user `postgres`, or `nobody`."""
    if os.getuid():
        return {}
    name = "postgres" if _exists("postgres") else "nobody"
    for path in (directory, directory / "password"):
        shutil.chown(path, name)
    return {"user": name, "extra_groups": []}


def _exists(user: str) -> bool:
    return any(entry.pw_name == user for entry in pwd.getpwall())


def _wait(programs: Path, port: int, directory: Path) -> None:
    ready = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-t", "30"]
    for _ in range(60):
        if subprocess.run(ready, stdout=subprocess.DEVNULL, check=False).returncode == 0:
            return
        time.sleep(0.5)
    raise RuntimeError((directory / "log").read_text())


def main(command: list[str]) -> int:
    """Run the command beside a server of its own."""
    # so that the server ends too when this is told to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with running() as url:
            return subprocess.run(command, env=ENVIRONMENT | {"TEST_DATABASE_URL": url}, check=False).returncode
    except NoPostgres as error:
        print(error, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
