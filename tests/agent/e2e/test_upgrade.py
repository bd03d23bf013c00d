"""S143: an upgrade ordered at a real server: a real agent runs its host's command, says so, and ends to be started again."""

from pathlib import Path

import pytest

from agent_runner.upgrade import RESTART
from apps.pipes.audit import Actor
from apps.pipes.models import Agent
from apps.runtime.problems import Conflict
from apps.sessions.services import agents
from tests.agent.e2e.conftest import Fleet
from tests.agent.walk import grow

pytestmark = pytest.mark.blackbox
ADA = Actor("ada")


def test_an_ordered_upgrade_is_run_told_and_followed_by_a_new_session(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    mark = tmp_path / "upgraded"
    agent = fleet.agent(tree).start("--upgrade-command", f"cp -v {tree}/d1/e1/file {mark}")
    fleet.until_equal(tree)
    row = Agent.objects.get(slug=agent.name)
    command = agents.order_upgrade(row, ADA)
    assert agent.process is not None
    assert agent.ends() == RESTART
    command.refresh_from_db()
    assert command.state == "DONE"
    assert str(mark) in command.result["output"]
    assert mark.exists()
    agent.start()
    (tree / "after").write_text("x")
    fleet.until_equal(tree)
    # it came back without the opt-in
    with pytest.raises(Conflict, match="opted in"):
        agents.order_upgrade(row, ADA)
