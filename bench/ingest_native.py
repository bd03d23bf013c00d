"""How fast a real server takes what agents of protocol 3 send: `python bench/ingest_native.py [rows] [--batch rows]`.

Every directory is an event of its own with all columns and its `dir_close`, bodies are compressed, one keep-alive connection, every
answer means committed. Prints ratios to a raw upsert of as many rows into the same kind of table, in the same run, on SQLite or on
TEST_DATABASE_URL.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec
import zstandard
from django.core.management import call_command
from django.db import connection

from agent_runner.batches import Stream
from bench.ingest import FILES_PER_DIRECTORY, raw_upsert, tree_rows
from bench.ingest_http import Pusher, timed
from fustor_schema.listing import names_hash
from fustor_schema.wire import Event, FsRow
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World, server_database


def listings(count: int) -> Iterator[list[FsRow]]:
    """The rows of each event: a directory's own row, then its listing."""
    numbered = itertools.count(10_000_000)
    for is_directory, rows in itertools.groupby(tree_rows(count), lambda row: row.is_directory):
        listed = [_told(row, next(numbered)) for row in rows]
        if not is_directory:
            paths = [row.path or "" for row in listed]
            proof = names_hash(path.rpartition("/")[2].encode() for path in paths)
            listed.append(FsRow(path=paths[0].rpartition("/")[0], kind="dir_close", ok=True, count=len(paths), names_hash=proof))
        yield listed


def _told(row: FsRow, inode: int) -> FsRow:
    """A row with all that lstat tells."""
    kind = "directory" if row.is_directory else "file"
    return msgspec.structs.replace(row, kind=kind, mode=0o644, uid=1000 + inode % 3, gid=1000, inode=inode, nlink=1)


def bodies(count: int, batch: int, session_id: str, stream: str) -> list[bytes]:
    """A whole snapshot without its end, as one stream of batches."""
    sent, numbers = [], Stream(session_id, protocol=3, stream=stream)
    events: list[bytes] = []
    held = 0
    compress = zstandard.ZstdCompressor(level=1).compress
    for rows in listings(count):
        now = time.monotonic() * 1000
        event = Event("update", rows, "snapshot", "fs", "files", index=int(time.time() * 1000), observed_at=now)
        events.append(msgspec.json.encode(event))
        held += len(rows)
        if held >= batch:
            sent.append(compress(numbers.batch(events, source_type="snapshot", epoch=1)))
            numbers.acknowledged()
            events, held = [], 0
    if events:
        sent.append(compress(numbers.batch(events, source_type="snapshot", epoch=1)))
    return sent


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=200_000)
    parser.add_argument("--batch", type=int, default=1_000, help="rows a request; agents send 4,000 to 10,000")
    options = parser.parse_args()
    count: int = options.rows
    with RunningServer() as server, server_database(server):
        call_command("migrate", verbosity=0)
        raw = raw_upsert(count, 1)
        world = World(server, pipe={"session_timeout_seconds": 600})
        client = world.client()
        client.S(timeout=600, protocol=3, sent_at=time.monotonic() * 1000).raise_for_status()
        pusher = Pusher(world, client.session_id)
        rows = count + count // FILES_PER_DIRECTORY
        rates = [
            timed(label, rows, pusher, bodies(count, options.batch, client.session_id, label), "zstd")
            for label in ("first snapshot", "unchanged snapshot")
        ]
        world.close()
    connection.close()
    print(f"first/raw {rates[0] / raw:.2f}   unchanged/first {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
