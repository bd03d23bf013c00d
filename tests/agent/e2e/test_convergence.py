"""The end-state harness: whatever is done to a directory, the view equals os.walk afterwards (R55)."""

import os
import random
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from fustor_site.supervisor import children
from tests.agent.e2e.conftest import Fleet
from tests.agent.walk import grow

pytestmark = pytest.mark.blackbox


def test_s040_a_renamed_directory_moves_with_all_below(fleet: Fleet, tree: Path) -> None:
    (tree / "big").mkdir()
    for number in range(3_000):
        (tree / "big" / f"f{number}").touch()
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    (tree / "big").rename(tree / "renamed")
    fleet.until_equal(tree)


def test_s042_trees_moved_in_and_out(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    grow(outside, 100)
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    outside.rename(tree / "in")
    fleet.until_equal(tree)
    (tree / "in" / "d1").rename(tmp_path / "out")
    fleet.until_equal(tree)


def test_s043_mkdir_p_and_touch_a_hundred_times(fleet: Fleet, tree: Path) -> None:
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    for trial in range(100):
        subprocess.run(["sh", "-c", f"mkdir -p t{trial}/n2/n3 && touch t{trial}/n2/n3/q"], cwd=tree, check=True)
    fleet.until_equal(tree)


def test_copies_and_archives_with_old_times(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    grow(source, 30)
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(source, "unpacked")
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    subprocess.run(["cp", "-a", str(source), str(tree / "copied")], check=True)
    subprocess.run(["tar", "xf", str(tmp_path / "a.tar"), "-C", str(tree)], check=True)
    fleet.until_equal(tree)
    shutil.rmtree(tree / "copied")
    fleet.until_equal(tree)


def test_a_burst_of_10000_files(fleet: Fleet, tree: Path) -> None:
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    (tree / "burst").mkdir()
    for number in range(10_000):
        os.close(os.open(tree / "burst" / f"{number}", os.O_CREAT | os.O_WRONLY))
    fleet.until_equal(tree)


def test_random_work_converges(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    churn(tree, random.Random(7), 600)
    fleet.until_equal(tree)


def churn(tree: Path, dice: random.Random, steps: int) -> None:
    """Random creates, writes, renames, deletes, of files and directories."""
    for step in range(steps):
        directories = [tree, *[path for path in tree.rglob("*") if path.is_dir()]]
        files = [path for path in tree.rglob("*") if path.is_file()]
        where = dice.choice(directories)
        action = dice.choice("cccwwrdmMR")
        if action == "c":
            (where / f"f{step}").write_text("x" * dice.randrange(50))
        elif action == "w" and files:
            with dice.choice(files).open("a") as file:
                file.write("more")
        elif action == "r" and files:
            dice.choice(files).rename(where / f"r{step}")
        elif action == "d" and files:
            dice.choice(files).unlink()
        elif action == "m":
            (where / f"m{step}").mkdir()
        elif action == "M" and where is not tree:
            target = dice.choice([path for path in directories if where not in (path, *path.parents)] or [tree])
            where.rename(target / f"M{step}")
        elif action == "R" and where is not tree and dice.random() < 0.2:
            shutil.rmtree(where)


def test_s153_the_server_sleeps_and_nothing_is_lost(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    web = fleet.world.server.web
    assert web is not None
    children.signal_group(web, signal.SIGSTOP)
    try:
        churn(tree, random.Random(3), 150)
        time.sleep(8)
    finally:
        children.signal_group(web, signal.SIGCONT)
    fleet.until_equal(tree)


def test_an_agent_that_slept_through_its_session_comes_back(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    agent = fleet.agent(tree).start()
    fleet.until_equal(tree)
    agent.send(signal.SIGSTOP)
    churn(tree, random.Random(5), 100)
    time.sleep(3)
    agent.send(signal.SIGCONT)
    fleet.until_equal(tree)


def test_two_agents_on_one_directory(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    fleet.agent(tree, "host-a").start()
    fleet.until_equal(tree)
    second = fleet.agent(tree, "host-b").start()
    fleet.until(lambda: b"session open" in second.log.read_bytes())
    churn(tree, random.Random(11), 200)
    fleet.until_equal(tree)


def test_s005_the_follower_takes_over_when_the_leader_dies(fleet: Fleet, tree: Path) -> None:
    grow(tree)
    leader = fleet.agent(tree, "host-a").start()
    fleet.until_equal(tree)
    second = fleet.agent(tree, "host-b").start()
    fleet.until(lambda: b"session open" in second.log.read_bytes())
    time.sleep(1)
    leader.stop()
    (tree / "after").write_text("x")
    fleet.until_equal(tree)
    fleet.until(lambda: b"role=" in second.log.read_bytes() and b"'leader'" in second.log.read_bytes())
    assert "/after" in fleet.seen()


def test_s115_strange_names_are_exact(fleet: Fleet, tree: Path) -> None:
    for name in (
        "new\nline",
        "tab\t",
        "esc\x1b[0m",
        "rtl\u202e",
        "😀",
        "%2F",
        "what?",
        "#",
        "*",
        "[a]",
        " lead",
        "trail ",
        "é",
        "e\u0301",
    ):
        (tree / name).write_text("x")
    (tree / "README").write_text("1")
    (tree / "readme").write_text("22")
    fleet.agent(tree).start()
    fleet.until_equal(tree)
    (tree / "*").rename(tree / "**")
    fleet.until_equal(tree)


def test_s117_links_and_odd_files(fleet: Fleet, tree: Path) -> None:
    (tree / "d").mkdir()
    (tree / "d" / "f").write_text("x")
    (tree / "to-d").symlink_to("d")
    (tree / "loop").symlink_to(".")
    (tree / "broken").symlink_to("nowhere")
    os.mkfifo(tree / "fifo")
    os.link(tree / "d" / "f", tree / "hard")
    fleet.agent(tree).start()
    fleet.until_equal(tree)


def test_s154_the_root_is_removed_and_made_again(fleet: Fleet, tree: Path) -> None:
    grow(tree, 10)
    agent = fleet.agent(tree).start()
    fleet.until_equal(tree)
    shutil.rmtree(tree)
    time.sleep(2)
    assert agent.process is not None
    assert agent.process.poll() is None
    tree.mkdir()
    (tree / "new").write_text("x")
    fleet.until_equal(tree)
