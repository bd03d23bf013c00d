"""How fast the engine takes batches, without HTTP: `python bench/ingest.py [rows]` on the database of DATABASE_URL (SQLite).

Prints rows a second and ratios to a raw upsert of the same rows into the same tables, all within one run: on a shared
machine only the ratios mean anything.
"""

import argparse
import gc
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

os.environ.setdefault("FUSTOR_HOME", tempfile.mkdtemp(prefix="fustor-bench-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")
if "TEST_DATABASE_URL" in os.environ:  # tools/postgres.py
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django

django.setup()

from django.core.management import call_command
from django.db import connection, transaction

from apps.runtime import clock
from apps.views import services
from apps.views.apply import apply_batch
from apps.views.claims import Origin
from apps.views.models import Tree, View
from apps.views.store import nodes, tables
from fustor_schema.wire import Batch, Envelope, Event, FsRow

BATCH = 1_000
FILES_PER_DIRECTORY = 50
MTIME = 1_700_000_000.0
ORIGIN = Origin(session=1)


def tree_rows(count: int) -> Iterator[FsRow]:
    """Rows as a scanner sends them: a directory, then its files; four levels deep."""
    made = 0
    number = 0
    while made < count:
        path = f"/project-{number // 400}/set-{number // 20 % 20}/run-{number % 20:02d}"
        yield FsRow(path=path, modified_time=MTIME, created_time=MTIME, size=4096, is_directory=True)
        for file in range(FILES_PER_DIRECTORY):
            yield FsRow(path=f"{path}/measurement_{file:05d}.dat", modified_time=MTIME + file, created_time=MTIME, size=file * 1000)
        made += FILES_PER_DIRECTORY + 1
        number += 1


def chunks(rows: Iterable[FsRow]) -> Iterator[list[FsRow]]:
    """Lists of BATCH rows."""
    chunk: list[FsRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == BATCH:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def scan_batch(rows: list[FsRow], source: str, *, end: bool = False) -> Batch:
    """One snapshot or audit batch."""
    event = Event("update", rows, source, "fs", "files", index=clock.now_ms())
    return Batch(Envelope(events=[event], source_type=source, is_end=end), [])


def event_batch(rows: list[FsRow]) -> Batch:
    """One realtime batch of single-row events."""
    now = clock.now_ms()
    return Batch(Envelope(events=[Event("update", [row], "realtime", "fs", "files", index=now) for row in rows]), [])


def deliver(tree: Tree, batch: Batch) -> None:
    """One committed batch."""
    with transaction.atomic():
        apply_batch(tree.pk, ORIGIN, batch, clock.now_ms())


def timed(label: str, rows: int, work: Callable[[], None]) -> float:
    """Run, print and return rows a second (and print them per second of this process's own CPU time: a busy machine tells)."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    wall, rate = rows / (time.perf_counter() - start), rows / (time.process_time() - cpu)
    print(f"{label:<44}{wall:>12,.0f} rows/s{rate:>12,.0f} rows per CPU second")
    return wall


def raw_upsert(count: int, repeats: int) -> float:
    """The database's own speed: as many file rows into the same table, one upsert a batch, every column of every row sent:
    `executemany` on SQLite, arrays through `unnest` on PostgreSQL."""
    directories = nodes.new_directory_ids(count // FILES_PER_DIRECTORY + 1)
    rows = [
        (directories[n // FILES_PER_DIRECTORY], f"measurement_{n % FILES_PER_DIRECTORY:05d}.dat", 0, n, MTIME, MTIME)
        + (None,) * 5
        + (0, 1_750_000_000_000, 1_750_000_000_000, 1, 19)
        for n in range(count)
    ]

    def write() -> None:
        for start in range(0, count, BATCH):
            with transaction.atomic():
                _write_plainly(rows[start : start + BATCH])

    rate = 0.0
    for _ in range(repeats):
        rate = timed("raw upsert", count, write)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM fustor_views_file WHERE directory_id >= %s", [directories[0]])
    return rate


def _write_plainly(rows: list[tuple[object, ...]]) -> None:
    columns = tables.FILE_COLUMNS
    settings = ", ".join(f"{name} = excluded.{name}" for name in list(columns)[2:])
    target = f"INSERT INTO {tables.FILE} ({', '.join(columns)})"
    conflict = f"ON CONFLICT (directory_id, name) DO UPDATE SET {settings}"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # the driver itself: Django's cursor would only add to it
            cursor.connection.executemany(f"{target} VALUES ({', '.join('?' * len(columns))}) {conflict}", rows)
        else:
            arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
            cursor.execute(
                f"{target} SELECT * FROM unnest({arrays}) {conflict}", [list(column) for column in zip(*rows, strict=True)]
            )


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=200_000)
    count: int = parser.parse_args().rows
    call_command("migrate", verbosity=0)
    view, _ = View.objects.get_or_create(slug="bench")
    services.drop_view_trees(view)
    tree = services.ensure_tree(view)
    # as the web process does
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    raw = raw_upsert(count, 1)
    batches = [scan_batch(chunk, "snapshot") for chunk in chunks(tree_rows(count))]
    batches[-1].envelope.is_end = True
    first = timed("first snapshot", count, lambda: [deliver(tree, batch) for batch in batches] and None)
    again = timed("unchanged snapshot", count, lambda: [deliver(tree, batch) for batch in batches] and None)
    files = [row for row in tree_rows(count) if not row.is_directory]
    random.Random(1).shuffle(files)
    shuffled = files[: min(60_000, count)]

    def touched(mtimes: Callable[[], float]) -> list[Batch]:
        return [
            event_batch([FsRow(path=row.path, size=row.size + 1, modified_time=mtimes()) for row in chunk])
            for chunk in chunks(shuffled)
        ]

    now = clock.now()
    fresh, old = touched(lambda: now), touched(lambda: random.uniform(1e9, 1.6e9))
    realtime = timed("realtime, one row an event, shuffled", len(shuffled), lambda: [deliver(tree, b) for b in fresh] and None)
    backwards = timed("realtime, random old mtimes", len(shuffled), lambda: [deliver(tree, b) for b in old] and None)
    single = [event_batch([row]) for row in shuffled[:2_000]]
    timed("realtime, one row a batch", len(single), lambda: [deliver(tree, b) for b in single] and None)
    print(f"first/raw {first / raw:.2f}   unchanged/first {again / first:.2f}   old/fresh mtimes {backwards / realtime:.2f}")


if __name__ == "__main__":
    main()
