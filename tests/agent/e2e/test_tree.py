"""One agent on one directory: the view becomes the directory, and stays it."""

from pathlib import Path

import pytest

from tests.agent.e2e.conftest import Fleet
from tests.agent.walk import grow

pytestmark = pytest.mark.blackbox


def test_an_existing_tree_is_in_the_view_and_changes_follow(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    (tree / "n1" / "n2" / "n3").mkdir(parents=True)
    (tree / "n1" / "n2" / "n3" / "q").write_text("x")
    (tree / "d3").rename(tree / "renamed")
    (tree / "renamed" / "e3" / "file").unlink()
    fleet.until_equal(tree)
