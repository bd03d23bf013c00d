"""A change that goes out in waves, with a real agent: told by its heartbeat, fetched, run, reported, and the rollout is done."""

from pathlib import Path

import pytest

from apps.pipes import services
from apps.pipes.config import service
from apps.pipes.models import Rollout, RolloutState
from apps.pipes.rollouts import service as rollouts
from apps.pipes.rollouts.waves import Terms, parse_waves
from tests.agent.e2e.conftest import Fleet
from tests.agent.e2e.test_server_config import AUTHOR, Configured
from tests.agent.walk import grow
from tests.blackbox.own_server import server

__all__ = ["server"]  # a fixture: one rollout at a time goes out on a server, and other files' may be open on the shared one
pytestmark = pytest.mark.blackbox


def _state(number: int) -> str:
    rollouts.advance_all()
    return Rollout.objects.get(pk=number).state


def test_a_rollout_is_done_when_the_running_agent_reports_its_revision(fleet: Fleet, tree: Path, tmp_path: Path) -> None:
    grow(tree)
    agent = Configured(fleet, tmp_path / "state", tree)
    agent.start()
    fleet.until_equal(tree)
    source = agent.sources[0]
    wanted = services.document_with("sources", source.slug, {"uri": str(tree), "driver_params": {"exclude": ["*.tmp"]}})
    terms = Terms(parse_waves("100%"), patience_seconds=120, pause_seconds=0)
    _plan, revision = service.change(service.Wanted(wanted), AUTHOR, terms=terms)
    assert revision is not None
    assert list(revision.rollout.members.values_list("agent__slug", flat=True)) == [agent.name]
    fleet.until(lambda: _state(revision.number) == RolloutState.DONE)
    assert agent.reported().reported_revision == revision.number
    (tree / "left-out.tmp").touch()
    (tree / "yes").touch()
    fleet.until(lambda: "/yes" in fleet.seen())
    assert "/left-out.tmp" not in fleet.seen()
