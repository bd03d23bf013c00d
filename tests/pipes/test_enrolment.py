"""How a host becomes an agent: token, pending, approval, its own key; and who is turned down."""

import pytest
from django.test import Client

from apps.pipes import enrolment, keys, people
from apps.pipes.audit import Actor
from apps.pipes.enrolment import Ask, Terms
from apps.pipes.models import Agent, AuditEntry, Enrolment, EnrolmentToken, Pipe, Role
from apps.runtime.clock import ManualClock, now_datetime
from apps.runtime.problems import Conflict, Forbidden, Invalid, Unauthorized

pytestmark = pytest.mark.usefixtures("small", "time_stands_still")
ANNA = Actor("anna")
CLAIM = "claim-of-this-installation-0001"


def wish(agent_id: str = "host-1", fingerprint: str = "fingerprint-1", claim: str = CLAIM) -> Ask:
    return Ask(agent_id=agent_id, fingerprint=fingerprint, claim=claim, hostname=f"{agent_id}.example", version="3.0")


def token(**terms: object) -> EnrolmentToken:
    return enrolment.make_token(ANNA, Terms(**terms))[0]  # type: ignore[arg-type]


def test_a_host_waits_for_approval_and_then_fetches_its_own_key() -> None:
    made, secret = enrolment.make_token(ANNA, Terms(labels={"site": "north"}, pipe=Pipe.objects.get()))
    asked = enrolment.ask(enrolment.token_of(secret, "10.0.0.5"), wish())
    assert asked.state == "pending"
    assert enrolment.claim(asked, CLAIM) is None
    agent = enrolment.approve(ANNA, asked)
    assert (agent.slug, agent.labels, agent.hostname) == ("host-1", {"site": "north"}, "host-1.example")
    key = enrolment.claim(enrolment.find(str(asked.pk)), CLAIM)
    assert key is not None
    principal = keys.authenticate(key, "10.0.0.5")
    assert (principal.key.agent, principal.may_push(Pipe.objects.get())) == (agent, True)
    made.refresh_from_db()
    assert made.uses == 1


def test_asking_again_is_the_same_request_and_uses_the_token_once() -> None:
    made = token(max_uses=1)
    assert enrolment.ask(made, wish()).pk == enrolment.ask(made, wish()).pk
    with pytest.raises(Forbidden) as refused:
        enrolment.ask(made, wish("host-2"))
    assert refused.value.code == "token_used_up"


def test_a_lost_answer_is_no_lost_key_until_the_key_was_used() -> None:
    asked = enrolment.ask(token(auto_approve=True), wish())
    first = enrolment.claim(asked, CLAIM)
    second = enrolment.claim(asked, CLAIM)
    assert first is not None
    assert second is not None
    assert first != second
    with pytest.raises(Unauthorized):
        keys.authenticate(first, "")
    Agent.objects.get().keys.filter(revoked_at=None).update(last_used_at=now_datetime())
    with pytest.raises(Conflict):
        enrolment.claim(asked, CLAIM)


def test_only_the_host_that_asked_gets_the_key() -> None:
    asked = enrolment.ask(token(auto_approve=True), wish())
    with pytest.raises(Forbidden):
        enrolment.claim(asked, "claim-of-somebody-else-entirely")


def test_twenty_hosts_at_once_share_a_token() -> None:
    made = token(max_uses=20, auto_approve=True)
    for number in range(20):
        asked = enrolment.ask(made, wish(f"host-{number}", f"fingerprint-{number}", f"{CLAIM}-{number}"))
        assert asked.state == "approved"
    assert Agent.objects.filter(enrolled_at__isnull=False).count() == 20


def test_a_live_agent_cannot_be_impersonated(time_stands_still: ManualClock) -> None:
    enrolment.ask(token(auto_approve=True), wish())
    Agent.objects.filter(slug="host-1").update(last_seen_at=now_datetime())
    with pytest.raises(Conflict) as refused:
        enrolment.ask(token(auto_approve=True), wish(fingerprint="another-installation", claim=f"{CLAIM}-x"))
    assert refused.value.code == "agent_is_live"
    assert AuditEntry.objects.get(outcome="denied").target == "agents.host-1"
    time_stands_still.advance(600)
    asked = enrolment.ask(token(auto_approve=True), wish(fingerprint="another-installation", claim=f"{CLAIM}-x"))
    assert (asked.state, "re-installed" in asked.reason) == ("pending", True), "a person looks at it, whatever the token says"


def test_approving_a_reinstalled_host_revokes_its_old_key(time_stands_still: ManualClock) -> None:
    old = enrolment.claim(enrolment.ask(token(auto_approve=True), wish()), CLAIM)
    assert old is not None
    asked = enrolment.ask(token(), wish(fingerprint="another-installation", claim=f"{CLAIM}-x"))
    enrolment.approve(ANNA, asked)
    with pytest.raises(Unauthorized):
        keys.authenticate(old, "")
    assert Agent.objects.get(slug="host-1").fingerprint == "another-installation"


def test_a_rejected_host_learns_why_and_a_decision_is_final() -> None:
    asked = enrolment.ask(token(), wish())
    enrolment.reject(ANNA, asked, "not ours")
    with pytest.raises(Forbidden, match="not ours"):
        enrolment.claim(enrolment.find(str(asked.pk)), CLAIM)
    with pytest.raises(Conflict):
        enrolment.approve(ANNA, asked)


def test_tokens_expire_and_can_be_revoked(time_stands_still: ManualClock) -> None:
    _, expiring = enrolment.make_token(ANNA, Terms(valid_seconds=60))
    revoked, secret = enrolment.make_token(ANNA, Terms())
    enrolment.revoke_token(ANNA, revoked)
    time_stands_still.advance(61)
    for dead in (expiring, secret, "fke_guess"):
        with pytest.raises(Unauthorized):
            enrolment.token_of(dead, "10.0.0.5")


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"agent_id": "a b"}, "agents"),
        ({"claim": "short"}, "claim"),
        ({"fingerprint": "x"}, "fingerprint"),
    ],
)
def test_what_a_host_says_is_checked(bad: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        enrolment.ask(token(), wish(**bad))
    assert field in (refused.value.field or "")
    assert not Enrolment.objects.exists()


def test_the_page_with_the_command_notices_its_hosts() -> None:
    made, client = token(), Client()
    client.force_login(people.create(ANNA, "ada", "correct-horse-battery", Role.ADMIN))
    address = f"/agents/enrol/{made.pk}/hosts/"
    assert "Waiting for the host" in client.get(address).content.decode()
    asked = enrolment.ask(made, wish())
    assert "waits for approval" in client.get(address).content.decode()
    agent = enrolment.approve(ANNA, asked)
    assert "is approved" in client.get(address).content.decode()
    enrolment.claim(enrolment.find(str(asked.pk)), CLAIM)
    Agent.objects.filter(pk=agent.pk).update(last_seen_at=now_datetime())
    part = client.get(address).content.decode()
    assert "is connected" in part
    assert "hx-trigger" not in part, "nobody else can come"
