"""The command `check_config`: an agent looks whether a configuration would work on its host, and changes nothing."""

from pathlib import Path
from typing import Any

from tests.agent.conftest import MakeAgent
from tests.agent.recording_server import RecordingServer


def part(uri: str, **source: Any) -> dict[str, Any]:
    return {
        "agent_id": "host-a",
        "sources": {"s": {"uri": uri, **source}},
        "senders": {"here": {}},
        "pipes": {"try": {"source": "s", "sender": "here"}},
    }


async def ended(recorder: RecordingServer, *wanted: str) -> dict[str, dict[str, Any]]:
    reports: dict[str, dict[str, Any]] = {}

    def all_ended() -> bool:
        for beat in recorder.heartbeats:
            reports.update({report["id"]: report for report in beat["command_reports"]})
        return all(name in reports and reports[name]["state"] != "RUNNING" for name in wanted)

    await recorder.until(all_ended)
    return reports


def told(report: dict[str, Any], about: str) -> list[bool]:
    return [finding["good"] for finding in report["result"]["findings"] if finding["about"] == about]


async def test_a_host_tells_what_would_work_there_and_goes_on_as_before(
    recorder: RecordingServer, agent: MakeAgent, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    await agent()
    recorder.commands = [
        {"type": "check_config", "id": "good", "config": part(str(tmp_path / "other"))},
        {"type": "check_config", "id": "missing", "config": part(str(tmp_path / "nowhere"))},
        {"type": "check_config", "id": "wrong", "config": part(str(tree), driver_params={"scan_processes": 0})},
        {"type": "check_config", "id": "broken", "config": {"pipes": {"p": {"source": "none", "sender": "none"}}}},
        {"type": "check_config", "id": "sender", "config": part("-", driver="none")},
    ]
    reports = await ended(recorder, "good", "missing", "wrong", "broken", "sender")
    assert told(reports["good"], "path") == [True, True]
    assert told(reports["good"], "watches") == [True]
    assert told(reports["good"], "key") == [True]
    assert told(reports["missing"], "path") == [False]
    assert "scan_processes" in reports["wrong"]["result"]["findings"][-1]["what"]
    assert reports["broken"]["state"] == "FAILED"
    assert told(reports["sender"], "key") == [True]
    assert told(reports["sender"], "path") == []
    assert len(recorder.sessions) == 1
