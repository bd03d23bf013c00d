"""What a node costs: `python bench/size.py [--rows 200000] [--no-index]` prints bytes per node of every table and index, then what
a web process that serves that database holds in memory.

A server of its own, filled by the engine in this process, with the name index completed. Works on the database of TEST_DATABASE_URL
too (tools/postgres.py).
"""

import argparse
import time

from django.db import connection
from ingest import chunks, deliver, scan_batch, tree_rows  # sets Django up
from queries import Web

from apps.views import names, services
from apps.views.models import Tree
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World, server_database

QUESTIONS = 300


def fill(tree: Tree, count: int) -> None:
    """The first snapshot."""
    for rows in chunks(tree_rows(count)):
        deliver(tree, scan_batch(rows, "snapshot"))
    deliver(tree, scan_batch([], "snapshot", end=True))


def sizes() -> dict[str, int]:
    """Bytes of every table and index of the views."""
    if connection.vendor == "sqlite":
        statement = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name"
    else:
        statement = "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relkind IN ('r', 'i', 't')"
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return {str(name): int(size) for name, size in cursor.fetchall()}


def print_sizes(count: int) -> None:
    """Whatever costs a tenth of a byte per node or more, and all together."""
    found = sizes()
    for name, size in sorted(found.items(), key=lambda item: -item[1]):
        if size / count >= 0.1:
            print(f"{name:<56}{size / count:>8.1f} bytes per node")
    print(f"{'all':<56}{sum(found.values()) / count:>8.1f} bytes per node   target 150")


def serve(world: World, server: RunningServer, directories: int) -> None:
    """Ask all over the tree and print what the web process holds."""
    web = Web(server)
    print(f"web process before: {web.memory()}")
    for number in range(QUESTIONS):
        place = directory(number * directories // QUESTIONS)
        for call in ("tree", "stats", "settled"):
            assert world.reader.http.get(f"/{call}", params={"path": place}).status_code == 200
    print(f"after {QUESTIONS * 3} questions all over the tree: {web.memory()}")
    began = time.perf_counter()
    for number in range(0, directories, max(1, directories // 20)):
        answer = world.reader.http.get("/search", params={"pattern": f"*_{number:05d}.dat", "limit": 100})
        assert answer.status_code == 200
    print(f"after 20 searches ({time.perf_counter() - began:.1f} s): {web.memory()}")
    with world.reader.http.stream("GET", "/tree") as answer:
        size = sum(len(piece) for piece in answer.iter_bytes())
    print(f"after the whole tree ({size / 1e6:,.0f} MB): {web.memory()}   target 500 MB")


def directory(number: int) -> str:
    """The path of the n-th directory, as `tree_rows` names it."""
    return f"/project-{number // 400}/set-{number // 20 % 20}/run-{number % 20:02d}"


def main() -> None:
    """Fill, measure, serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="nodes of the view")
    parser.add_argument("--no-index", action="store_true", help="leave the name index to the worker")
    options = parser.parse_args()
    with RunningServer() as server, server_database(server):
        world = World(server)
        tree = services.ensure_tree(world.view)
        began = time.perf_counter()
        fill(tree, options.rows)
        print(f"{options.rows:,} nodes in {time.perf_counter() - began:.0f} s")
        if not options.no_index:
            names.index_names(budget_seconds=36_000)
        print_sizes(options.rows)
        serve(world, server, options.rows // 51)
        world.close()


if __name__ == "__main__":
    main()
