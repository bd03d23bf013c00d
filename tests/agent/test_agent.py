"""The whole agent against a server that only listens: session, snapshot job, realtime, clean end."""

import json
import os
import signal
from pathlib import Path

from aiohttp import web

from agent_runner.sources.fs import identity
from tests.agent.children import is_job_process, is_over
from tests.agent.conftest import AgentProcess, MakeAgent
from tests.agent.recording_server import RecordingServer
from tests.agent.walk import grow, seen, walked


async def test_a_snapshot_job_sends_the_whole_tree_parents_first(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    grow(tree)
    job = recorder.order("snapshot")
    await agent()
    assert (await recorder.job_ends(job))["state"] == "DONE"
    assert seen(recorder.view) == walked(tree)
    known = {"/"}
    for row in recorder.rows(source="snapshot"):
        assert row["path"] == "/" or os.path.dirname(row["path"]) in known
        known.add(row["path"])
    closes = [row for row in recorder.rows(source="snapshot") if row.get("kind") == "dir_close"]
    assert sum(row["count"] for row in closes) == len(walked(tree)) - 1
    assert recorder.batches[-1]["is_end"]


async def test_realtime_follows_the_directory(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    process = await agent()
    (tree / "a").mkdir()
    (tree / "a" / "one").write_text("1")
    await recorder.until(lambda: seen(recorder.view).get("/a/one") == 1)
    (tree / "a" / "one").rename(tree / "a" / "two")
    await recorder.until(lambda: "/a/two" in recorder.view and "/a/one" not in recorder.view)
    (tree / "a" / "two").unlink()
    await recorder.until(lambda: "/a/two" not in recorder.view)
    assert await process.stop() == 0
    assert len(recorder.closed) == 1


async def test_a_session_that_is_over_is_opened_again_at_once(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    await agent()
    recorder.heartbeat_status = 419
    await recorder.until(lambda: len(recorder.sessions) == 2)
    (tree / "after").write_text("x")
    await recorder.until(lambda: "/after" in recorder.view)


async def test_back_pressure_slows_and_loses_nothing(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    await agent()
    recorder.answer_next = [
        web.json_response({"detail": "slow down"}, status=status, headers={"Retry-After": "0.1"}) for status in (429, 503, 503)
    ]
    for number in range(20):
        (tree / f"f{number}").write_text("x")
    await recorder.until(lambda: len(recorder.view) == 20)
    assert recorder.gaps() == []


async def test_s153_the_server_is_away_and_every_event_arrives_afterwards(
    recorder: RecordingServer, agent: MakeAgent, tree: Path
) -> None:
    await agent()
    await recorder.stop()
    for number in range(300):
        (tree / f"f{number}").write_text("x" * number)
        if number % 3 == 0:
            (tree / f"f{number}").unlink()
    await recorder.start()
    there = {path: size for path, size in walked(tree).items() if path != "/"}
    assert len(there) == 200
    await recorder.until(lambda: seen(recorder.view) == there)
    assert recorder.gaps() == []


async def test_a_heartbeat_goes_on_while_a_job_is_killed_and_hangs(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    grow(tree, 300)
    process = await agent()
    recorder.order("snapshot")
    await recorder.until(lambda: any(map(is_job_process, process.children())))
    job_process = next(filter(is_job_process, process.children()))
    job_process.suspend()
    beats = len(recorder.heartbeats)
    await recorder.until(lambda: len(recorder.heartbeats) > beats + 3)
    job_process.kill()
    beats = len(recorder.heartbeats)
    await recorder.until(lambda: len(recorder.heartbeats) > beats + 3)
    assert len(recorder.sessions) == 1


async def test_sigterm_ends_it_and_leaves_no_process(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    grow(tree, 500)
    process = await agent()
    recorder.order("snapshot")
    await recorder.until(lambda: any(map(is_job_process, process.children())))
    children = process.children()
    assert await process.stop() == 0
    await recorder.until(lambda: all(map(is_over, children)))


async def test_s152_after_kill_9_nothing_of_it_is_left_and_the_next_one_works(
    recorder: RecordingServer, agent: MakeAgent, tree: Path
) -> None:
    grow(tree, 200)
    process = await agent()
    recorder.order("audit")
    await recorder.until(lambda: len(process.children()) > 0)
    children = process.children()
    assert await process.stop(signal.SIGKILL) == -signal.SIGKILL
    await recorder.until(lambda: all(map(is_over, children)))
    recorder.commands.clear()
    job = recorder.order("snapshot")
    await agent()
    assert (await recorder.job_ends(job))["state"] == "DONE"
    assert seen(recorder.view) == walked(tree)


async def test_s152_a_job_process_that_hangs_in_the_storage_does_not_outlive_the_agent(
    recorder: RecordingServer, agent: MakeAgent, tree: Path
) -> None:
    grow(tree)
    process = await agent()
    # who reads the mount's identity now waits in the kernel, and hears no request to end
    os.mkfifo(tree / ".fustor-root")
    job = recorder.order("scan", "/d1")
    await recorder.until(lambda: recorder.jobs[job]["state"] == "RUNNING")
    beats = len(recorder.heartbeats)
    await recorder.until(lambda: len(recorder.heartbeats) > beats + 5)
    children = process.children()
    assert children
    await process.stop(signal.SIGKILL)
    await recorder.until(lambda: all(map(is_over, children)))


async def test_a_command_runs_once_and_is_reported(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    await agent()
    recorder.commands = [
        {"type": "report_config", "id": "c1"},
        {"type": "upgrade", "id": "c2", "version": "9"},
        {"type": "update_config", "id": "c3", "config_yaml": "pipes: {}"},
        {"type": "reload_config", "id": "c4"},
    ]
    reports: dict[str, dict[str, object]] = {}

    def ended() -> bool:
        for beat in recorder.heartbeats:
            reports.update({report["id"]: report for report in beat["command_reports"]})
        return len(reports) == 4 and all(report["state"] != "RUNNING" for report in reports.values())

    await recorder.until(ended)
    assert [reports[name]["state"] for name in ("c1", "c2", "c3", "c4")] == ["DONE", "FAILED", "FAILED", "DONE"]
    told = [batch for batch in recorder.batches if batch["source_type"] == "config_report"]
    assert len(told) == 1
    assert str(tree) in told[0]["metadata"]["config_yaml"]
    assert "good" not in told[0]["metadata"]["config_yaml"].split()


async def test_the_health_report_says_how_the_agent_is(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    grow(tree)
    await agent()
    status = recorder.heartbeats[-1]["agent_status"]
    assert status["agent_id"] == "host-a"
    assert int(status["state"]) & 66 == 66
    assert status["source"]["watches"] == 48
    assert status["source"]["coverage"] == 1.0
    assert 0 < status["rss_bytes"] < 150 * 1024 * 1024
    assert "good" not in str(status)


async def test_an_agent_whose_directory_is_missing_stays_up_and_says_so(
    recorder: RecordingServer, tree: Path, tmp_path: Path
) -> None:
    tree.rmdir()
    process = await AgentProcess(recorder.url, tree, tmp_path / "home", tmp_path / "log").start()
    try:
        await recorder.until(lambda: len(recorder.heartbeats) > 2)
        assert "cannot be read" in recorder.heartbeats[-1]["agent_status"]["last_error"]
        assert not recorder.heartbeats[-1]["can_realtime"]
        tree.mkdir()
        (tree / "f").write_text("x")
        await recorder.until(lambda: recorder.heartbeats[-1]["can_realtime"])
        await recorder.until(lambda: len(recorder.sessions) > 1)
        assert recorder.sessions[-1]["root_id"] == identity.read(os.fsencode(tree))
    finally:
        assert await process.stop() == 0


async def test_a_server_that_is_back_is_found_within_a_second_at_first_and_asked_ever_less_often(
    recorder: RecordingServer, tree: Path, tmp_path: Path
) -> None:
    await recorder.stop()
    process = await AgentProcess(recorder.url, tree, tmp_path / "home", tmp_path / "log").start("--log-format", "json")
    try:
        await recorder.until(lambda: len(retries(process)) >= 4)
        assert max(retries(process)[:2]) <= 1.0
        assert retries(process)[3] > retries(process)[0]
        await recorder.start()
        await recorder.until(lambda: len(recorder.sessions) == 1)
    finally:
        assert await process.stop() == 0


def retries(process: AgentProcess) -> list[float]:
    """The pauses, in seconds, that the agent's log tells between its tries to open a session."""
    whole = process.log.read_text().rpartition("\n")[0]
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [line["retry_seconds"] for line in lines if line["event"] == "session failed"]
