"""An agent that is given an address and a key, and gets everything else from the server."""

import time
from pathlib import Path
from typing import Any

import pytest

from apps.pipes import services
from apps.pipes.config.service import Author
from apps.pipes.keys import create_key
from apps.pipes.models import Agent, AgentPipe, KeyKind, Sender, Source
from apps.runtime import clock
from apps.sessions.models import Session
from apps.sessions.services import commands
from tests.agent.e2e.conftest import Fleet, RealAgent
from tests.agent.walk import grow
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox
AUTHOR = Author("admin")


class Configured(RealAgent):
    """An agent with a key of its own and no directory on its command line: one AgentPipe, with a source of its own, per pipe of
    the world."""

    def __init__(self, fleet: Fleet, state: Path, directory: Path) -> None:
        super().__init__(fleet.world, directory, state, f"{fleet.world.pipe.slug}-host")
        self.row = Agent.objects.create(slug=self.name, enrolled_at=clock.now_datetime())
        sender = Sender.objects.create(slug=f"{self.name}-sender", uri=fleet.world.server.url)
        self.sources: list[Source] = []
        for number, pipe in enumerate(fleet.world.pipes, 1):
            # settings differ, so that the agent does not share one source between its pipes
            source = Source.objects.create(slug=f"{self.name}-source{number}", uri=str(directory), settings={"scan_nice": number})
            AgentPipe.objects.create(slug=f"{self.name}-pipe{number}", agent=self.row, source=source, sender=sender, pipe=pipe)
            self.sources.append(source)
        self._key = create_key(KeyKind.AGENT, agent=self.row, pipes=fleet.world.pipes)[1]
        fleet.agents.append(self)

    def command(self) -> list[str]:
        return self.target()

    def change_source(self, number: int, **settings: Any) -> None:
        """As the console does it: a change of the configuration, and the agent is told to fetch it."""
        services.edit_object("sources", self.sources[number].slug, {"driver_params": settings}, AUTHOR)

    def session_of(self, number: int) -> Session | None:
        return Session.objects.filter(task_id=f"{self.name}:{self.name}-pipe{number + 1}", ended_at=None).first()

    def reported(self) -> Agent:
        self.row.refresh_from_db()
        return self.row


def test_the_server_says_what_to_watch_and_a_change_reaches_the_running_agent(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    agent = Configured(fleet, tmp_path / "state", tree)
    agent.start()
    fleet.until_equal(tree)
    agent.change_source(0, exclude=["*.tmp"])
    fleet.until(lambda: agent.reported().reported_revision == agent.row.desired_revision > 0)
    (tree / "more.tmp").touch()
    (tree / "yes").touch()
    fleet.until(lambda: "/yes" in fleet.seen())
    assert "/more.tmp" not in fleet.seen()


def test_a_reload_restarts_the_pipe_that_changed_and_no_other(make_world: Any, tree: Path, tmp_path: Path) -> None:
    world: World = make_world(pipes=2)
    fleet = Fleet(world, tmp_path)
    try:
        grow(tree)
        agent = Configured(fleet, tmp_path / "state", tree)
        agent.start()
        fleet.until(lambda: agent.session_of(0) and agent.session_of(1))
        fleet.until_equal(tree)
        untouched, touched = agent.session_of(0), agent.session_of(1)
        assert untouched is not None
        assert touched is not None
        agent.change_source(1, exclude=["*.tmp"])
        fleet.until(lambda: agent.reported().reported_revision == agent.row.desired_revision > 0)
        fleet.until(lambda: (now := agent.session_of(1)) is not None and now.number != touched.number)
        assert agent.session_of(0) == untouched
        (tree / "after").write_text("x")
        fleet.until_equal(tree)
    finally:
        fleet.close()


def test_a_configuration_that_cannot_be_used_is_refused_reported_and_the_old_one_goes_on(
    fleet: Fleet, tree: Path, tmp_path: Path
) -> None:
    grow(tree)
    agent = Configured(fleet, tmp_path / "state", tree)
    agent.start()
    fleet.until_equal(tree)
    before = agent.session_of(0)
    # a fault that only the agent's own driver can find, past the server's checks
    Source.objects.filter(pk=agent.sources[0].pk).update(settings={"deep_cycles": "often"})
    commands.reload_agents([agent.name])
    fleet.until(lambda: "deep_cycles" in agent.reported().reported_error)
    (tree / "goes-on").write_text("x")
    fleet.until_equal(tree)
    assert agent.session_of(0) == before
    Source.objects.filter(pk=agent.sources[0].pk).update(settings={"deep_cycles": 6})
    commands.reload_agents([agent.name])
    fleet.until(lambda: agent.reported().reported_error == "")
    fleet.until(lambda: (now := agent.session_of(0)) is not None and now != before)


def test_the_last_good_configuration_is_used_while_the_server_is_away(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    agent = Configured(fleet, tmp_path / "state", tree)
    agent.start()
    fleet.until_equal(tree)
    agent.stop()
    assert (agent.state / "last_config.json").stat().st_mode & 0o077 == 0
    server = fleet.world.server
    server.stop_web()
    try:
        agent.start()
        # it watches before it can reach anybody: what happens now is told when the server is back
        fleet.until(lambda: b"session failed" in agent.log.read_bytes())
        (tree / "made-while-the-server-was-away").write_text("x")
        time.sleep(1)
    finally:
        server.start_web()
    fleet.until_equal(tree)
