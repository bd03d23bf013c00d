"""The engine's test bench, for tests that read what the real writing side stored; and a view that was fed over HTTP."""

import time

import pytest

from tests.blackbox.client import V2Client, d, f
from tests.blackbox.world import World
from tests.views.conftest import bench, manual

__all__ = ["bench", "manual"]

OLD = time.time() - 86_400


@pytest.fixture
def fed(world: World) -> tuple[World, V2Client]:
    """A complete view: /d with two files, /d/sub with one."""
    client = world.client()
    client.S(timeout=600)
    client.snapshot([d("/d", OLD), f("/d/a.txt", OLD, 10), f("/d/b.dat", OLD, 20), d("/d/sub", OLD), f("/d/sub/c.txt", OLD, 30)])
    return world, client
