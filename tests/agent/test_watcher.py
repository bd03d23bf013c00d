"""The watcher on real directories: every change arrives as the right event, whatever the order and the speed."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent_runner.sources.fs.watcher import Watcher
from fustor_schema.settings import FsSettings
from fustor_schema.wire import Event
from tests.agent.overflow import make_directory, nothing_is_read, overflow
from tests.agent.recording_server import RecordingServer
from tests.blackbox.processes import PATIENCE_SECONDS


class Heard:
    """What a watcher published, and the picture that it adds up to."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.events: list[Event] = []
        self._waits, self._may_go_on = threading.Event(), threading.Event()
        self._may_go_on.set()
        self.watcher = Watcher(os.fsencode(root), FsSettings(**settings), self._publish)

    def _publish(self, events: list[Event]) -> None:
        self._waits.set()
        self._may_go_on.wait(PATIENCE_SECONDS)
        self.events.extend(events)

    def start(self) -> "Heard":
        self.watcher.start()
        assert self.watcher.ready.wait(PATIENCE_SECONDS)
        return self

    def stop(self) -> None:
        assert self.watcher.stop(PATIENCE_SECONDS)

    @contextmanager
    def lagging(self) -> Iterator[None]:
        """Meanwhile the watcher works nothing off: it has seen a new file `/wake`, and looks at nothing else before the end."""
        self._may_go_on.clear()
        self._waits.clear()
        (self.root / "wake").touch()
        assert self._waits.wait(PATIENCE_SECONDS)
        yield
        self._may_go_on.set()

    def until_all_is_heard(self) -> None:
        """Waits until everything that was done before is told: events come in their order."""
        (self.root / "last").touch()
        self.until(lambda: bool(self.of("/last")))

    @property
    def view(self) -> dict[str, dict[str, Any]]:
        recorded = RecordingServer()
        recorded.batches = [{"events": msgspec.to_builtins(self.events)}]
        return recorded.view

    def of(self, path: str) -> list[Event]:
        return [event for event in self.events if any(row.path == path for row in event.rows)]

    def gaps(self) -> list[tuple[str, str]]:
        return [(event.scope or "", event.reason or "") for event in self.events if event.event_type == "gap"]

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s; view {sorted(self.view)[:50]}; gaps {self.gaps()}"
            time.sleep(0.01)

    def agrees(self) -> bool:
        """True when the picture equals the directory."""
        return {path: row.get("size") for path, row in self.view.items() if path != "/" and not row.get("is_directory")} == {
            "/" + str(path.relative_to(self.root)): path.lstat().st_size
            for path in self.root.rglob("*")
            if not path.is_dir() or path.is_symlink()
        }


@pytest.fixture
def heard(tree: Path) -> Iterator[Heard]:
    started = Heard(tree).start()
    yield started
    started.stop()
    assert started.watcher.last_error == ""


def test_s031_a_file_is_partial_while_it_is_written_and_whole_once_closed(heard: Heard, tree: Path) -> None:
    with (tree / "x").open("w") as file:
        file.write("1")
        file.flush()
        heard.until(lambda: any(not row.is_atomic_write for event in heard.of("/x") for row in event.rows))
    heard.until(lambda: heard.of("/x")[-1].rows[0].is_atomic_write)
    (tree / "x").unlink()
    heard.until(lambda: heard.events[-1].event_type == "delete")
    assert heard.view == {}


def test_s032_a_file_removed_and_made_again_is_there(heard: Heard, tree: Path) -> None:
    for _ in range(50):
        (tree / "x").write_text("old")
        (tree / "x").unlink()
        (tree / "x").write_text("new!")
    heard.until_all_is_heard()
    assert heard.view["/x"]["size"] == 4


def test_s034_mv_a_b_mv_b_a(heard: Heard, tree: Path) -> None:
    (tree / "A").mkdir()
    for number in range(5):
        (tree / "A" / f"f{number}").write_text("x")
    heard.until(lambda: len([path for path in heard.view if path.startswith("/A/")]) == 5)
    (tree / "A").rename(tree / "B")
    (tree / "B").rename(tree / "A")
    (tree / "A" / "after").write_text("seen by the moved watch")
    heard.until(lambda: "/A/after" in heard.view)
    heard.until(heard.agrees)
    assert not [path for path in heard.view if path.startswith("/B")]


