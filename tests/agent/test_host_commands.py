"""S143: what changes the host runs only where the agent's own command line or file allows it."""

from typing import Any, cast

import pytest

from agent_runner.host_commands import HostCommands, Operated
from agent_runner.problems import Refused


class Recorder:
    """Stands where the supervisor stands; remembers what reached it."""

    def __init__(self) -> None:
        self.updates: list[str] = []

    async def update(self, config_yaml: str) -> dict[str, Any]:
        self.updates.append(config_yaml)
        return {"applied": True}


async def test_s143_a_configuration_in_a_command_is_refused_by_default() -> None:
    operated = Recorder()
    actions = HostCommands(cast(Operated, operated), ()).actions()
    with pytest.raises(Refused, match="does not take its configuration"):
        await actions["update_config"]({"config_yaml": "agents: {}"})
    assert operated.updates == []


async def test_s143_it_is_taken_where_the_host_allows_it() -> None:
    operated = Recorder()
    actions = HostCommands(cast(Operated, operated), ("update_config",)).actions()
    assert await actions["update_config"]({"config_yaml": "agents: {}"}) == {"applied": True}
    assert operated.updates == ["agents: {}"]


async def test_s143_an_upgrade_by_command_is_refused_by_default() -> None:
    actions = HostCommands(cast(Operated, Recorder()), ("update_config",)).actions()
    with pytest.raises(Refused, match="does not upgrade itself"):
        await actions["upgrade"]({"url": "https://example.org/agent.whl"})
