"""The agent's heartbeats say how far its scans are."""

import time
from pathlib import Path
from typing import Any

import msgspec

from agent_runner import scan_progress
from agent_runner.drivers import Lease
from tests.agent.conftest import MakeAgent
from tests.agent.recording_server import RecordingServer
from tests.agent.walk import grow

PROGRESS = {"found": 12, "per_second": 3.5, "depth": 2, "directory": "/a/b"}


async def test_a_scan_under_way_is_in_the_health_report(
    recorder: RecordingServer, agent: MakeAgent, tree: Path, tmp_path: Path
) -> None:
    grow(tree, 600)
    config = tmp_path / "agent.yaml"
    config.write_text(f"""
sources: {{s: {{uri: {tree}, driver_params: {{scan_rate: 100}}}}}}
senders: {{m: {{uri: {recorder.url}}}}}
pipes: {{p: {{source: s, sender: m}}}}
""")
    await agent("--config", str(config))
    job = recorder.order("snapshot")

    def told() -> list[dict[str, Any]]:
        scans: list[dict[str, Any]] = recorder.heartbeats[-1]["agent_status"]["scans"]
        return scans

    await recorder.until(lambda: any(scan["found"] > 0 for scan in told()))
    (scan,) = told()
    assert (scan["job_id"], scan["kind"], scan["path"]) == (job, "snapshot", "/")
    assert scan["per_second"] > 0
    assert scan["directory"].startswith("/")
    recorder.jobs[job]["cancel"] = True
    await recorder.job_ends(job)
    await recorder.until(lambda: told() == [])


def test_what_a_killed_process_left_behind_is_told_no_longer(tmp_path: Path) -> None:
    scan_progress.tell(tmp_path, Lease("new", "audit"), PROGRESS)
    old = scan_progress.ScanProgress("old", "audit", "/", 12, 3.5, "/a", time.time() - 2 * scan_progress.STALE_SECONDS)
    (tmp_path / "scan.old.msgpack").write_bytes(msgspec.msgpack.encode(old))
    assert [scan.job_id for scan in scan_progress.read(tmp_path)] == ["new"]
    assert [file.name for file in tmp_path.iterdir()] == ["scan.new.msgpack"]
    scan_progress.forget(tmp_path, "new")
    scan_progress.forget(tmp_path, "new")
    assert scan_progress.read(tmp_path) == []