def test_s041_a_rename_over_a_file_leaves_one(heard: Heard, tree: Path) -> None:
    (tree / "a").write_text("aa")
    (tree / "b").write_text("b")
    heard.until(lambda: len(heard.view) == 2)
    (tree / "a").rename(tree / "b")
    heard.until(lambda: "/a" not in heard.view)
    assert heard.view["/b"]["size"] == 2
    assert heard.events[-1].event_type == "move"


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_a_directory_moved_into_one_that_moves_on_is_listed_where_it_ends(heard: Heard, tree: Path, hops: int) -> None:
    (tree / "d" / "inner").mkdir(parents=True)
    (tree / "d" / "inner" / "file").write_text("x")
    (tree / "single").write_text("x")
    heard.until(lambda: heard.agrees() and len(heard.view) == 4)
    # when the watcher comes to look, every name but the last is gone again
    with heard.lagging():
        (tree / "n0").mkdir()
        (tree / "d").rename(tree / "n0" / "d")
        (tree / "single").rename(tree / "n0" / "single")
        for hop in range(hops):
            (tree / f"n{hop}").rename(tree / f"n{hop + 1}")
    heard.until(
        lambda: heard.view.keys() == {f"/n{hops}{rest}" for rest in ("", "/d", "/d/inner", "/d/inner/file", "/single")} | {"/wake"}
    )
    (tree / f"n{hops}" / "d" / "inner" / "late").write_text("still watched")
    heard.until(heard.agrees)


def test_what_was_made_in_a_directory_that_moved_on_is_seen_where_it_ends(heard: Heard, tree: Path) -> None:
    (tree / "d").mkdir()
    heard.until(lambda: "/d" in heard.view)
    with heard.lagging():
        (tree / "d" / "file").write_text("x")
        (tree / "d" / "sub").mkdir()
        (tree / "d" / "sub" / "inner").write_text("x")
        (tree / "d").rename(tree / "e")
    heard.until(lambda: heard.view.keys() == {"/wake", "/e", "/e/file", "/e/sub", "/e/sub/inner"})


@pytest.mark.parametrize("files", [1, 100])
def test_s042_what_is_moved_in_is_seen_whole(heard: Heard, tree: Path, tmp_path: Path, files: int) -> None:
    outside = tmp_path / "outside"
    (outside / "deep" / "er").mkdir(parents=True)
    for number in range(files):
        (outside / "deep" / f"f{number}").write_text("x" * number)
    (tmp_path / "single").write_text("one")
    outside.rename(tree / "inside")
    (tmp_path / "single").rename(tree / "single")
    heard.until(lambda: "/single" in heard.view and heard.agrees())
    (tree / "inside" / "deep" / "er" / "late").write_text("x")
    heard.until(lambda: "/inside/deep/er/late" in heard.view)


def test_what_is_moved_out_is_gone_with_all_below(heard: Heard, tree: Path, tmp_path: Path) -> None:
    (tree / "d" / "e").mkdir(parents=True)
    (tree / "d" / "e" / "f").write_text("x")
    heard.until(lambda: "/d/e/f" in heard.view)
    (tree / "d").rename(tmp_path / "away")
    (tree / "d").write_text("a file now")
    heard.until(lambda: heard.view.get("/d", {}).get("kind") == "file")
    assert set(heard.view) == {"/d"}
    assert heard.watcher.watching.tree.watched == 1


def test_s043_mkdir_p_and_touch_at_once(heard: Heard, tree: Path) -> None:
    for trial in range(100):
        subprocess.run(["sh", "-c", f"mkdir -p t{trial}/n2/n3 && touch t{trial}/n2/n3/q"], cwd=tree, check=True)
    heard.until(lambda: all(f"/t{trial}/n2/n3/q" in heard.view for trial in range(100)))


def test_a_burst_of_20000_files_is_seen_without_a_gap(heard: Heard, tree: Path) -> None:
    directory = tree / "burst"
    directory.mkdir()
    heard.until(lambda: "/burst" in heard.view)
    for number in range(20_000):
        os.close(os.open(directory / f"{number}", os.O_CREAT | os.O_WRONLY))
    heard.until_all_is_heard()
    assert len(heard.view.keys() - {"/last"}) == 20_001
    assert heard.gaps() == []


def test_directories_renamed_deep_in_a_tree_keep_their_watches(heard: Heard, tree: Path) -> None:
    (tree / "a" / "b" / "c").mkdir(parents=True)
    heard.until(lambda: heard.watcher.watching.tree.watched == 4)
    (tree / "x").mkdir()
    (tree / "a" / "b").rename(tree / "x" / "moved")
    (tree / "x" / "moved" / "c" / "f").write_text("1")
    heard.until(lambda: "/x/moved/c/f" in heard.view)
    shutil.rmtree(tree / "x")
    heard.until(lambda: set(heard.view) == {"/a"})


def test_names_are_bytes(heard: Heard, tree: Path) -> None:
    for name in (b"\xff\xfe", b"\xff", "é".encode(), "e\u0301".encode(), b"new\nline", b"back\\slash"):
        (Path(os.fsdecode(os.fsencode(tree) + b"/" + name))).write_text("x")
    heard.until(lambda: len({(row.path, row.path_b64) for event in heard.events for row in event.rows}) == 6)
    assert {row.path_b64 for event in heard.events for row in event.rows} - {None} == {"L//+", "L/8="}


