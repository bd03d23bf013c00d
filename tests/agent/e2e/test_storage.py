"""Storage that goes away, is ill or is full, for agents end to end: nothing false is deleted, the agent stays up, and recovers."""

import contextlib
import errno
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from apps.sessions.models import Session
from apps.views.models import Directory
from tests.agent.e2e.conftest import REPOSITORY, Fleet, RealAgent
from tests.agent.e2e.test_audits import churn_outside, configured
from tests.agent.e2e.test_convergence import churn
from tests.agent.walk import age, grow, walked
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox
FAULTY_STORAGE = Path(__file__).parents[1] / "faulty_storage"


@pytest.fixture
def audited(make_world: Callable[..., World], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose pipe is audited every two seconds, with short sessions."""
    made = Fleet(make_world(pipe={"audit_interval_sec": 2.0, "session_timeout_seconds": 5}), tmp_path)
    yield made
    made.close()


def mount(*arguments: str | Path) -> None:
    """Mounts something; skips the test where that is not allowed."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this needs the right to mount: {done.stderr.strip()}")


@pytest.fixture
def disk(tree: Path, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The tree as a mount point of a disk; calling it mounts the same disk again."""
    content = tmp_path / "disk"
    content.mkdir()

    def mounted() -> None:
        mount("--bind", content, tree)

    mounted()
    yield mounted
    subprocess.run(["umount", "--lazy", tree], check=False, capture_output=True)


def test_s045_a_disk_that_is_unmounted_and_mounted_again(audited: Fleet, tree: Path, disk: Callable[[], None]) -> None:
    grow(tree)
    agent = audited.agent(tree).start()
    audited.until_equal(tree)
    before = audited.seen()
    subprocess.run(["umount", "--lazy", tree], check=True)
    assert walked(tree) == {"/": -1}
    audited.until(lambda: b"root_lost" in agent.log.read_bytes())
    audited.until(lambda: not audited.world.reader.ST().json()["is_auditing"])
    cycles = audited.world.reader.ST().json()["audit_cycle_count"]
    time.sleep(6)  # three times the interval of audits
    assert audited.seen().keys() == before.keys()
    assert audited.world.reader.ST().json()["audit_cycle_count"] == cycles
    disk()
    (tree / "after").write_text("x")
    audited.until_equal(tree)


def test_s050_a_child_that_cannot_be_looked_at_stays_until_it_can(audited: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    faults = tmp_path / "faults"
    faults.touch()
    ill = {"PYTHONPATH": f"{FAULTY_STORAGE}:{REPOSITORY}", "FUSTOR_TEST_FAULTS": str(faults)}
    # one watch: what happens below the root is for audits to find
    agent = audited.agent(tree).start(*configured(audited, tree, tmp_path, watch_limit=1, deep_cycles=1, racy_seconds=0), **ill)
    audited.until_equal(tree)
    before = audited.seen()
    faults.write_text(f"file {errno.ESTALE}\n")
    directory = Directory.objects.filter(tree__view=audited.world.view, path="/d1/e1")
    audited.until(lambda: directory.get().unscanned == "ESTALE")
    (tree / "d1" / "e1" / "file").unlink()
    time.sleep(5)  # two intervals of audits
    assert audited.seen().keys() >= before.keys() - {"/d1/e1/file"}
    faults.write_text("")
    audited.until_equal(tree)
    assert agent.process is not None
    assert agent.process.poll() is None


def test_s154_the_agents_own_disk_is_full(audited: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    agent = audited.agent(tree)
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", agent.state)
    agent.log = tmp_path / "agent.log"
    try:
        full = agent.state / "ballast"
        with full.open("wb") as file:
            fill(file.fileno())
        agent.start()
        (tree / "made").write_text("x")
        audited.until(lambda: b"session open" in agent.log.read_bytes())
        audited.until(lambda: "No space left" in str(health_of(agent).get("home_error")))
        assert agent.process is not None
        assert agent.process.poll() is None
        full.unlink()
        audited.until_equal(tree)
        (tree / "after").write_text("x")
        audited.until_equal(tree)
        audited.until(lambda: health_of(agent).get("home_error") == "")
    finally:
        agent.stop()
        subprocess.run(["umount", "--lazy", agent.state], check=True)


def fill(descriptor: int) -> None:
    block = b"x" * 4096
    with contextlib.suppress(OSError):
        while os.write(descriptor, block):
            pass


def health_of(agent: RealAgent) -> dict[str, object]:
    session = Session.objects.filter(agent_name=agent.name, pipe__in=agent.world.pipes, ended_at=None).first()
    return dict(session.agent_status) if session else {}


def test_rsync_with_old_times_over_what_is_there(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    source = tmp_path / "source"
    source.mkdir()
    grow(source, 30)
    age(source, 10_000_000)
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    for size in ("one", "longer", ""):
        (source / "d1" / "e1" / "file").write_text(size)
        subprocess.run(["touch", "-d", "2001-09-09", source / "d1" / "e1" / "file"], check=True)
        subprocess.run(["rsync", "-a", "--delete", "--ignore-times", f"{source}/", f"{tree}/in"], check=True)
        fleet.until_equal(tree)
        shutil.rmtree(source / "d2", ignore_errors=True)


def test_s153_the_server_is_away_for_longer_than_a_session_lives(audited: Fleet, tree: Path) -> None:
    grow(tree)
    audited.agent(tree).start()
    audited.until_equal(tree)
    server = audited.world.server
    server.stop_web()
    try:
        churn(tree, random.Random(9), 150)
        time.sleep(12)
    finally:
        server.start_web()
    audited.until_equal(tree)


def test_s165_two_agents_and_a_blind_host_for_a_while(audited: Fleet, tree: Path, tmp_path: Path) -> None:
    """What happens in directories beyond the watch limit happens as if on a host without an agent."""
    grow(tree, 60)
    age(tree)
    limited = configured(audited, tree, tmp_path, watch_limit=30, deep_cycles=1, racy_seconds=0)
    agents = [audited.agent(tree, name).start(*limited) for name in ("host-a", "host-b")]
    audited.until_equal(tree)
    steady = {path for path in walked(tree) if path.startswith("/d")}
    used: list[int] = []
    for step in range(4):
        churn_outside(tree, random.Random(step))
        (tree / "d3" / "e3" / "file").write_text("x" * (50 + step))
        (tree / "d5" / f"blind-{step}").write_text("found by an audit")
        assert steady <= audited.seen().keys()
        audited.until_equal(tree)
        used.append(sum(psutil.Process(agent.process.pid).memory_info().rss for agent in agents if agent.process))
    assert used[-1] - used[0] < 16 << 20
