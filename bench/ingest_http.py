"""How fast a real server takes batches over HTTP: `python bench/ingest_http.py [rows]` on SQLite, or on TEST_DATABASE_URL.

One keep-alive connection; every answer means committed. Bodies are made beforehand, so only the server is measured. Prints
ratios to a raw upsert of as many rows into the same kind of table, in the same run.
"""

import argparse
import http.client
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

import zstandard
from django.core.management import call_command
from django.db import connection

from bench.ingest import FILES_PER_DIRECTORY, MTIME, raw_upsert, tree_rows
from bench.queries import is_indexed
from fustor_schema.wire import FsRow
from tests.blackbox.processes import RunningServer, wait_until
from tests.blackbox.world import World, server_database

SCAN_BATCH = 1_000
EVENT_BATCH = 1_000


def wire_row(row: FsRow) -> dict[str, Any]:
    """A row as an old client writes it."""
    path = row.path or ""
    return {
        "path": path,
        "file_name": path.rsplit("/", 1)[-1],
        "size": row.size,
        "modified_time": row.modified_time,
        "created_time": row.created_time,
        "is_directory": row.is_directory,
        "is_atomic_write": True,
        "parent_path": path.rsplit("/", 1)[0] or "/",
    }


def event(rows: list[dict[str, Any]], source: str, index: int) -> dict[str, Any]:
    """One event."""
    return {
        "event_type": "update", "fields": ["path", "size"], "rows": rows, "index": index, "timestamp": index / 1000,
        "event_schema": "fs", "table": "files", "message_source": source,
    }  # fmt: skip


def scans(count: int) -> Iterator[bytes]:
    """The bodies of a snapshot, without its end."""
    rows = [wire_row(row) for row in tree_rows(count)]
    for start in range(0, len(rows), SCAN_BATCH):
        part = rows[start : start + SCAN_BATCH]
        yield json.dumps({"source_type": "snapshot", "events": [event(part, "snapshot", int(time.time() * 1000))]}).encode()


def events(count: int, total: int, mtime: float | None, size: int) -> Iterator[bytes]:
    """Bodies of single-row realtime events on shuffled paths; without an mtime: random old ones."""
    dice = random.Random(size)
    files = [row for row in tree_rows(total) if not row.is_directory]
    dice.shuffle(files)
    for start in range(0, count, EVENT_BATCH):
        rows = [
            wire_row(row) | {"size": size, "modified_time": mtime or dice.uniform(1e9, 1.6e9)}
            for row in files[start : start + EVENT_BATCH]
        ]
        index = int(time.time() * 1000)
        yield json.dumps({"source_type": "message", "events": [event([row], "realtime", index) for row in rows]}).encode()


class Pusher:
    """One keep-alive connection that pushes bodies and wants 200 for each."""

    def __init__(self, world: World, session_id: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", world.server.port, timeout=120)
        self.url = f"/api/v1/pipe/{session_id}/events"
        self.headers = {"X-API-Key": world.key, "Content-Type": "application/json"}

    def push(self, body: bytes, encoding: str = "") -> None:
        """One request, answered."""
        headers = self.headers | ({"Content-Encoding": encoding} if encoding else {})
        self.connection.request("POST", self.url, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {text[:300]!r}")


def timed(label: str, rows: int, pusher: Pusher, bodies: list[bytes], encoding: str = "") -> float:
    """Push, print and return rows a second."""
    started = time.perf_counter()
    for body in bodies:
        pusher.push(body, encoding)
    rate = rows / (time.perf_counter() - started)
    print(f"{label:<48}{rate:>12,.0f} rows/s", flush=True)
    return rate


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=200_000)
    count: int = parser.parse_args().rows
    changed = min(30_000, count // 2)
    with RunningServer() as server, server_database(server):
        call_command("migrate", verbosity=0)
        raw = raw_upsert(count, 1)
        world = World(server, pipe={"session_timeout_seconds": 600})
        client = world.client()
        client.S(timeout=600).raise_for_status()
        pusher = Pusher(world, client.session_id)
        bodies = list(scans(count))
        rows = count + count // FILES_PER_DIRECTORY
        first = timed("first snapshot", rows, pusher, bodies)
        client.P("sn", [], end=True).raise_for_status()
        # the name index is built once, after the first snapshot: its cost is not that of the second one
        wait_until(lambda: is_indexed(world), 600, "the name index to be complete")
        again = timed("unchanged snapshot", rows, pusher, bodies)
        packed = [zstandard.ZstdCompressor(level=3).compress(body) for body in bodies]
        timed("unchanged snapshot, zstd bodies", rows, pusher, packed, "zstd")
        fresh = timed("realtime, one row an event, shuffled", changed, pusher, list(events(changed, count, MTIME + 99, 1)))
        old = timed("realtime, random old mtimes", changed, pusher, list(events(changed, count, None, 2)))
        world.close()
    connection.close()
    print(f"first/raw {first / raw:.2f}   unchanged/first {again / first:.2f}   old/fresh mtimes {old / fresh:.2f}")


if __name__ == "__main__":
    main()
