"""Agents as the console sees them: desired and reported, enrolment tokens, requests waiting for a decision."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.pipes import agents, enrolment
from apps.pipes.api.guard import allow
from apps.pipes.api.schemas import Number, Paging
from apps.pipes.models import Agent, Enrolment, EnrolmentToken, LegacyUse, Pipe
from apps.pipes.permissions import Verb
from apps.runtime.problems import NotFound

router = Router()


class TokenIn(Schema):
    """What an enrolment token allows."""

    name: str = Field("", max_length=200)
    max_uses: int = Field(1, ge=1, le=100_000)
    valid_seconds: float = Field(86400.0, gt=0)
    labels: dict[str, str] = {}
    pipe: str = ""
    auto_approve: bool = False


class RejectIn(Schema):
    """Why."""

    reason: str = Field("", max_length=500)


@router.get("/agents", summary="Agents with what they should run and what they say they run")
def list_agents(request: HttpRequest, page: Query[Paging]) -> dict[str, Any]:
    """`drifted`: it runs something else than it should, or refused it."""
    allow(request, Verb.READ, "agents")
    found = Agent.objects.order_by("slug")
    return {"count": found.count(), "agents": [_agent_out(agent) for agent in found[page.offset : page.offset + page.limit]]}


@router.get("/agents/{ident}", summary="One agent with the configuration it should run")
def get_agent(request: HttpRequest, ident: str) -> dict[str, Any]:
    """The configuration in the form of the agent's own file."""
    allow(request, Verb.READ, f"agents.{ident}")
    agent = Agent.objects.filter(slug=ident).first()
    if agent is None:
        raise NotFound(f"There is no agent {ident!r}.", fix="See the list of agents.")
    return {**_agent_out(agent), "desired": agents.desired(agent)}


@router.get("/enrolment/tokens", summary="Enrolment tokens, without secrets")
def list_tokens(request: HttpRequest) -> list[dict[str, Any]]:
    """Newest first."""
    allow(request, Verb.ENROL, "tokens")
    return [_token_out(token) for token in EnrolmentToken.objects.select_related("pipe")[:500]]


@router.post("/enrolment/tokens", response={201: dict[str, Any]}, summary="Make an enrolment token")
def make_token(request: HttpRequest, body: TokenIn) -> tuple[int, dict[str, Any]]:
    """`secret` is in this answer only."""
    actor = allow(request, Verb.ENROL, "tokens")
    pipe = Pipe.objects.filter(slug=body.pipe).first()
    if body.pipe and pipe is None:
        raise NotFound(f"There is no pipe {body.pipe!r}.", field="pipe")
    terms = enrolment.Terms(body.name, body.max_uses, body.valid_seconds, body.labels, pipe, body.auto_approve)
    token, secret = enrolment.make_token(actor, terms)
    return 201, {**_token_out(token), "secret": secret}


@router.delete("/enrolment/tokens/{token_id}", response={204: None}, summary="Revoke an enrolment token")
def revoke_token(request: HttpRequest, token_id: Number) -> tuple[int, None]:
    """Requests that wait already stay."""
    actor = allow(request, Verb.ENROL, f"tokens.{token_id}")
    token = EnrolmentToken.objects.filter(pk=token_id).first()
    if token is None:
        raise NotFound(f"There is no token {token_id}.")
    enrolment.revoke_token(actor, token)
    return 204, None


@router.get("/enrolment/requests", summary="Hosts that asked to become agents")
def list_requests(request: HttpRequest, state: Enrolment.State | None = None) -> list[dict[str, Any]]:
    """Newest first."""
    allow(request, Verb.ENROL, "enrolment")
    found = Enrolment.objects.filter(state=state) if state else Enrolment.objects.all()
    return [_request_out(enrolled) for enrolled in found[:500]]


@router.post("/enrolment/requests/{request_id}/approve", summary="Let a host become an agent")
def approve(request: HttpRequest, request_id: str) -> dict[str, Any]:
    """The host fetches its key by itself."""
    actor = allow(request, Verb.ENROL, f"enrolment.{request_id}")
    return _agent_out(enrolment.approve(actor, enrolment.find(request_id)))


@router.post("/enrolment/requests/{request_id}/reject", summary="Turn a host down")
def reject(request: HttpRequest, request_id: str, body: RejectIn) -> dict[str, Any]:
    """It learns the reason when it asks again."""
    actor = allow(request, Verb.ENROL, f"enrolment.{request_id}")
    enrolment.reject(actor, enrolment.find(request_id), body.reason)
    return _request_out(enrolment.find(request_id))


@router.get("/legacy-use", summary="Who still calls the old paths")
def list_legacy_use(request: HttpRequest) -> list[dict[str, Any]]:
    """Latest first."""
    allow(request, Verb.READ, "legacy")
    found = LegacyUse.objects.order_by("-last_at")[:500]
    return [{"path": use.path, "caller": use.caller, "count": use.count, "last_at": use.last_at.isoformat()} for use in found]


def _agent_out(agent: Agent) -> dict[str, Any]:
    return {
        "agent_id": agent.slug,
        "name": agent.name,
        "hostname": agent.hostname,
        "labels": agent.labels,
        "version": agent.agent_version,
        "enrolled_at": agent.enrolled_at.isoformat() if agent.enrolled_at else None,
        "last_seen_at": agent.last_seen_at.isoformat() if agent.last_seen_at else None,
        "desired_revision": agent.desired_revision,
        "reported_revision": agent.reported_revision,
        "reported_error": agent.reported_error,
        "drifted": agents.has_drifted(agent),
    }


def _token_out(token: EnrolmentToken) -> dict[str, Any]:
    return {
        "id": token.pk,
        "token": str(token),
        "name": token.name,
        "labels": token.labels,
        "pipe": token.pipe.slug if token.pipe else None,
        "uses": token.uses,
        "max_uses": token.max_uses,
        "auto_approve": token.auto_approve,
        "expires_at": token.expires_at.isoformat(),
        "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
        "created_by": token.created_by,
    }


def _request_out(found: Enrolment) -> dict[str, Any]:
    return {
        "id": str(found.pk),
        "agent_id": found.agent_slug,
        "hostname": found.hostname,
        "version": found.agent_version,
        "address": found.address,
        "fingerprint": found.fingerprint,
        "state": found.state,
        "reason": found.reason,
        "created_at": found.created_at.isoformat(),
        "decided_by": found.decided_by,
    }
