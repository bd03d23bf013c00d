"""How a host becomes an agent: token → pending → approved → a key of its own. Called by the agents' API, console and API.

The host shows an enrolment token, its fingerprint (identity of this installation) and a claim secret of its own making. After
approval it fetches its key once with that claim. A live agent cannot be impersonated: another fingerprint is refused while
the agent was seen lately, and waits for a person otherwise.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from msgspec import structs

from apps.pipes import audit, hashing, keys, services
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.config.document import AgentDoc, Document
from apps.pipes.config.render import render
from apps.pipes.failures import failures
from apps.pipes.models import Agent, ApiKey, Enrolment, EnrolmentToken, KeyKind, Pipe
from apps.runtime import clock, hints
from apps.runtime.problems import Conflict, Forbidden, Invalid, NotFound, Unauthorized

LIVE_SECONDS = 300.0
SHORTEST_CLAIM = 24
LONGEST_VALIDITY_SECONDS = 90 * 86400
State = Enrolment.State


@dataclass(frozen=True)
class Terms:
    """What a token allows: how often, how long, and what its agents get."""

    name: str = ""
    max_uses: int = 1
    valid_seconds: float = 86400.0
    labels: Mapping[str, str] | None = None
    pipe: Pipe | None = None
    auto_approve: bool = False


@dataclass(frozen=True)
class Ask:
    """What a host says of itself."""

    agent_id: str
    fingerprint: str
    claim: str
    hostname: str = ""
    version: str = ""
    address: str = ""


@transaction.atomic
def make_token(actor: Actor, terms: Terms) -> tuple[EnrolmentToken, str]:
    """An enrolment token and its secret, which is shown once."""
    if terms.max_uses < 1:
        raise Invalid("A token is good for one host at least.", field="max_uses")
    if not 0 < terms.valid_seconds <= LONGEST_VALIDITY_SECONDS:
        raise Invalid(f"A token is valid for up to {LONGEST_VALIDITY_SECONDS} seconds.", field="valid_seconds")
    secret = hashing.make_secret("fke")
    kept, now = hashing.fingerprint(secret), clock.now_datetime()
    token = EnrolmentToken.objects.create(
        digest=kept.digest,
        prefix=kept.prefix,
        name=terms.name,
        labels=dict(terms.labels or {}),
        pipe=terms.pipe,
        max_uses=terms.max_uses,
        auto_approve=terms.auto_approve,
        expires_at=now + timedelta(seconds=terms.valid_seconds),
        created_by=actor.name,
        created_at=now,
    )
    audit.record(actor, "token.create", f"tokens.{token.pk}", after={"max_uses": token.max_uses, "auto": token.auto_approve})
    return token, secret


@transaction.atomic
def revoke_token(actor: Actor, token: EnrolmentToken) -> None:
    """No host can enrol with the token any more; what is pending stays."""
    if not EnrolmentToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now_datetime()):
        raise Conflict("The token is revoked already.")
    audit.record(actor, "token.revoke", f"tokens.{token.pk}")


def token_of(secret: str, address: str) -> EnrolmentToken:
    """The token with this secret. Raises Unauthorized when it is unknown, revoked or expired, Busy after many failures."""
    failures.check(address, secret)
    digests = hashing.digests(secret) if hashing.is_plausible(secret) else []
    token = EnrolmentToken.objects.filter(digest__in=digests).select_related("pipe").first()
    if token is None or token.revoked_at is not None or token.expires_at <= clock.now_datetime():
        failures.record(address, secret)
        raise Unauthorized("No valid enrolment token.", fix="Make a new token on the Agents page.")
    return token


def ask(token: EnrolmentToken, wish: Ask) -> Enrolment:
    """A host asks to become an agent. Asking again with the same claim gives the same request."""
    _check(wish)
    known = Agent.objects.filter(slug=wish.agent_id, enrolled_at__isnull=False).first()
    if known is not None and known.fingerprint != wish.fingerprint and _is_live(known):
        actor = Actor(f"host {wish.hostname or wish.address}", wish.address)
        audit.record_denied(actor, "enrol.ask", f"agents.{known.slug}", "another installation claims to be a live agent")
        raise Conflict(
            f"Agent {known.slug!r} is alive on another installation.",
            code="agent_is_live",
            fix="Stop the other agent or choose another agent id.",
        )
    with transaction.atomic():
        return _same_request(wish) or _new_request(token, wish, known)


@transaction.atomic
def approve(actor: Actor, enrolment: Enrolment) -> Agent:
    """Make the host an agent; it fetches its key with its claim. Earlier keys of the same agent are revoked."""
    service.serialise()
    _decide(enrolment, State.APPROVED, actor)
    present = render().agents.get(enrolment.agent_slug, AgentDoc())
    labels = {**present.labels, **enrolment.token.labels}
    document = Document(agents={enrolment.agent_slug: structs.replace(present, labels=labels)})
    message = f"Enrol {enrolment.hostname or enrolment.agent_slug}"
    service.change(service.Wanted(document), service.Author(actor.name, message, actor.address, actor.request_id))
    agent, _ = Agent.objects.get_or_create(slug=enrolment.agent_slug)
    agent.hostname, agent.fingerprint = enrolment.hostname, enrolment.fingerprint
    agent.agent_version, agent.enrolled_at = enrolment.agent_version, clock.now_datetime()
    agent.save(update_fields=["hostname", "fingerprint", "agent_version", "enrolled_at"])
    keys.revoke(agent.keys.filter(revoked_at=None), ApiKey.Revocation.ROTATED)
    Enrolment.objects.filter(pk=enrolment.pk).update(agent=agent)
    audit.record(actor, "enrol.approve", f"agents.{agent.slug}", after={"fingerprint": agent.fingerprint})
    return agent


@transaction.atomic
def reject(actor: Actor, enrolment: Enrolment, reason: str) -> None:
    """Turn a host down; it learns the reason when it asks again."""
    _decide(enrolment, State.REJECTED, actor)
    Enrolment.objects.filter(pk=enrolment.pk).update(reason=reason[:500])
    audit.record(actor, "enrol.reject", f"agents.{enrolment.agent_slug}", detail=reason)


@transaction.atomic
def claim(enrolment: Enrolment, secret: str) -> str | None:
    """The key of the agent, once approved; None while pending. Forbidden when rejected, or when the claim is another's.

    An answer may be lost: as long as the key was never used, the same claim gets a fresh one in its place.
    """
    if not hashing.is_plausible(secret) or not any(hashing.same(enrolment.claim_digest, one) for one in hashing.digests(secret)):
        raise Forbidden("This is not the claim of this request.", fix="Ask again with a new claim.")
    enrolment = Enrolment.objects.select_for_update(of=("self",)).select_related("agent", "token__pipe").get(pk=enrolment.pk)
    if enrolment.state == State.REJECTED:
        raise Forbidden(f"The request was rejected: {enrolment.reason or 'no reason given'}.", code="enrolment_rejected")
    if enrolment.state == State.PENDING or enrolment.agent is None:
        return None
    _check_unused(enrolment.agent)
    return _issue(enrolment, enrolment.agent)


def find(enrolment_id: str) -> Enrolment:
    """The request with this id. Raises NotFound."""
    missing = NotFound("There is no such enrolment request.", fix="Ask again with a token.")
    try:
        number = uuid.UUID(enrolment_id)
    except ValueError as error:
        raise missing from error
    found = Enrolment.objects.filter(pk=number).select_related("token", "agent").first()
    if found is None:
        raise missing
    return found


def _check(wish: Ask) -> None:
    services.document_with("agents", wish.agent_id, {})
    if len(wish.claim) < SHORTEST_CLAIM or not hashing.is_plausible(wish.claim):
        raise Invalid(f"A claim is {SHORTEST_CLAIM} visible ASCII characters or more.", field="claim")
    if not 8 <= len(wish.fingerprint) <= 64:
        raise Invalid("A fingerprint is 8 to 64 characters.", field="fingerprint")


def _is_live(agent: Agent) -> bool:
    seen: datetime | None = agent.last_seen_at
    return seen is not None and (clock.now_datetime() - seen).total_seconds() < LIVE_SECONDS


def _same_request(wish: Ask) -> Enrolment | None:
    """The request that this host made before, by agent id, fingerprint and claim."""
    asked = Enrolment.objects.filter(
        agent_slug=wish.agent_id, fingerprint=wish.fingerprint, claim_digest__in=hashing.digests(wish.claim)
    )
    return asked.first()


def _new_request(token: EnrolmentToken, wish: Ask, known: Agent | None) -> Enrolment:
    now = clock.now_datetime()
    if not EnrolmentToken.objects.filter(pk=token.pk, uses__lt=F("max_uses")).update(uses=F("uses") + 1):
        raise Forbidden("The enrolment token is used up.", code="token_used_up", fix="Make a new token on the Agents page.")
    # the same installation asks with a new claim: the old request is void
    earlier = Enrolment.objects.filter(agent_slug=wish.agent_id, fingerprint=wish.fingerprint, state=State.PENDING)
    earlier.update(state=State.REJECTED, reason="asked again with a new claim", decided_at=now)
    enrolment = Enrolment.objects.create(
        token=token,
        agent_slug=wish.agent_id,
        fingerprint=wish.fingerprint,
        claim_digest=hashing.digests(wish.claim)[0],
        hostname=wish.hostname[:255],
        agent_version=wish.version[:50],
        address=wish.address[:64],
        reason=_why_a_look(wish, known),
        created_at=now,
    )
    hints.changed("fleet")
    if token.auto_approve and known is None:
        approve(Actor(f"enrolment token {token}", wish.address), enrolment)
        enrolment.refresh_from_db()
    return enrolment


def _why_a_look(wish: Ask, known: Agent | None) -> str:
    if known is None:
        return ""
    if known.fingerprint == wish.fingerprint:
        return "the same installation asks for a new key"
    return f"agent {known.slug} was enrolled before by another installation (re-installed host?)"


def _decide(enrolment: Enrolment, state: str, actor: Actor) -> None:
    decision = {"state": state, "decided_at": clock.now_datetime(), "decided_by": actor.name[:200]}
    if not Enrolment.objects.filter(pk=enrolment.pk, state=State.PENDING).update(**decision):
        raise Conflict("The request was decided already.", code="already_decided")


def _check_unused(agent: Agent) -> None:
    if agent.keys.filter(revoked_at=None, last_used_at__isnull=False).exists():
        raise Conflict("The key was fetched and is in use.", code="key_in_use", fix="Enrol again with a new token.")


def _issue(enrolment: Enrolment, agent: Agent) -> str:
    keys.revoke(agent.keys.filter(revoked_at=None), ApiKey.Revocation.ROTATED)
    pipes = [enrolment.token.pipe] if enrolment.token.pipe else []
    actor = Actor(f"agent {agent.slug}", enrolment.address)
    _, secret = services.issue_key(actor, KeyKind.AGENT, f"agent {agent.slug}", agent=agent, pipes=pipes)
    Enrolment.objects.filter(pk=enrolment.pk).update(state=State.DONE)
    return secret
