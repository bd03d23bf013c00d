"""How fast the agent's scanner reads a tree, against `find -printf` on the same tree in the same run: `python bench/scan.py`.

Prints entries a second of both (the best of several alternating runs), their ratio, and the scanner's memory.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from agent_runner.sources.fs import frames
from agent_runner.sources.fs.scanner import Scanner

FILES_PER_DIRECTORY = 100


def make_tree(root: Path, files: int) -> None:
    """`files` empty files, a hundred to a directory, directories three deep."""
    for number in range(0, files, FILES_PER_DIRECTORY):
        directory = root / f"a{number // 100_000}" / f"b{number // 5_000}" / f"c{number // FILES_PER_DIRECTORY}"
        directory.mkdir(parents=True)
        for inner in range(min(FILES_PER_DIRECTORY, files - number)):
            os.close(os.open(directory / f"file-{inner:05d}.dat", os.O_CREAT | os.O_WRONLY))


def with_find(root: Path) -> tuple[int, float]:
    """Entries and seconds of `find -printf`."""
    started = time.perf_counter()
    done = subprocess.run(["find", str(root), "-printf", "%p %s %T@ %C@ %y %m %U %G %i %n\n"], stdout=subprocess.PIPE, check=True)
    return done.stdout.count(b"\n"), time.perf_counter() - started


async def with_scanner(root: Path, processes: int) -> tuple[int, float]:
    """Entries and seconds of the scanner, its processes' start included; rows come out encoded, ready to send."""
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
    started, found = time.perf_counter(), 0
    async for frame in Scanner(orders, [b"/"], processes=processes, timeout=60).listed():
        found += frame.files + frame.directories
    return found, time.perf_counter() - started


def main() -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tree", type=Path, help="an existing directory instead of a made one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fustor-bench-") as made:
        root = options.tree or Path(made)
        if options.tree is None:
            make_tree(root, options.files)
        with_find(root)
        results: dict[str, list[float]] = {"find": [], "scanner": []}
        entries = 0
        for _ in range(options.rounds):
            entries, seconds = with_find(root)
            results["find"].append(entries / seconds)
            scanned, seconds = asyncio.run(with_scanner(root, options.processes))
            assert scanned == entries, f"find saw {entries} entries, the scanner {scanned}"
            results["scanner"].append(scanned / seconds)
    find, scanner = max(results["find"]), max(results["scanner"])
    print(
        json.dumps(
            {
                "entries": entries,
                "find_per_second": round(find),
                "scanner_per_second": round(scanner),
                "ratio": round(scanner / find, 2),
                "scanner_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "lister_rss_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
