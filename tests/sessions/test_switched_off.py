"""An agent or agent pipe that is switched off: its sessions end within the next look, new ones are refused, others go on."""

import pytest

from apps.pipes.keys import create_key
from apps.pipes.models import Agent, AgentPipe, KeyKind, Sender, Source
from apps.pipes.principals import KeyPrincipal
from apps.runtime.problems import Forbidden
from apps.sessions.models import Session
from apps.sessions.services import sessions
from apps.sessions.services.sessions import Wish
from tests.sessions.conftest import Site


@pytest.fixture
def home(site: Site) -> AgentPipe:
    """The agent `a` with an agent pipe `p` into the pipe."""
    agent = Agent.objects.create(slug="a")
    source, sender = Source.objects.create(slug="data", uri="/data"), Sender.objects.create(slug="here")
    return AgentPipe.objects.create(agent=agent, slug="p", source=source, sender=sender, pipe=site.pipe)


def test_sessions_of_an_agent_that_is_switched_off_end_and_new_ones_are_refused(site: Site, home: AgentPipe) -> None:
    mine, other = site.open("a:p"), site.open("b:p")
    Agent.objects.filter(slug="a").update(enabled=False)
    assert sessions.end_switched_off() == 1
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.end_cause, other.ended_at) == (Session.EndCause.DISABLED, None)
    with pytest.raises(Forbidden) as refused:
        site.open("a:p")
    assert refused.value.code == "agent_disabled"
    Agent.objects.filter(slug="a").update(enabled=True)
    assert site.open("a:p").ended_at is None


def test_an_agent_pipe_that_is_switched_off_ends_alone(site: Site, home: AgentPipe) -> None:
    mine, sibling = site.open("a:p"), site.open("a:q")
    AgentPipe.objects.update(enabled=False)
    assert sessions.end_switched_off() == 1
    mine.refresh_from_db()
    sibling.refresh_from_db()
    assert (mine.end_cause, sibling.ended_at) == (Session.EndCause.DISABLED, None)
    with pytest.raises(Forbidden) as refused:
        site.open("a:p")
    assert refused.value.code == "agent_pipe_disabled"


def test_an_agent_key_says_whose_session_it_is_whatever_the_task_claims(site: Site, home: AgentPipe) -> None:
    key, _ = create_key(KeyKind.AGENT, agent=home.agent, pipes=[site.pipe])
    Agent.objects.update(enabled=False)
    principal = KeyPrincipal(key=key, pipe_ids=frozenset({site.pipe.pk}), view_ids=frozenset(), verbs=frozenset())
    with pytest.raises(Forbidden):
        sessions.open_session(principal, Wish(task_id="somebody-else:p"))
