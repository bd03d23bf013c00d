"""`/api/v1/pipe/agents`: what agents themselves call: enrol, fetch the desired configuration, report the one they run.

Mounted with `agent_auth`; the two routes of enrolment take a token instead, for there is no key yet.
"""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema
from ninja.security.apikey import APIKeyHeader

from apps.pipes import agents, enrolment, keys
from apps.pipes.addresses import client_address
from apps.pipes.models import Agent, Enrolment, EnrolmentToken
from apps.pipes.principals import KeyPrincipal
from apps.runtime.problems import Unauthorized

router = Router(tags=["agents"])


class TokenAuth(APIKeyHeader):
    """An enrolment token in the header `X-API-Key`: good for enrolling and nothing else."""

    param_name = "X-API-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> EnrolmentToken:
        """The token. Raises Unauthorized."""
        if key is None:
            raise Unauthorized("No valid enrolment token.", fix="Send the token in the header X-API-Key.")
        return enrolment.token_of(key, client_address(request))


class AskIn(Schema):
    """What a host says of itself. `claim` is a secret of its own making, with which it fetches its key later."""

    agent_id: str = Field(..., max_length=100)
    fingerprint: str = Field(..., max_length=64)
    claim: str = Field(..., max_length=512)
    hostname: str = Field("", max_length=255)
    version: str = Field("", max_length=50)


class ClaimIn(Schema):
    """The claim secret of the request."""

    claim: str = Field(..., max_length=512)


class ReportIn(Schema):
    """The revision that the agent runs, and why it refused a newer one."""

    revision: int = Field(..., ge=0, le=2**63 - 1)
    error: str = Field("", max_length=20_000)


@router.post("/enrol", auth=TokenAuth(), summary="Ask to become an agent")
def ask(request: HttpRequest, body: AskIn) -> dict[str, Any]:
    """`state` is pending, or approved at once when the token says so. Asking again gives the same request."""
    wish = enrolment.Ask(
        agent_id=body.agent_id,
        fingerprint=body.fingerprint,
        claim=body.claim,
        hostname=body.hostname,
        version=body.version,
        address=client_address(request),
    )
    token: EnrolmentToken = request.auth  # type: ignore[attr-defined]  # set by TokenAuth
    return _out(enrolment.ask(token, wish))


@router.post("/enrol/{request_id}", auth=TokenAuth(), summary="Fetch the key of an approved request")
def fetch(request: HttpRequest, request_id: str, body: ClaimIn) -> dict[str, Any]:
    """`key` is there once approved. 403 when rejected, with the reason."""
    enrolled = enrolment.find(request_id)
    key = enrolment.claim(enrolled, body.claim)
    enrolled.refresh_from_db()
    return _out(enrolled) if key is None else {**_out(enrolled), "key": key}


@router.get("/self/config", summary="What this agent should run")
def get_config(request: HttpRequest) -> dict[str, Any]:
    """In the form of the agent's own file; `revision` changes only when this agent's part changed."""
    return agents.desired(_agent(request))


@router.post("/self/report", summary="What this agent runs")
def report(request: HttpRequest, body: ReportIn) -> dict[str, str]:
    """Shown as drift when it is not the desired revision."""
    agents.report(_agent(request), body.revision, body.error)
    return {"status": "ok"}


def _agent(request: HttpRequest) -> Agent:
    principal: KeyPrincipal = request.auth  # type: ignore[attr-defined]  # set by agent_auth
    # the principal is remembered for a moment, the row must be fresh
    agent = Agent.objects.filter(keys=principal.key).first()
    if agent is None:
        raise Unauthorized(keys.REFUSAL, fix=keys.FIX)
    return agent


def _out(enrolled: Enrolment) -> dict[str, Any]:
    return {"request_id": str(enrolled.pk), "agent_id": enrolled.agent_slug, "state": enrolled.state}
