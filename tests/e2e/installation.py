"""An installation as a stranger makes it: `manage.py up` on an empty home and a directory, driven from outside."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from fustor_site.supervisor import ports, programs
from tests.agent.children import command_line
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until

PASSWORD = "correct-horse-battery"


class Installation:
    """`watch` is the watched directory, `url` the server; `up()` starts it, `stop()` ends it as Ctrl-C does."""

    def __init__(self, base: Path) -> None:
        self.home, self.watch, self.log = base / "home", base / "watched", base / "up.log"
        self.watch.mkdir()
        self.port = ports.free()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FUSTOR_", "DJANGO_", "DATABASE_"))},
            "FUSTOR_HOME": str(self.home),
            "FUSTOR_ADMIN_PASSWORD": PASSWORD,
            "NO_COLOR": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._key = ""

    def up(self, *options: str) -> None:
        """Start it and return when it says that it is up."""
        arguments = ["up", "--home", str(self.home), "--port", str(self.port), "--watch", str(self.watch), *options]
        seen = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                programs.management(*arguments), env=self.environment, stdout=output, stderr=output, cwd=programs.PROJECT
            )
        wait_until(
            lambda: "Fustor is up: " in self.output()[seen:] or self.process.poll() is not None,
            2 * PATIENCE_SECONDS,
            "the server to be up",
        )
        assert self.process.poll() is None, self.output()[seen:]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal, wait for the end, return the exit code."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def output(self) -> str:
        """All that it printed."""
        return self.log.read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        """Standard output of another management command on the same home."""
        done = subprocess.run(
            programs.management(*arguments), env=self.environment, capture_output=True, text=True, check=False, cwd=programs.PROJECT
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def leftovers(self) -> list[str]:
        """Processes of this installation that still run: they all carry its home in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("FUSTOR_HOME") == str(self.home) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def children(self, word: str) -> list[psutil.Process]:
        """Direct children of the supervisor with this word in their command line."""
        assert self.process
        return [child for child in psutil.Process(self.process.pid).children() if word in command_line(child)]

    @property
    def query_key(self) -> str:
        """A key that reads every view, made with the operator's command."""
        if not self._key:
            self._key = self.manage("create_key", "--kind", "query", "--all-views", "--plain").splitlines()[-1]
        return self._key

    @property
    def view_url(self) -> str:
        """The API of the watched directory's view, as printed."""
        found = re.search(r"(http\S+/api/v1/views/[^/\s]+)/tree", self.output())
        assert found, self.output()
        return found[1]

    def ask(self, call: str = "", /, **parameters: Any) -> httpx.Response:
        """GET below the view."""
        return httpx.get(
            f"{self.view_url}{call}", params=parameters, headers={"X-API-Key": self.query_key}, timeout=PATIENCE_SECONDS
        )

    def seen(self) -> dict[str, tuple[bool, int]]:
        """What the view says: path → (is a directory, size of a file). Empty while it never had a snapshot."""
        answer = self.ask("/tree", path="/", recursive="true")
        if answer.status_code == 503:
            return {}
        assert answer.status_code == 200, answer.text
        found, nodes = {}, [answer.json()]
        while nodes:
            node = nodes.pop()
            is_directory = node["content_type"] == "directory"
            found[node["path"]] = (is_directory, 0 if is_directory else node["size"])
            nodes.extend(node.get("children", []))
        return found

    def real(self) -> dict[str, tuple[bool, int]]:
        """What is on the disk, in the same words; the marker that identifies the mount is not part of it."""
        found = {"/": (True, 0)}
        for top, directories, files in os.walk(self.watch):
            for name in directories:
                found[self._inside(top, name)] = (True, 0)
            for name in files:
                found[self._inside(top, name)] = (False, (Path(top) / name).stat().st_size)
        return found

    def _inside(self, top: str, name: str) -> str:
        return "/" + str((Path(top) / name).relative_to(self.watch))


@contextmanager
def installation(base: Path) -> Iterator[Installation]:
    """An installation that is ended in any case."""
    made = Installation(base)
    try:
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.process.send_signal(signal.SIGTERM)
            try:
                made.process.wait(PATIENCE_SECONDS)
            finally:
                made.process.kill()
