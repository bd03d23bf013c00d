"""Scan jobs: what they send, what they skip, and what they refuse to claim."""

import asyncio
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent_runner import active
from agent_runner.config import SenderConfig, SourceConfig
from agent_runner.jobs import PROGRESS_SECONDS, run_job
from agent_runner.phases.scan import JobContext
from agent_runner.sources.fs import identity
from fustor_schema.listing import names_hash
from tests.agent.conftest import REPOSITORY
from tests.agent.recording_server import RecordingServer
from tests.agent.walk import age, grow, seen, walked, widen
from tests.blackbox.processes import PATIENCE_SECONDS

FAULTY_STORAGE = Path(__file__).parent / "faulty_storage"


@pytest.fixture
def context(recorder: RecordingServer, tree: Path, tmp_path: Path) -> JobContext:
    return context_of(recorder, tree, tmp_path)


def context_of(recorder: RecordingServer, tree: Path, state: Path, **settings: Any) -> JobContext:
    recorder.sessions.append({"task_id": "host-a:p"})
    return JobContext(
        pipe_id="p",
        task_id="host-a:p",
        session_id="11111111-1111-1111-1111-111111111111",
        protocol=3,
        source=SourceConfig(uri=str(tree), settings=settings),
        sender=SenderConfig(uri=recorder.url, key="good"),
        state_directory=str(state),
        root_id=identity.read(os.fsencode(tree)),
        epoch=1,
    )


async def run(
    recorder: RecordingServer, context: JobContext, kind: str, path: str = "/", *, recursive: bool = True
) -> dict[str, Any]:
    """Runs a job and returns what it told the server at its end; `recorder.batches` holds what this job sent."""
    recorder.batches.clear()
    job = recorder.order(kind, path, recursive=recursive)
    await run_job(lambda: [context], job)
    return recorder.jobs[job]


def closes(recorder: RecordingServer) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in recorder.rows() if row.get("kind") == "dir_close"}


