"""From nothing to a running agent: a token, an approval in the console, a key of its own, a configuration from the server."""

import uuid
from pathlib import Path

import msgspec
import pytest

from agent_runner.enrolment import Claim
from apps.pipes import enrolment
from apps.pipes.audit import Actor
from apps.pipes.models import Agent, AgentPipe, Enrolment, Sender, Source
from tests.agent.e2e.conftest import Fleet, RealAgent
from tests.agent.walk import grow

pytestmark = pytest.mark.blackbox
ADMIN = Actor("admin", "192.0.2.7")


class Newcomer(RealAgent):
    """An agent that has a server's address and nothing else: no key, no directory."""

    def __init__(self, fleet: Fleet, state: Path) -> None:
        super().__init__(fleet.world, state, state, f"new-{uuid.uuid4().hex[:8]}")
        self._key = ""
        fleet.agents.append(self)

    def command(self) -> list[str]:
        return self.target()

    def asked(self) -> Enrolment | None:
        return Enrolment.objects.filter(agent_slug=self.name).order_by("-created_at").first()

    def claim(self) -> Claim:
        return msgspec.json.decode((self.state / "claim.json").read_bytes(), type=Claim)


@pytest.fixture
def newcomer(fleet: Fleet, tmp_path: Path) -> Newcomer:
    return Newcomer(fleet, tmp_path / "state")


def give_a_pipe(fleet: Fleet, name: str, tree: Path) -> None:
    """What somebody does in the console after the approval."""
    source = Source.objects.create(slug=f"{name}-source", uri=str(tree))
    sender = Sender.objects.create(slug=f"{name}-sender", uri=fleet.world.server.url)
    AgentPipe.objects.create(
        slug=f"{name}-pipe", agent=Agent.objects.get(slug=name), source=source, sender=sender, pipe=fleet.world.pipe
    )


def test_a_host_enrols_waits_for_approval_and_runs_what_the_server_says(fleet: Fleet, newcomer: Newcomer, tree: Path) -> None:
    grow(tree)
    token, secret = enrolment.make_token(ADMIN, enrolment.Terms(name="rack 4", pipe=fleet.world.pipe))
    newcomer.start("--token", secret)
    fleet.until(newcomer.asked)
    request = newcomer.asked()
    assert request is not None
    assert request.state == Enrolment.State.PENDING
    assert newcomer.claim().key == ""
    enrolment.approve(ADMIN, request)
    fleet.until(lambda: newcomer.claim().key != "")
    kept = newcomer.claim().key
    assert kept != secret
    assert (newcomer.state / "claim.json").stat().st_mode & 0o077 == 0
    # it has no pipe yet and waits for one: nobody restarts it
    give_a_pipe(fleet, newcomer.name, tree)
    fleet.until_equal(tree)
    newcomer.stop()
    assert secret.encode() not in newcomer.log.read_bytes()
    assert kept.encode() not in newcomer.log.read_bytes()
    # the key is kept: it needs no token any more
    enrolment.revoke_token(ADMIN, token)
    newcomer.start()
    (tree / "after").write_text("x")
    fleet.until_equal(tree)


def test_a_host_that_is_turned_down_ends_and_says_why(fleet: Fleet, newcomer: Newcomer) -> None:
    _, secret = enrolment.make_token(ADMIN, enrolment.Terms())
    newcomer.start("--token", secret)
    fleet.until(newcomer.asked)
    request = newcomer.asked()
    assert request is not None
    enrolment.reject(ADMIN, request, "not one of our machines")
    assert newcomer.process is not None
    assert newcomer.ends() == 1
    told = newcomer.log.read_text()
    assert "not one of our machines" in told
    assert "Make a new enrolment token" in told


def test_a_wrong_token_ends_it_at_once(fleet: Fleet, newcomer: Newcomer) -> None:
    newcomer.start("--token", f"fke_{uuid.uuid4().hex}{uuid.uuid4().hex}")
    assert newcomer.process is not None
    assert newcomer.ends() == 1
    assert "Make a new enrolment token" in newcomer.log.read_text()
    assert newcomer.asked() is None
