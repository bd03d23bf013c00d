"""A server of one test file's own: `from tests.blackbox.own_server import server` stands in for the one that all files share."""

from collections.abc import Iterator

import pytest

from tests.blackbox.processes import RunningServer


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """What other tests left configured would be in the way."""
    with RunningServer() as own:
        yield own
