"""The whole product as a stranger starts it: `manage.py up`, a real directory, the API, a websocket, a browser, crashes."""

import json
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from playwright.sync_api import Page, expect

from fustor_site.supervisor import ports, programs
from tests.blackbox.client import V2Client, f
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until
from tests.chromium import TEST_RESULTS
from tests.e2e.installation import PASSWORD, Installation, installation

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all tests of this file, with 500 files in 25 directories."""
    with installation(tmp_path_factory.mktemp("up")) as made:
        for number in range(500):
            path = made.watch / f"set-{number % 25:02}" / f"file-{number:03}.dat"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x" * number)
        made.up()
        wait_until(lambda: made.seen() == made.real(), PATIENCE_SECONDS, "the first snapshot")
        yield made


def until_same(running: Installation, what: str) -> None:
    """The view comes to show exactly what is on the disk."""
    wait_until(lambda: running.seen() == running.real(), PATIENCE_SECONDS, what)


def test_the_first_snapshot_is_exact(running: Installation) -> None:
    assert len(running.real()) == 526
    assert running.seen() == running.real()
    assert running.ask("/stats").json()["total_files"] == 500


def test_create_append_rename_and_delete_are_seen(running: Installation) -> None:
    new = running.watch / "set-00" / "new.txt"
    new.write_text("one")
    until_same(running, "the new file")
    with new.open("a") as file:
        file.write(" and more")
    until_same(running, "its new size")
    new.rename(running.watch / "set-01" / "moved.txt")
    until_same(running, "its new place")
    (running.watch / "set-01" / "moved.txt").unlink()
    until_same(running, "its end")


def test_directories_made_moved_and_removed_are_seen(running: Installation) -> None:
    (running.watch / "a" / "b" / "c").mkdir(parents=True)
    (running.watch / "a" / "b" / "c" / "x").touch()
    until_same(running, "mkdir -p and touch")
    (running.watch / "a").rename(running.watch / "z")
    until_same(running, "the moved directory")
    shutil.rmtree(running.watch / "z")
    until_same(running, "the removed directory")


async def test_a_websocket_hears_of_a_change(running: Installation) -> None:
    # a cookie of an address without a name is "unsafe" to aiohttp
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await log_in(client, running.url)
        view = running.view_url.rsplit("/", 1)[-1]
        async with client.ws_connect(f"{running.url}/ws/view/{view}?format=json", headers={"Origin": running.url}) as socket:
            before = json.loads((await socket.receive(timeout=PATIENCE_SECONDS)).data)
            (running.watch / "heard.txt").write_text("heard")
            after = before
            while files(after) == files(before):
                after = json.loads((await socket.receive(timeout=PATIENCE_SECONDS)).data)
            assert files(after) == files(before) + 1
            assert after["number"] > before["number"]
    (running.watch / "heard.txt").unlink()


def files(frame: dict[str, Any]) -> int:
    """How many the view has, as a program is told."""
    (tree,) = frame["state"]["trees"]
    return int(tree["files"])


async def log_in(client: aiohttp.ClientSession, url: str) -> None:
    async with client.get(f"{url}/login/") as form:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', await form.text())
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "username": "admin", "password": PASSWORD}
    async with client.post(f"{url}/login/", data=fields, headers={"Referer": url}) as answer:
        assert answer.status == 200
        assert "/login/" not in str(answer.url), "the password was refused"


@pytest.mark.browser
def test_a_browser_shows_the_tree_and_follows_it(running: Installation, page: Page) -> None:
    page.goto(f"{running.url}/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name=re.compile("log in|sign in", re.IGNORECASE)).click()
    page.wait_for_url(lambda url: "/login/" not in url)
    page.goto(running.view_url.replace("/api/v1", "") + "/tree/")
    expect(page.get_by_text("set-07").first).to_be_visible()
    (running.watch / "arrived-while-watching").mkdir()
    expect(page.get_by_text("arrived-while-watching").first).to_be_visible()
    TEST_RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=TEST_RESULTS / "explorer.png")
    (running.watch / "arrived-while-watching").rmdir()
    expect(page.get_by_text("arrived-while-watching")).to_have_count(0)


def test_a_killed_web_process_comes_back_and_loses_no_acknowledged_row(running: Installation, tmp_path: Path) -> None:
    pushing = Pushing(running, tmp_path)
    with pushing:
        wait_until(lambda: len(pushing.acknowledged) > 20, PATIENCE_SECONDS, "the first batches")
        before = len(pushing.acknowledged)
        running.children("fustor_site.web")[0].send_signal(signal.SIGKILL)
        wait_until(lambda: len(pushing.acknowledged) > before + 50, PATIENCE_SECONDS, "batches after the restart")
    present = pushing.present()
    lost = [path for path in pushing.acknowledged if path not in present]
    assert lost == []
    assert pushing.refused > 0, "the crash must have been noticed for this test to mean anything"


class Pushing:
    """Pushes realtime batches from a thread without pause, and remembers every path whose batch was acknowledged."""

    DOCUMENT = """
receivers: {crash: {driver: http, api_keys: [{key: crash-test-receiver-key-0123456789, pipe_id: crash}]}}
views: {crash: {driver: fs, api_keys: [crash-test-query-key-0123456789]}}
pipes: {crash: {receiver: crash, views: [crash]}}
"""

    def __init__(self, running: Installation, directory: Path) -> None:
        (directory / "crash.yaml").write_text(self.DOCUMENT)
        running.manage("import_config", str(directory / "crash.yaml"))
        self.client = V2Client(
            running.url, "crash-test-receiver-key-0123456789", "crash", "crash-test-query-key-0123456789", "crash:pipe"
        )
        self.acknowledged: list[str] = []
        self.refused = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._push)

    def __enter__(self) -> None:
        assert self.client.S(timeout=60).status_code == 200
        self.client.snapshot([f("/first", 1.0)])
        self._thread.start()

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)

    def _push(self) -> None:
        number = 0
        while not self._stop.is_set():
            paths = [f"/batch-{number}/file-{part}" for part in range(10)]
            try:
                answer = self.client.P("rt", [f(path, 1_700_000_000.0 + number) for path in paths], "insert")
            except httpx.TransportError:
                # the agent's own way: the same batch again until somebody acknowledges it
                self.refused += 1
                self._stop.wait(0.05)
                continue
            if answer.status_code == 503:  # not now
                self._stop.wait(0.05)
                continue
            assert answer.status_code == 200, answer.text
            self.acknowledged.extend(paths)
            number += 1

    def present(self) -> set[str]:
        found = self.client.reader.paths(recursive="true")
        self.client.close()
        return found


def test_a_second_up_on_the_same_home_says_so(running: Installation) -> None:
    second = subprocess.run(
        programs.management("up", "--home", str(running.home), "--port", str(ports.free())),
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert running.url in second.stderr


# last: it stops the installation of this file
def test_it_stops_starts_again_and_leaves_nothing(running: Installation) -> None:
    assert running.stop(signal.SIGINT) == 0
    wait_until(lambda: running.leftovers() == [], PATIENCE_SECONDS, "the last of its processes to end")
    (running.watch / "made-while-down.txt").write_text("unseen")
    running.up()
    assert running.ask("/tree", path="/").status_code == 200, "what was known before is served at once"
    wait_until(lambda: running.seen() == running.real(), PATIENCE_SECONDS, "the change that was made while it was down")
    assert running.stop(signal.SIGTERM) == 0
    wait_until(lambda: running.leftovers() == [], PATIENCE_SECONDS, "the last of its processes to end")
