"""Audits end to end: what nobody saw happen is found, what cannot be proven gone is kept."""

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.views.models import Directory
from fustor_site.supervisor import children
from tests.agent.e2e.conftest import Fleet
from tests.agent.e2e.test_convergence import churn
from tests.agent.overflow import overflow
from tests.agent.walk import age, grow, walked
from tests.blackbox.processes import PATIENCE_SECONDS
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox


@pytest.fixture
def audited(make_world: Callable[..., World], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose pipe is audited every two seconds."""
    made = Fleet(make_world(pipe={"audit_interval_sec": 2.0}), tmp_path)
    yield made
    made.close()


def configured(fleet: Fleet, tree: Path, tmp_path: Path, **settings: Any) -> list[str]:
    """The command line of an agent that runs from a file with these source settings."""
    file = tmp_path / "agent.yaml"
    lines = "".join(f"      {name}: {value}\n" for name, value in settings.items())
    file.write_text(
        f"sources:\n  s:\n    uri: {tree}\n    driver_params:\n{lines}"
        "senders:\n  m: {credential: {env: FUSTOR_AGENT_KEY}}\n"
        "pipes:\n  p: {source: s, sender: m}\n"
    )
    return ["--config", str(file)]


def test_s084_to_s087_what_a_blind_host_does_is_found_and_marked(audited: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    age(tree)
    agent = audited.agent(tree)
    # one watch: everything below the root happens as if on a host without an agent. Every directory passes for one that changed
    # just now, so no audit calls one active: to watch it from then on would close its blind spot
    agent.start(*configured(audited, tree, tmp_path, watch_limit=1, deep_cycles=1, racy_seconds=86_400))
    audited.until_equal(tree)
    (tree / "d1" / "e1" / "file").unlink()
    (tree / "d2" / "e2" / "added").write_text("found")
    with (tree / "d3" / "e3" / "file").open("a") as file:
        file.write("appended in place")
    audited.until_equal(tree)
    blind = audited.world.reader.BS().json()
    assert "/d2/e2/added" in [node["path"] for node in blind["additions"]]
    assert "/d1/e1/file" in blind["deletions"]


def test_s045_an_unmounted_root_deletes_nothing_and_its_return_is_noticed(audited: Fleet, tree: Path) -> None:
    grow(tree)
    audited.agent(tree).start()
    audited.until_equal(tree)
    before = audited.seen()
    elsewhere = tree.with_name("elsewhere")
    tree.rename(elsewhere)
    tree.mkdir()
    time.sleep(8)
    assert audited.seen().keys() >= before.keys()
    tree.rmdir()
    elsewhere.rename(tree)
    (tree / "after").write_text("x")
    audited.until_equal(tree)


def test_s065_audits_of_a_quiet_tree_change_nothing(audited: Fleet, tree: Path) -> None:
    grow(tree, 100)
    age(tree)
    audited.agent(tree).start()
    audited.until_equal(tree)
    stats = audited.world.reader.ST().json()
    audited.until(lambda: audited.world.reader.ST().json()["audit_cycle_count"] >= stats["audit_cycle_count"] + 2)
    audited.until_equal(tree)
    assert audited.world.reader.BS().json()["additions_count"] == 0
    assert audited.world.reader.BS().json()["deletion_count"] == 0


def test_s048_work_goes_on_while_audits_run_and_nothing_false_is_deleted(audited: Fleet, tree: Path) -> None:
    grow(tree, 200)
    audited.agent(tree, "host-a").start()
    audited.until_equal(tree)
    audited.agent(tree, "host-b").start()
    steady = {path for path in walked(tree) if path.startswith("/d0")}
    for step in range(20):
        churn_outside(tree, random.Random(step))
        assert steady <= audited.seen().keys()
    audited.until_equal(tree)


def churn_outside(tree: Path, dice: random.Random) -> None:
    work = tree / "work"
    work.mkdir(exist_ok=True)
    churn(work, dice, 20)


def test_s155_s145_the_server_is_killed_and_comes_back(audited: Fleet, tree: Path) -> None:
    grow(tree)
    audited.agent(tree).start()
    audited.until_equal(tree)
    server = audited.world.server
    assert server.web is not None
    children.signal_group(server.web, 9)
    server.web.wait(PATIENCE_SECONDS)
    churn(tree, random.Random(1), 100)
    server.start_web()
    audited.until_equal(tree)


def test_s044_after_an_overflow_the_view_is_scanned_again_and_equal(fleet: Fleet, tree: Path) -> None:
    agent = fleet.agent(tree).start()
    fleet.until_equal(tree)
    agent.send(signal.SIGSTOP)
    overflow(tree)
    for number in range(100):
        (tree / f"d{number}").mkdir()
        for inner in range(100):
            (tree / f"d{number}" / f"f{inner}").touch()
    shutil.rmtree(tree / "d7")
    agent.send(signal.SIGCONT)
    fleet.until_equal(tree)
    assert b"overflow" in agent.log.read_bytes()


def test_s049_an_unreadable_directory_keeps_its_children(audited: Fleet, tree: Path) -> None:
    grow(tree)
    audited.agent(tree).start(unprivileged=True)
    audited.until_equal(tree)
    before = audited.seen()
    (tree / "d1").chmod(0)
    try:
        directory = Directory.objects.filter(tree__view=audited.world.view, path="/d1")
        audited.until(lambda: directory.get().unscanned == "EACCES")
        assert audited.seen().keys() == before.keys()
    finally:
        (tree / "d1").chmod(0o755)
