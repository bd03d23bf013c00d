"""How long a change of a file takes to its answer in the API and onto an open page: a real agent, a real server, a real browser.

`python bench/latency.py` starts a server on a home of its own with an agent on a directory of `--files` files, then makes one file
after another and asks for it until the answer has it. With `--browser` the explorer is open on that directory in headless Chromium,
and what counts is when the file's row is in the page. Prints the median and the 95th percentile in milliseconds.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import django
import httpx

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from bench._agent import running_agent
from bench._browser import appeared, console_page, expect_text
from bench.scan import make_tree
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World, server_database

POLL_SECONDS = 0.002
LONGEST_PAUSE_SECONDS = 0.8


def wait_complete(reader: httpx.Client, files: int) -> float:
    """Seconds until the view has every file."""
    started = time.perf_counter()
    while True:
        answer = reader.get("/stats")
        if answer.status_code == 200 and answer.json()["total_files"] >= files:
            return time.perf_counter() - started
        time.sleep(0.05)


def one_change(reader: httpx.Client, tree: Path, number: int) -> float:
    """Milliseconds from the close of a new file to the answer that has it."""
    path = tree / f"change-{number}"
    path.write_text("x" * (number + 1))
    started = time.perf_counter()
    while True:
        answer = reader.get("/metadata", params={"path": f"/change-{number}"})
        if answer.status_code == 200 and answer.json()["size"] == number + 1:
            return (time.perf_counter() - started) * 1000
        time.sleep(POLL_SECONDS)


def in_browser(world: World, tree: Path, changes: int) -> list[float]:
    """Milliseconds from the close of each new file to its row in the open explorer. Pauses between them are random: a page gathers
    changes for a moment, and a change must meet every part of that moment."""
    dice, times = random.Random(1), []
    directory = tree / "open"
    directory.mkdir()
    with console_page(world.server.url, f"/views/{world.view.slug}/tree/?path=/open") as page:
        page.wait_for_selector("#listing")
        for number in range(changes):
            expect_text(page, "listing", f"change-{number}.")
            (directory / f"change-{number}.dat").write_text("x")
            made = time.time()
            times.append((appeared(page) - made) * 1000)
            time.sleep(dice.uniform(0, LONGEST_PAUSE_SECONDS))
    return times


def measure(server: RunningServer, tree: Path, options: argparse.Namespace) -> dict[str, float]:
    """The numbers of one run."""
    world = World(server)
    try:
        with running_agent(world, tree):
            scanned = wait_complete(world.reader.http, options.files)
            times = [one_change(world.reader.http, tree, number) for number in range(options.changes)]
            shown = in_browser(world, tree, options.changes) if options.browser else []
    finally:
        world.close()
    return {
        "files": options.files,
        "scan_and_commit_per_second": round(options.files / scanned),
        **spread("", times),
        **(spread("browser_", shown) if shown else {}),
    }


def spread(name: str, times: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {
        f"{name}median_ms": round(statistics.median(times), 1),
        f"{name}p95_ms": round(sorted(times)[int(len(times) * 0.95)], 1),
    }


def main() -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--browser", action="store_true", help="measure an open page as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fustor-bench-") as made:
        make_tree(Path(made), options.files)
        with RunningServer() as server, server_database(server):
            print(json.dumps(measure(server, Path(made), options)))


if __name__ == "__main__":
    main()
