"""An agent that is given an address and a key, and gets everything else from the server."""

from pathlib import Path

import pytest

from apps.pipes.keys import create_key
from apps.pipes.models import Agent, AgentPipe, KeyKind, Sender, Source
from tests.agent.e2e.conftest import Fleet, RealAgent
from tests.agent.walk import grow, walked

pytestmark = pytest.mark.blackbox


class Configured(RealAgent):
    """An agent with a key of its own and no directory on its command line."""

    def __init__(self, fleet: Fleet, state: Path, source: Path) -> None:
        super().__init__(fleet.world, source, state, f"{fleet.world.pipe.slug}-host")
        self.row = Agent.objects.create(slug=self.name)
        self.source = Source.objects.create(slug=f"{self.name}-source", uri=str(source))
        sender = Sender.objects.create(slug=f"{self.name}-sender", uri=fleet.world.server.url)
        self.agent_pipe = AgentPipe.objects.create(
            slug=f"{self.name}-pipe", agent=self.row, source=self.source, sender=sender, pipe=fleet.world.pipe
        )
        self._key = create_key(KeyKind.AGENT, agent=self.row, pipes=[fleet.world.pipe])[1]
        fleet.agents.append(self)

    def command(self) -> list[str]:
        return ["--server", self.world.server.url, "--agent-id", self.name]


def test_the_server_says_what_to_watch_and_a_reload_changes_it(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    (tree / "no.tmp").touch()
    agent = Configured(fleet, tmp_path / "state", tree)
    agent.start()
    fleet.until_equal(tree, 40)
    agent.source.settings = {"exclude": ["*.tmp"]}
    agent.source.save()
    fleet.until(lambda: b"session open" in agent.log.read_bytes())
    agent.stop()
    agent.start()
    (tree / "more.tmp").touch()
    (tree / "yes").touch()
    fleet.until(lambda: "/yes" in fleet.seen(), 40)
    assert "/more.tmp" not in fleet.seen()


def test_the_last_good_configuration_is_used_while_the_server_is_away(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    agent = Configured(fleet, tmp_path / "state", tree)
    agent.start()
    fleet.until(lambda: walked(tree).keys() == fleet.seen().keys(), 40)
    agent.stop()
    assert (agent.state / "last_config.json").stat().st_mode & 0o077 == 0
    agent.start()
    (tree / "after").touch()
    fleet.until(lambda: "/after" in fleet.seen(), 40)
