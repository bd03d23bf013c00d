"""How fast an agent reads a tree, and how fast it gets it committed, against `find -printf` on the same tree in the same run.

`python bench/scan.py` prints entries a second (the best of several alternating runs) of `find`, of the scanner alone, and of a
real agent's snapshot on a real server up to its last commit, each also by processor time; their ratios; and the agent's memory.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from agent_runner.sources.fs import frames
from agent_runner.sources.fs.scanner import Scanner
from apps.sessions.models import Job
from bench._agent import running_agent
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World, server_database

FILES_PER_DIRECTORY = 100
JOB_SECONDS = 600.0
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Run:
    """One pass over the tree. `cpu_seconds` of all processes that took part, as far as they ended in it."""

    entries: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> int:
        """Entries a second."""
        return round(self.entries / self.seconds)


def timed(pass_over: Callable[[], int]) -> Run:
    """Runs it and measures."""
    started, cpu = time.perf_counter(), _cpu_seconds()
    entries = pass_over()
    return Run(entries, time.perf_counter() - started, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(item.ru_utime + item.ru_stime for item in used)


def make_tree(root: Path, files: int, *, fresh: bool = False) -> None:
    """`files` empty files, a hundred to a directory, directories three deep; last written at some time of the past year, or all of
    them just now (`fresh`: every one is a suspect)."""
    now, ages = time.time(), random.Random(1)
    for number in range(0, files, FILES_PER_DIRECTORY):
        directory = root / f"a{number // 100_000}" / f"b{number // 5_000}" / f"c{number // FILES_PER_DIRECTORY}"
        directory.mkdir(parents=True)
        for inner in range(min(FILES_PER_DIRECTORY, files - number)):
            path = directory / f"file-{inner:05d}.dat"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            if not fresh:
                written = now - ages.uniform(DAY_SECONDS, 365 * DAY_SECONDS)
                os.utime(path, (written, written))


def with_find(root: Path) -> int:
    """Entries that `find -printf` prints."""
    done = subprocess.run(["find", str(root), "-printf", "%p %s %T@ %C@ %y %m %U %G %i %n\n"], stdout=subprocess.PIPE, check=True)
    return done.stdout.count(b"\n")


async def with_scanner(root: Path, processes: int) -> int:
    """Entries of the scanner, its processes' start included; rows come out encoded, ready to send."""
    orders = frames.Orders(
        root=os.fsencode(root),
        device=root.stat().st_dev,
        message_source="snapshot",
        include=[],
        exclude=[],
        cross_file_systems=False,
        nice=0,
        rate=0,
        skip_cache="",
        deep_turn=0,
        deep_cycles=12,
        racy_seconds=60,
        fields_mapping=[],
    )
    found = 0
    async for frame in Scanner(orders, [b"/"], processes=processes, timeout=60).listed():
        found += frame.files + frame.directories
    return found


def committed(root: Path, entries: int) -> dict[str, Any]:
    """An agent's first snapshot and its first audit on a server of their own: from the job's start in the agent to its outcome,
    which comes after the last commit."""
    with RunningServer() as server, server_database(server):
        world = World(server, pipe={"session_timeout_seconds": 60, "audit_interval_sec": 10.0})
        with running_agent(world, root) as memory:
            snapshot = finished_job(world, Job.Kind.SNAPSHOT)
            audit = finished_job(world, Job.Kind.AUDIT)
        world.close()
    assert snapshot["files"] + snapshot["directories"] == entries, f"find saw {entries} entries, the snapshot {snapshot}"
    return {
        "committed_per_second": round(entries / snapshot["seconds"]),
        "audit_per_second": round(entries / audit["seconds"]),
        "agent_rss_mb": memory.rss_mb,
        "agent_pss_mb": memory.pss_mb,
    }


def finished_job(world: World, kind: str) -> dict[str, Any]:
    """The counts of the world's first job of a kind, once it is done."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        for job in Job.objects.filter(pipe=world.pipe, kind=kind, state__in=Job.ENDED):
            assert job.state == Job.State.DONE, f"{kind} ended {job.state}: {job.error}"
            return dict(job.result)
        time.sleep(0.2)
    raise SystemExit(f"no {kind} within {JOB_SECONDS:.0f} s")


def main() -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tree", type=Path, help="an existing directory instead of a made one")
    parser.add_argument("--fresh", action="store_true", help="every file of the made tree was just written, and is suspect")
    parser.add_argument("--scan-only", action="store_true", help="no server: only find and the scanner")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fustor-bench-") as made:
        root = options.tree or Path(made)
        if options.tree is None:
            make_tree(root, options.files, fresh=options.fresh)
        print(json.dumps(measure(root, options)))


def measure(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The numbers of one run."""
    with_find(root)
    finds, scans = [], []
    for _ in range(options.rounds):
        finds.append(timed(lambda: with_find(root)))
        scans.append(timed(lambda: asyncio.run(with_scanner(root, options.processes))))
        assert scans[-1].entries == finds[-1].entries, f"find saw {finds[-1].entries} entries, the scanner {scans[-1].entries}"
    find, scan = (max(runs, key=lambda run: run.per_second) for runs in (finds, scans))
    find_cpu, scan_cpu = (min(run.cpu_seconds for run in runs) for runs in (finds, scans))
    numbers = {
        "entries": find.entries,
        "find_per_second": find.per_second,
        "scanner_per_second": scan.per_second,
        "ratio": round(scan.per_second / find.per_second, 2),
        "ratio_by_processor_time": round(find_cpu / scan_cpu * min(options.processes, os.cpu_count() or 1), 2),
    }
    if options.scan_only:
        return numbers
    numbers |= committed(root, find.entries)
    finds.append(timed(lambda: with_find(root)))
    best = max(run.per_second for run in finds)
    return numbers | {
        "committed_ratio": round(numbers["committed_per_second"] / best, 2),
        "audit_ratio": round(numbers["audit_per_second"] / best, 2),
    }


if __name__ == "__main__":
    main()
