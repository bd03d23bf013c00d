"""`fustor-agent check`: each thing that can be wrong is found, and comes with what to do about it. And the other small commands."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from agent_runner.check import watches_finding
from tests.agent.conftest import REPOSITORY, AgentProcess
from tests.agent.e2e.conftest import _give_up_root_reading
from tests.agent.recording_server import RecordingServer
from tests.agent.walk import grow


class Told:
    """What the command said."""

    def __init__(self, code: int, output: str) -> None:
        self.code, self.output = code, output

    def fix_of(self, failure: str) -> str:
        """The line below the failure that says this."""
        lines = self.output.splitlines()
        (position,) = [number for number, line in enumerate(lines) if line.startswith("FAIL") and failure in line]
        return lines[position + 1].strip()


async def agent(command: str, *arguments: str, home: Path, unprivileged: bool = False) -> Told:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent_runner", command, *arguments),
        cwd=REPOSITORY,
        env={**os.environ, "FUSTOR_AGENT_HOME": str(home), "PYTHONPATH": str(REPOSITORY)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=_give_up_root_reading if unprivileged else None,
    )
    output, _ = await process.communicate()
    return Told(process.returncode or 0, output.decode())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


async def test_everything_is_good(recorder: RecordingServer, tree: Path, home: Path) -> None:
    grow(tree)
    told = await agent("check", "--server", recorder.url, "--key", "good", "--watch", str(tree), home=home)
    assert (told.code, "FAIL" in told.output) == (0, False)
    assert "the key is good for pipe p" in told.output
    assert "48 directories" in told.output


async def test_a_server_that_cannot_be_reached(tree: Path, home: Path) -> None:
    told = await agent("check", "--server", "http://127.0.0.1:1", "--key", "good", "--watch", str(tree), home=home)
    assert told.code == 1
    assert "Check that the server runs" in told.fix_of("no answer from http://127.0.0.1:1")


async def test_a_key_that_is_not_good(recorder: RecordingServer, tree: Path, home: Path) -> None:
    told = await agent("check", "--server", recorder.url, "--key", "bad", "--watch", str(tree), home=home)
    assert told.code == 1
    assert "a new key is made in the console" in told.fix_of("unknown key")
    assert "bad" not in told.output.split()


async def test_clocks_that_differ(recorder: RecordingServer, tree: Path, home: Path) -> None:
    recorder.clock_ahead_seconds = 7_200
    told = await agent("check", "--server", recorder.url, "--key", "good", "--watch", str(tree), home=home)
    assert told.code == 1
    assert "Run NTP" in told.fix_of("the clocks differ by +7")


async def test_a_directory_that_is_not_there(recorder: RecordingServer, tree: Path, home: Path) -> None:
    told = await agent("check", "--server", recorder.url, "--key", "good", "--watch", str(tree / "no"), home=home)
    assert told.code == 1
    assert "Check the path, the mount" in told.fix_of("cannot be read")


async def test_a_directory_that_may_not_be_read(recorder: RecordingServer, tree: Path, home: Path) -> None:
    tree.chmod(0o111)
    try:
        told = await agent("check", "--server", recorder.url, "--key", "good", "--watch", str(tree), home=home, unprivileged=True)
    finally:
        tree.chmod(0o755)
    assert told.code == 1
    assert f"Let user {os.geteuid()} read and enter it." in told.fix_of("can be read")


async def test_storage_without_the_marker_that_it_must_have(
    recorder: RecordingServer, tree: Path, tmp_path: Path, home: Path
) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        f"sources:\n  s: {{uri: {tree}, driver_params: {{root_marker: require}}}}\n"
        f"senders:\n  m: {{uri: '{recorder.url}', credential: {{key: good}}}}\n"
        "pipes:\n  p: {source: s, sender: m}\n"
    )
    told = await agent("check", "--config", str(file), home=home)
    assert told.code == 1
    assert "Mount the storage again" in told.fix_of(".fustor-root")


async def test_nothing_is_configured_yet(recorder: RecordingServer, home: Path) -> None:
    told = await agent("check", "--server", recorder.url, "--key", "good", home=home)
    assert told.code == 1
    assert "Configure one in the console under Agents" in told.fix_of("no pipe is configured")


async def test_a_configuration_that_cannot_be_used(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("pipes:\n  p: {source: s}\n")
    told = await agent("check", "--config", str(file), home=home)
    assert told.code == 2
    assert "pipes[...]" in told.output
    assert "Correct the field named" in told.output


async def test_nothing_to_run_at_all(home: Path) -> None:
    told = await agent("check", home=home)
    assert told.code == 2
    assert "Give --server" in told.output


@pytest.mark.parametrize(("directories", "complete", "good"), [(100, True, True), (101, True, False), (101, False, False)])
def test_watches_that_do_not_suffice(directories: int, complete: bool, good: bool) -> None:
    finding = watches_finding("p", directories, complete=complete, allowed=100)
    assert finding.good is good
    assert ("more than" in finding.what) is not complete
    assert "sysctl fs.inotify.max_user_watches=" in finding.fix
    assert "only the most active are watched" in finding.fix


async def test_scan_echo_prints_what_would_be_sent(tree: Path, home: Path) -> None:
    grow(tree, 7)
    told = await agent("scan", "--watch", str(tree), "--echo", home=home)
    batches = [json.loads(line) for line in told.output.splitlines() if line.startswith("{")]
    paths = {row["path"] for batch in batches for event in batch.get("events", []) for row in event["rows"]}
    assert told.code == 0
    assert {"/", "/d3", "/d3/e3", "/d3/e3/file"} <= paths


async def test_no_key_is_printed(tree: Path, home: Path) -> None:
    target = ("--server", "http://127.0.0.1:1", "--key", "secret-key", "--watch", str(tree), "--log-level", "DEBUG")
    checked, shown = await agent("check", *target, home=home), await agent("config", *target, home=home)
    assert "secret-key" not in checked.output + shown.output
    assert f"uri: {tree}" in shown.output


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False)])
async def test_the_log_is_for_machines_or_for_people(
    recorder: RecordingServer, tree: Path, tmp_path: Path, log_format: str, is_json: bool
) -> None:
    process = await AgentProcess(recorder.url, tree, tmp_path / "home", tmp_path / "log").start("--log-format", log_format)
    job = recorder.order("snapshot")
    await recorder.job_ends(job)
    assert await process.stop() == 0
    lines = process.log.read_text().splitlines()
    # the job's own process logs alike
    assert any("job ended" in line for line in lines)
    assert all(line.startswith("{") is is_json for line in lines)
    if is_json:
        assert {"event", "level", "timestamp"} <= set.intersection(*(set(json.loads(line)) for line in lines))


def test_the_systemd_unit_starts_what_there_is() -> None:
    unit = (REPOSITORY / "docs" / "fustor-agent.service").read_text()
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert start.endswith("fustor-agent run --log-format json")
    assert "User=fustor" in unit
    assert "Restart=always" in unit
