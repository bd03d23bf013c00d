"""Command lines of the server's own programs. One place, so `manage.py up`, the tests and docs/operations.md agree."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent


def web(host: str, port: int) -> list[str]:
    """Console, API and websockets."""
    return [*_python("fustor_site.web"), host, str(port)]


def worker(concurrency: int = 4) -> list[str]:
    """Celery worker with the beat inside: housekeeping of the server. Scans of a host run in that host's agent.

    Threads, because housekeeping waits for the database, and one process is quick to start and leaves no orphans.
    """
    return [
        *_python("celery"),
        *("--quiet", "-A", "fustor_site", "worker", "--beat", "--queues", "default,housekeeping"),
        *("--pool", "threads", "--concurrency", str(concurrency)),
        *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
    ]


def management(*arguments: str) -> list[str]:
    """`manage.py …` in the same Python."""
    return [sys.executable, str(PROJECT / "manage.py"), *arguments]


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]
