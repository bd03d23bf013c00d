"""Real processes for tests: Redis, and a whole server (daphne, Celery worker with beat) on a home and a database of its own."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import redis
from django.conf import settings

from fustor_site.supervisor import broker, children, ports, programs
from tests.blackbox.databases import ServerDatabase

# what a busy machine may take for anything that takes a moment on an idle one
PATIENCE_SECONDS = 60.0


def wait_until(condition: Callable[[], bool], seconds: float, what: str | Callable[[], str]) -> None:
    """Return once `condition()` holds. Fails with `what` was waited for, as it is then, when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


class RunningRedis:
    """A Redis server process; `url` is where it listens. A context manager."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self.process: children.Child | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.home / "redis.log").open("ab") as log:
            self.process = children.start(broker.command(self.url, self.home), os.environ, log)
        wait_until(self._answers, PATIENCE_SECONDS, f"Redis on {self.url}")

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        assert self.process is not None
        children.signal_group(self.process, signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url)
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process is not None:
            children.end([self.process], grace=3)


class RunningServer:
    """Redis + daphne + Celery worker. `url` is its root, `home` its FUSTOR_HOME; `logs()` is all that its programs wrote.

    `stop_web(signal)`/`start_web()` and the same for the worker let a test crash and restart one of them.
    """

    def __init__(self, **environment: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="fustor-server-"))
        self.port = ports.free()
        self.url = f"http://127.0.0.1:{self.port}"
        self.redis = RunningRedis(broker.address(self.home), self.home)
        self.database = ServerDatabase(self.home)
        self.web: children.Child | None = None
        self.worker: children.Child | None = None
        self._own_environment = environment

    @property
    def environment(self) -> dict[str, str]:
        """What its programs run with. The secrets are those of the test process, so keys that a test makes are valid here."""
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "fustor_site.settings",
            "FUSTOR_HOME": str(self.home),
            "FUSTOR_REDIS_URL": self.redis.url,
            "FUSTOR_SECRET_KEY": settings.SECRET_KEY,
            "FUSTOR_KEY_PEPPERS": ",".join(settings.FUSTOR_KEY_PEPPERS),
            "DATABASE_URL": self.database.url,
            "PYTHONPATH": str(programs.PROJECT),
            **self._own_environment,
        }

    def start_web(self) -> None:
        """Start daphne and wait until it is ready."""
        self.web = self._start(programs.web("127.0.0.1", self.port), "web")
        wait_until(self._ready, 2 * PATIENCE_SECONDS, lambda: f"the server to be ready; its log says:\n{self.logs()}")

    def start_worker(self) -> None:
        """Start the Celery worker with its beat."""
        self.worker = self._start(programs.worker(), "worker")

    def stop_web(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal to daphne and wait for its end."""
        assert self.web is not None
        children.signal_group(self.web, number)
        self.web.wait(PATIENCE_SECONDS)

    def stop_worker(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal to the worker and wait for its end."""
        assert self.worker is not None
        children.signal_group(self.worker, number)
        self.worker.wait(PATIENCE_SECONDS)

    def tend_worker(self) -> None:
        """Start the worker again if it ended, as the supervisor does: Celery may end when its broker goes (kombu fails on what it
        holds unacknowledged)."""
        if self.worker is not None and self.worker.poll() is not None:
            self.start_worker()

    def logs(self) -> str:
        """Everything that the server's programs wrote so far."""
        return "".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in sorted(self.home.glob("*.log")))

    def _start(self, command: list[str], name: str) -> children.Child:
        with (self.home / f"{name}.log").open("ab") as log:
            return children.start(command, self.environment, log, cwd=str(programs.PROJECT))

    def _ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", timeout=30).status_code == 200
        return False

    def __enter__(self) -> Self:
        self.redis.start()
        self.database.create(self.environment)
        self.start_web()
        self.start_worker()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        children.end([child for child in (self.web, self.worker) if child], grace=10)
        self.redis.__exit__(kind, error, trace)
        self.database.drop()
        shutil.rmtree(self.home, ignore_errors=True)