async def test_every_directory_is_closed_with_the_proof_of_its_names(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    grow(tree)
    await run(recorder, context, "snapshot")
    for path, close in closes(recorder).items():
        names = os.listdir(os.fsencode(tree) + path.encode())
        assert (close["ok"], close["count"], close["names_hash"]) == (True, len(names), names_hash(names))


async def test_a_directory_of_many_entries_is_sent_in_parts_and_closed_once(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    for number in range(9_000):
        (tree / f"f{number}").touch()
    done = await run(recorder, context, "snapshot")
    assert done["counts"]["files"] == 9_000
    assert seen(recorder.view) == walked(tree)
    assert len(closes(recorder)) == 1
    assert max(len(event["rows"]) for event in recorder.events()) <= 1_000


async def test_a_batch_over_the_receivers_limit_is_sent_in_halves_and_what_was_ready_behind_it_is_numbered_again(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    widen(tree, 15)
    recorder.most_bytes = 400_000
    done = await run(recorder, context, "snapshot")
    assert (done["state"], done["counts"]["files"]) == ("DONE", 15_000)
    assert seen(recorder.view) == walked(tree)
    assert [batch["seq"] for batch in recorder.batches] == list(range(1, len(recorder.batches) + 1))


async def test_one_batch_is_on_its_way_at_a_time_and_the_next_one_is_read_meanwhile(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    widen(tree, 12)
    recorder.let_through = asyncio.Semaphore(1)
    running = asyncio.create_task(run(recorder, context, "snapshot"))
    await recorder.until(lambda: any(report["found"] >= 8_000 for report in recorder.progress) and recorder.arrived >= 2)
    # the root's own row was let through; one batch waits for its answer, and another one is ready behind it
    assert (len(recorder.batches), recorder.arrived) == (1, 2)
    for _ in range(100):
        recorder.let_through.release()
    assert (await running)["state"] == "DONE"
    assert seen(recorder.view) == walked(tree)


async def test_an_audit_of_an_unchanged_tree_sends_one_row_a_directory(
    recorder: RecordingServer, tree: Path, tmp_path: Path
) -> None:
    grow(tree)
    age(tree)
    context = context_of(recorder, tree, tmp_path, deep_cycles=1_000_000)
    await run(recorder, context, "snapshot")
    done = await run(recorder, context, "audit")
    assert done["state"] == "DONE"
    rows = recorder.rows()
    assert len(rows) == done["counts"]["directories"] + 1
    assert all(row["audit_skipped"] for row in rows if row["path"] != "/")
    manifest = recorder.batches[-1]["metadata"]["manifest"]
    assert manifest == {"batches": len(recorder.batches), "rows": len(rows), "directories": len(rows) - 1, "errors": 0} | {
        "deep_turn": 1,
        "deep_cycles": 1_000_000,
    }


async def test_s061_a_change_below_silent_directories_is_found(recorder: RecordingServer, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    age(tree)
    context = context_of(recorder, tree, tmp_path, deep_cycles=1_000_000)
    await run(recorder, context, "snapshot")
    (tree / "d3" / "e3" / "file").unlink()
    await run(recorder, context, "audit")
    assert set(closes(recorder)) == {"/d3/e3"}
    assert closes(recorder)["/d3/e3"]["count"] == 0


async def test_an_audit_tells_which_directories_changed_unseen(recorder: RecordingServer, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    age(tree)
    context = context_of(recorder, tree, tmp_path)
    await run(recorder, context, "snapshot")
    (tree / "d3" / "e3" / "file").unlink()
    recorder.audit_state = "PARTIAL"
    await run(recorder, context, "audit")
    assert active.take(tmp_path) == []
    recorder.audit_state = "COMPLETE"
    await run(recorder, context, "audit")
    assert active.take(tmp_path) == [b"/d3/e3"]
    assert active.take(tmp_path) == []


async def test_s059_a_deep_turn_finds_an_append_that_no_directory_shows(
    recorder: RecordingServer, tree: Path, tmp_path: Path
) -> None:
    grow(tree)
    age(tree)
    context = context_of(recorder, tree, tmp_path, deep_cycles=3)
    await run(recorder, context, "snapshot")
    with (tree / "d3" / "e3" / "file").open("a") as file:
        file.write("appended")
    found, turns = [], []
    for _ in range(3):
        await run(recorder, context, "audit")
        manifest = recorder.batches[-1]["metadata"]["manifest"]
        turns.append((manifest["deep_turn"], manifest["deep_cycles"]))
        found.append(recorder.view.get("/d3/e3/file", {}).get("size"))
    assert [size for size in found if size is not None] == [11]
    assert sorted(turns) == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOENT])
async def test_s050_a_child_that_cannot_be_looked_at_makes_its_directory_prove_nothing(
    recorder: RecordingServer, tree: Path, tmp_path: Path, faults: Path, number: int
) -> None:
    grow(tree)
    (tree / "d3" / "e3" / "ill").touch()
    faults.write_text(f"ill {number}\n")
    done = await run(recorder, context_of(recorder, tree, tmp_path), "audit")
    ill = closes(recorder)["/d3/e3"]
    assert (ill["ok"], ill["reason"]) == (False, errno.errorcode[number])
    assert all(close["ok"] for path, close in closes(recorder).items() if path != "/d3/e3")
    assert set(recorder.view) == walked(tree).keys() - {"/d3/e3/ill"}
    assert done["counts"]["errors"] == {errno.errorcode[number]: 1}
    assert recorder.batches[-1]["metadata"]["manifest"]["errors"] == 1


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says which names the listing processes cannot look at; empty at first."""
    file = tmp_path / "faults"
    file.touch()
    monkeypatch.setenv("FUSTOR_TEST_FAULTS", str(file))
    monkeypatch.setenv("PYTHONPATH", f"{FAULTY_STORAGE}:{REPOSITORY}")
    return file


async def test_s064_the_end_of_an_audit_comes_behind_its_last_row_however_slow_the_server_is(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    widen(tree, 9)
    recorder.let_through = asyncio.Semaphore(2)
    running = asyncio.create_task(run(recorder, context, "audit"))
    await recorder.until(lambda: recorder.arrived == 3)
    assert not any(batch["is_end"] for batch in recorder.batches)
    for _ in range(100):
        recorder.let_through.release()
    assert (await running)["state"] == "DONE"
    assert [batch["is_end"] for batch in recorder.batches] == [False] * (len(recorder.batches) - 1) + [True]
    assert recorder.batches[-1]["metadata"]["manifest"]["rows"] == len(recorder.rows())


async def test_s063_the_skip_cache_stays_when_the_audit_did_not_count(
    recorder: RecordingServer, tree: Path, tmp_path: Path
) -> None:
    grow(tree)
    age(tree)
    context = context_of(recorder, tree, tmp_path)
    for state, listed in (("PARTIAL", True), ("COMPLETE", True), ("COMPLETE", False)):
        recorder.audit_state = state
        await run(recorder, context, "audit")
        assert (len(closes(recorder)) == 48) is listed


async def test_another_term_lists_everything_again(recorder: RecordingServer, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    age(tree)
    await run(recorder, context_of(recorder, tree, tmp_path), "snapshot")
    recorder.epoch = 2
    await run(recorder, context_of(recorder, tree, tmp_path), "audit")
    assert len(closes(recorder)) == 48


async def test_s045_another_storage_under_the_root_is_not_scanned(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    grow(tree)
    tree.rename(tree.with_name("unmounted"))
    tree.mkdir()
    done = await run(recorder, context, "audit")
    assert done["state"] == "FAILED"
    assert "SourceLost" in done["error"]
    assert recorder.batches == []


async def test_a_scan_of_a_path_sends_what_lies_below_and_nothing_else(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    grow(tree)
    await run(recorder, context, "scan", "/d3")
    assert set(recorder.view) == {path for path in walked(tree) if path == "/d3" or path.startswith("/d3/")}
    assert [batch["source_type"] for batch in recorder.batches][-1] == "job_complete"
    assert recorder.batches[-1]["metadata"]["scan_path"] == "/d3"


async def test_a_scan_that_is_not_recursive_lists_one_directory(recorder: RecordingServer, context: JobContext, tree: Path) -> None:
    grow(tree)
    await run(recorder, context, "scan", "/d3", recursive=False)
    assert set(closes(recorder)) == {"/d3"}


async def test_a_scan_of_an_absent_path_proves_its_absence_by_the_listing_above(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    grow(tree)
    done = await run(recorder, context, "scan", "/d3/e3/gone/deeper")
    assert done["state"] == "DONE"
    assert set(closes(recorder)) == {"/d3/e3"}
    assert set(recorder.view) == {"/d3/e3", "/d3/e3/file"}
    deletes = [event for event in recorder.events() if event["event_type"] == "delete"]
    assert [row["path"] for event in deletes for row in event["rows"]] == ["/d3/e3/gone/deeper"]


@pytest.mark.parametrize("path", ["/../outside", "/d3/../../outside", "outside", "", "/nul\0"])
async def test_s143_a_scan_of_what_is_no_path_within_the_root_is_refused(
    recorder: RecordingServer, context: JobContext, tree: Path, path: str
) -> None:
    grow(tree)
    done = await run(recorder, context, "scan", path)
    assert done["state"] == "FAILED"
    assert "no path within the root" in done["error"]
    assert recorder.rows() == []


@pytest.mark.parametrize("path", ["/link", "/link/secret", "/link/deep/secret", "/link/deep"])
async def test_s143_what_lies_behind_a_link_is_neither_scanned_nor_looked_at(
    recorder: RecordingServer, context: JobContext, tree: Path, tmp_path: Path, path: str
) -> None:
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "secret").write_text("12345")
    (tmp_path / "outside" / "deep" / "secret").write_text("12345")
    (tree / "link").symlink_to(tmp_path / "outside")
    done = await run(recorder, context, "scan", path)
    assert done["state"] == "DONE"
    assert [row for row in recorder.rows() if "secret" in row["path"] and "size" in row and row["size"]] == []
    assert recorder.view.keys() <= {"/", "/link"}
    recorder.suspects = ["/link/secret"]
    await run(recorder, context, "sentinel")
    assert recorder.feedback[0]["updates"] == [{"path": "/link/secret", "mtime": 0.0, "size": 0, "status": "missing"}]


async def test_s050_a_path_that_the_storage_does_not_tell_of_is_not_gone(
    recorder: RecordingServer, context: JobContext, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(tree)
    healthy = os.lstat

    def ill(path: Any, **options: Any) -> os.stat_result:
        if os.fsencode(path).endswith(b"/ill"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return healthy(path, **options)

    monkeypatch.setattr(os, "lstat", ill)
    done = await run(recorder, context, "scan", "/d3/e3/ill")
    assert done["state"] == "FAILED"
    assert "Input/output error" in done["error"]
    assert [event for event in recorder.events() if event["event_type"] == "delete"] == []


async def test_names_that_are_not_text_keep_their_bytes(recorder: RecordingServer, context: JobContext, tree: Path) -> None:
    (tree / "d").mkdir()
    for name in (b"\xff\xfe", b"\xff", b"\\xff"):
        with open(os.fsencode(tree / "d") + b"/" + name, "w"):
            pass
    await run(recorder, context, "snapshot")
    assert {row.get("path_b64") for row in recorder.rows()} == {None, "L2Qv//4=", "L2Qv/w=="}


async def test_excluded_names_are_neither_sent_nor_counted(recorder: RecordingServer, tree: Path, tmp_path: Path) -> None:
    grow(tree, 7)
    (tree / "junk.tmp").touch()
    await run(recorder, context_of(recorder, tree, tmp_path, exclude=["*.tmp", "/d3"]), "snapshot")
    assert set(recorder.view) == {path for path in walked(tree) if not path.startswith(("/junk", "/d3"))}
    assert closes(recorder)["/"]["count"] == 6


async def test_a_job_is_cancelled_by_the_answer_to_its_next_report(recorder: RecordingServer, tree: Path, tmp_path: Path) -> None:
    grow(tree, 600)
    context = context_of(recorder, tree, tmp_path, scan_rate=100)
    job = recorder.order("snapshot")
    running = asyncio.create_task(run_job(lambda: [context], job))
    await recorder.until(lambda: len(recorder.progress) > 0)
    recorder.jobs[job]["cancel"] = True
    reports = len(recorder.progress)
    assert await asyncio.wait_for(running, PATIENCE_SECONDS) == "CANCELLED"
    assert recorder.jobs[job]["state"] == "CANCELLED"
    assert len(recorder.progress) == reports + 1
    assert PROGRESS_SECONDS <= 2


async def test_a_snapshot_goes_on_where_its_first_attempt_broke_off(recorder: RecordingServer, tree: Path, tmp_path: Path) -> None:
    grow(tree, 600)
    age(tree)
    slow = context_of(recorder, tree, tmp_path, scan_rate=100)
    job = recorder.order("snapshot")
    first = asyncio.create_task(run_job(lambda: [slow], job))
    await recorder.until(lambda: len(recorder.batches) >= 4)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    listed = set(closes(recorder))
    (tree / "d1" / "e1" / "changed").touch()
    recorder.jobs[job] |= {"state": "QUEUED", "attempt": 2}
    known = dict(recorder.view)
    recorder.batches.clear()
    again_context = context_of(recorder, tree, tmp_path)
    assert await run_job(lambda: [again_context], job) == "DONE"
    again = set(closes(recorder))
    assert len(again & listed) < len(listed)
    assert seen(known | recorder.view) == walked(tree)


async def test_a_message_delivered_twice_runs_once(recorder: RecordingServer, context: JobContext, tree: Path) -> None:
    grow(tree, 7)
    job = recorder.order("snapshot")
    states = await asyncio.gather(run_job(lambda: [context], job), run_job(lambda: [context], job))
    assert sorted(states) == ["DONE", "TAKEN"]


async def test_s079_the_sentinel_looks_again_and_says_what_it_found(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    (tree / "there").write_text("123")
    recorder.suspects = ["/there", "/gone"]
    await run(recorder, context, "sentinel")
    updates = {update["path"]: update for update in recorder.feedback[0]["updates"]}
    assert updates["/there"]["status"] == "exists"
    assert updates["/there"]["size"] == 3
    assert updates["/gone"]["status"] == "missing"


async def test_a_directory_that_vanishes_while_it_is_scanned_is_no_error(
    recorder: RecordingServer, context: JobContext, tree: Path
) -> None:
    grow(tree, 200)
    job = recorder.order("snapshot")
    running = asyncio.create_task(run_job(lambda: [context], job))
    await asyncio.sleep(0.05)
    shutil.rmtree(tree / "d3")
    assert await running == "DONE"
