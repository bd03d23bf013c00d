"""Scenario 151: no room for what is written. Nothing is acknowledged that is not kept, nothing is damaged, and it goes on alone.

The disk is filled in two ways: by the limit of a process's files, which needs no rights, and on a small file system of its own.
"""

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from fustor_site import store_check
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World, server_database

pytestmark = [
    pytest.mark.blackbox,
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's disk is not this server's"),
]
ROWS, MOST_BATCHES = 500, 400
UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def world(django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with RunningServer(FUSTOR_SQLITE_BUSY_SECONDS="5") as server, django_db_blocker.unblock(), server_database(server):
        yield World(server)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def batch(number: int) -> list[dict[str, object]]:
    return [f(f"/d{number}/a-name-that-takes-some-room-{file:04}", 1) for file in range(ROWS)]


def push_until_refused(client: V2Client, first: int) -> tuple[set[str], int]:
    """The files of the acknowledged batches, and the number of the batch that was refused."""
    acknowledged: set[str] = set()
    for number in range(first, first + MOST_BATCHES):
        answer = client.P("rt", batch(number), "insert", batch_id=f"b{number}")
        if answer.status_code != 200:
            assert answer.status_code in (503, 507), answer.text
            assert answer.status_code == 507 or int(answer.headers["Retry-After"]) > 0
            return acknowledged, number
        acknowledged |= {str(row["path"]) for row in batch(number)}
    raise AssertionError("the disk never filled")


def check(world: World, client: V2Client, acknowledged: set[str], refused: int) -> None:
    """There is room again: the same batch is taken, everything is there once, and the file is whole."""
    answer = client.P("rt", batch(refused), "insert", batch_id=f"b{refused}")
    assert answer.status_code == 200, answer.text
    seen = client.reader.paths()
    files = {path for path in seen if path.count("/") == 2}
    assert files == acknowledged | {str(row["path"]) for row in batch(refused)}
    assert store_check.check(Path(world.server.database.name)) == ([], True)


def test_s151_a_file_that_may_not_grow_means_no_and_no_damage(world: World) -> None:
    client = world.client("a:p")
    client.S(timeout=600)
    client.snapshot([d("/", 1)])
    first = {str(row["path"]) for row in batch(0)}
    assert client.P("rt", batch(0), "insert", batch_id="b0").status_code == 200
    processes = [child.pid for child in (world.server.web, world.server.worker) if child is not None]
    database = Path(world.server.database.name)
    for pid in processes:
        resource.prlimit(
            pid, resource.RLIMIT_FSIZE, (database.with_name(f"{database.name}-wal").stat().st_size + 300_000, UNLIMITED)
        )
    acknowledged, refused = push_until_refused(client, 1)
    assert client.HB().status_code == 200
    assert set(client.reader.paths()) >= acknowledged | first
    for pid in processes:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
    check(world, client, acknowledged | first, refused)


def test_s151_a_full_disk_means_no_and_no_damage_and_room_is_enough_to_go_on(
    small_disk: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    with RunningServer(FUSTOR_SQLITE_BUSY_SECONDS="5") as server:
        # the same database, on the small disk
        server.stop_web()
        server.stop_worker()
        database = Path(server.database.name)
        for part in database.parent.glob(f"{database.name}*"):
            (small_disk / part.name).write_bytes(part.read_bytes())
        server.database.name = str(small_disk / database.name)
        server.database.url = f"sqlite:///{server.database.name}"
        server.start_web()
        server.start_worker()
        with django_db_blocker.unblock(), server_database(server):
            world = World(server)
            client = world.client("a:p")
            client.S(timeout=600)
            client.snapshot([d("/", 1)])
            ballast = small_disk / "ballast"
            room = os.statvfs(small_disk)
            ballast.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - 3_000_000)))
            acknowledged, refused = push_until_refused(client, 1)
            assert client.HB().status_code == 200
            assert set(client.reader.paths()) >= acknowledged
            ballast.unlink()
            check(world, client, acknowledged, refused)
