"""How long a change of a file takes to its answer in the API: a real agent, a real server. `python bench/latency.py`.

Starts a server on a home of its own with an agent on a directory of `--files` files, then changes one file after another and asks
for it until the answer shows the change. Prints the median and the 95th percentile in milliseconds.
"""

import argparse
import json
import os
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
from bench.scan import make_tree
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World, server_database

POLL_SECONDS = 0.002


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


def measure(server: RunningServer, tree: Path, options: argparse.Namespace) -> dict[str, float]:
    """The numbers of one run."""
    world = World(server)
    try:
        with running_agent(world, tree):
            scanned = wait_complete(world.reader.http, options.files)
            times = sorted(one_change(world.reader.http, tree, number) for number in range(options.changes))
    finally:
        world.close()
    return {
        "files": options.files,
        "scan_and_commit_per_second": round(options.files / scanned),
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(len(times) * 0.95)], 1),
    }


def main() -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fustor-bench-") as made:
        make_tree(Path(made), options.files)
        with RunningServer() as server, server_database(server):
            print(json.dumps(measure(server, Path(made), options)))


if __name__ == "__main__":
    main()