def test_links_and_odd_files_have_their_kind(heard: Heard, tree: Path) -> None:
    (tree / "f").write_text("x")
    (tree / "link").symlink_to("f")
    (tree / "loop").symlink_to(tree)
    (tree / "broken").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    os.link(tree / "f", tree / "hard")
    heard.until(lambda: len(heard.view) == 6)
    kinds = {path: row["kind"] for path, row in heard.view.items()}
    assert kinds == {"/f": "file", "/link": "symlink", "/loop": "symlink", "/broken": "symlink", "/pipe": "fifo", "/hard": "file"}
    heard.until(lambda: all(row.get("is_atomic_write", True) for row in heard.view.values()))


def test_s154_the_root_is_removed_and_made_again(heard: Heard, tree: Path) -> None:
    (tree / "f").write_text("x")
    heard.until(lambda: "/f" in heard.view)
    shutil.rmtree(tree)
    heard.until(lambda: ("/", "root_lost") in heard.gaps())
    tree.mkdir()
    heard.until(lambda: ("/", "root_returned") in heard.gaps())
    (tree / "new").write_text("x")
    heard.until(lambda: "/new" in heard.view)
    heard.watcher.last_error = ""


def test_a_long_write_is_reported_now_and_then_and_at_its_end(heard: Heard, tree: Path) -> None:
    started = time.monotonic()
    with (tree / "log").open("wb", buffering=0) as file:
        for _ in range(300):
            file.write(b"x" * 10)
            time.sleep(0.001)
        heard.until(lambda: heard.view.get("/log", {}).get("size") == 3_000)
        written = len(heard.of("/log"))
    heard.until(lambda: heard.view["/log"].get("is_atomic_write", True))
    # when it is made, when it is first written, and from then on once in an interval
    assert written <= 3 + (time.monotonic() - started) / FsSettings().partial_interval


def test_s044_an_overflow_is_a_gap_and_watches_are_placed_again(heard: Heard, tree: Path) -> None:
    with nothing_is_read():
        overflow(tree)
        for number in range(300):
            make_directory(tree / f"d{number}")
    heard.until(lambda: ("/", "overflow") in heard.gaps())
    heard.until(lambda: heard.watcher.watching.tree.watched == 301)
    (tree / "d299" / "late").write_text("x")
    heard.until(lambda: "/d299/late" in heard.view)


def test_with_too_few_watches_the_latest_directories_are_watched(tree: Path) -> None:
    for number in range(20):
        (tree / f"d{number}").mkdir()
        os.utime(tree / f"d{number}", (1_000_000 + number, 1_000_000 + number))
    heard = Heard(tree, watch_limit=6).start()
    try:
        assert heard.watcher.watching.tree.watched == 6
        assert heard.watcher.watching.tree.directories == 21
        assert ("/d0", "watch_limit") in heard.gaps()
        (tree / "d19" / "seen").write_text("x")
        (tree / "fresh").mkdir()
        heard.until(lambda: "/fresh" in heard.view and "/d19/seen" in heard.view)
        (tree / "fresh" / "file").write_text("x")
        heard.until(lambda: "/fresh/file" in heard.view)
        assert heard.watcher.watching.tree.watched == 6
    finally:
        heard.stop()


def test_directories_that_an_audit_found_active_are_watched_in_place_of_quiet_ones(tree: Path) -> None:
    for number in range(30):
        (tree / f"d{number:02}").mkdir()
        os.utime(tree / f"d{number:02}", (1_000_000 + number, 1_000_000 + number))
    heard = Heard(tree, watch_limit=20).start()
    try:
        for name in ("d00", "d01", "d02", "d03"):
            (tree / name / "unseen").write_text("x")
            os.utime(tree / name, (2_000_000 + int(name[1:]), 2_000_000 + int(name[1:])))
        assert heard.of("/d03/unseen") == []
        heard.watcher.attend([b"/d00", b"/d01", b"/d02", b"/d03", b"/no-such"])
        # a tenth of the watches at a time, the latest first, and what happened there before is told
        heard.until(lambda: "/d03/unseen" in heard.view and "/d02/unseen" in heard.view)
        (tree / "d03" / "seen").write_text("x")
        heard.until(lambda: "/d03/seen" in heard.view)
        assert heard.of("/d01/unseen") == []
        assert heard.watcher.watching.tree.watched == 20
        assert ("/d11", "watch_limit") in heard.gaps()
    finally:
        heard.stop()


def test_excluded_names_are_not_seen_and_appear_when_renamed(tree: Path) -> None:
    heard = Heard(tree, exclude=["*.tmp", "/cache/*"]).start()
    try:
        (tree / "cache").mkdir()
        (tree / "cache" / "x").write_text("x")
        (tree / "a.tmp").write_text("x")
        (tree / "a.tmp").rename(tree / "a")
        heard.until(lambda: "/a" in heard.view)
        (tree / "a").rename(tree / "b.tmp")
        heard.until(lambda: "/a" not in heard.view)
        assert set(heard.view) == {"/cache"}
    finally:
        heard.stop()
