"""S143: an agent upgrades itself only with the command that its own host names, tells how it ended, and ends to start anew."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_runner import config, upgrade
from agent_runner.config import Own
from agent_runner.problems import ConfigProblem
from tests.agent.conftest import AgentProcess, MakeAgent
from tests.agent.recording_server import RecordingServer

ORDER = {"type": "upgrade", "id": "c1", "version": "9; touch /nowhere"}
OWN = Own("host-a", "http://fustor.example", "good")


def script(tmp_path: Path, text: str) -> str:
    """A command line that runs this program."""
    file = tmp_path / "upgrade.py"
    file.write_text(text)
    return shlex.join([sys.executable, str(file)])


async def outcome(recorder: RecordingServer) -> dict[str, Any]:
    """How the agent said that the command ended."""
    recorder.commands = [ORDER]

    def ended() -> list[dict[str, Any]]:
        told = [report for beat in recorder.heartbeats for report in beat["command_reports"] if report["id"] == "c1"]
        return [report for report in told if report["state"] != "RUNNING"]

    await recorder.until(ended)
    return ended()[0]


def allowed(recorder: RecordingServer) -> list[str]:
    """The commands that the agent says it opted in to."""
    told: list[str] = recorder.sessions[-1]["client_info"]["allow_commands"]
    return told


async def finished(agent: AgentProcess) -> int:
    assert agent.process is not None
    return await agent.process.wait()


async def test_it_runs_the_command_of_the_host_reports_and_ends_to_be_started_again(
    recorder: RecordingServer, agent: MakeAgent, tmp_path: Path
) -> None:
    command = script(tmp_path, "import os, sys; print(sys.argv[1:], os.environ.get('FUSTOR_AGENT_KEY')); print('upgraded')")
    process = await agent("--upgrade-command", command, FUSTOR_AGENT_KEY="good")
    assert allowed(recorder) == ["upgrade"]
    report = await outcome(recorder)
    assert report["state"] == "DONE"
    # nothing of the order, and no key
    assert report["result"] == {"exit_code": 0, "output": "[] None\nupgraded"}
    assert await finished(process) == upgrade.RESTART
    assert len(recorder.closed) == 1


async def test_one_that_fails_is_told_with_its_last_lines_and_the_agent_goes_on(
    recorder: RecordingServer, agent: MakeAgent, tmp_path: Path
) -> None:
    command = script(tmp_path, "import sys; [print('line', n) for n in range(100)]; sys.exit('no space left')")
    process = await agent("--upgrade-command", command)
    report = await outcome(recorder)
    assert report["state"] == "FAILED"
    assert "exit code 1" in report["error"]
    assert "line 99" in report["error"]
    assert "no space left" in report["error"]
    assert "line 50\n" not in report["error"]
    beats = len(recorder.heartbeats)
    await recorder.until(lambda: len(recorder.heartbeats) > beats + 2)
    assert process.process is not None
    assert process.process.returncode is None


async def test_one_that_is_killed_by_somebody_else_is_not_called_slow(
    recorder: RecordingServer, agent: MakeAgent, tmp_path: Path
) -> None:
    await agent("--upgrade-command", script(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"))
    report = await outcome(recorder)
    assert report["state"] == "FAILED"
    assert "was ended by signal 15" in report["error"]


async def test_an_agent_that_did_not_opt_in_refuses(recorder: RecordingServer, agent: MakeAgent) -> None:
    await agent()
    assert allowed(recorder) == []
    report = await outcome(recorder)
    assert report["state"] == "FAILED"
    assert "does not upgrade itself" in report["error"]


async def test_the_agents_own_file_may_name_the_command(
    recorder: RecordingServer, agent: MakeAgent, tree: Path, tmp_path: Path
) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(f"""
upgrade_command: [{sys.executable}, -c, "print('from the file')"]
sources: {{s: {{uri: {tree}}}}}
senders: {{m: {{uri: {recorder.url}}}}}
pipes: {{p: {{source: s, sender: m}}}}
""")
    process = await agent("--config", str(file))
    report = await outcome(recorder)
    assert report["result"]["output"] == "from the file"
    assert await finished(process) == upgrade.RESTART


@pytest.mark.parametrize("where", ["the server's configuration", "update_config"])
def test_no_configuration_of_a_server_may_name_the_command(where: str) -> None:
    with pytest.raises(ConfigProblem, match="upgrade_command"):
        config.from_yaml("upgrade_command: [reboot]", OWN, where)
    with pytest.raises(ConfigProblem, match="upgrade_command"):
        config.from_document({"upgrade_command": ["reboot"]}, OWN, where)


@pytest.mark.parametrize("words", ["reboot", "[1, 2]", "{a: b}"])
def test_a_command_that_is_no_list_of_texts_is_refused(words: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(f"upgrade_command: {words}")
    with pytest.raises(ConfigProblem, match="upgrade_command must be a list"):
        config.from_own_file(file, OWN)


def test_a_program_that_is_not_there_is_found_at_the_start() -> None:
    with pytest.raises(ConfigProblem, match="no program"):
        upgrade.checked(["/no/such/program"], "--upgrade-command")
    assert upgrade.checked([], "--upgrade-command") == ()
