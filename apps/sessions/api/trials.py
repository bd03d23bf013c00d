"""`/manage/trials`, `/manage/agents/{ident}/…`: what an agent does for its configuration, and itself: look before it is saved,
fetch it, upgrade."""

import uuid
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.pipes import edits
from apps.pipes.api.guard import allow
from apps.pipes.config import render as configuration
from apps.pipes.config.places import AGENT_PIPES, Place
from apps.pipes.forms.kinds import TRIABLE
from apps.pipes.models import Agent
from apps.pipes.part import configuration_of
from apps.pipes.permissions import Verb
from apps.runtime.problems import Invalid, NotFound
from apps.sessions.models import Command
from apps.sessions.services import agents, trials

router = Router(tags=["manage"])


class TrialIn(Schema):
    """A source, sender or agent pipe as it would be saved, and the agent that is to look at it."""

    kind: str = Field(..., max_length=50)
    agent: str = Field(..., min_length=1, max_length=255)
    fields: dict[str, Any]


class VerdictOut(Schema):
    """What is known of one thing: ok, bad, busy (not told yet) or unknown."""

    about: str
    level: str
    words: str
    fix: str


class UpgradeOut(Schema):
    """An order to upgrade. `state` is one of a job's; `output`: the last lines of the host's command."""

    command: uuid.UUID
    state: str
    actor: str
    ordered_at: datetime
    finished_at: datetime | None
    output: str
    error: str


class TrialOut(Schema):
    """`trial` is what to ask for again while `waits`; null when the agent is not connected."""

    trial: uuid.UUID | None
    waits: bool
    verdicts: list[VerdictOut]


@router.post("/trials", response=TrialOut, summary="Would it work there? Asks the agent, saves nothing")
def start_trial(request: HttpRequest, body: TrialIn) -> TrialOut:
    """422 with every fault of the fields; 409 for an agent that cannot look."""
    actor = allow(request, Verb.CONFIGURE, f"trials.{body.agent}")
    if body.kind not in TRIABLE:
        raise Invalid(f"{body.kind!r} cannot be tried on an agent.", field="kind", fix=f"One of: {', '.join(sorted(TRIABLE))}.")
    place = Place(body.kind, f"{body.agent}:{trials.TRIED}" if body.kind == AGENT_PIPES else trials.TRIED)
    document = configuration.render()
    edits.check_fields(document, place, body.fields)
    part = trials.part_of(document, place, body.fields, body.agent)
    return _out(body.agent, part, trials.order(body.agent, part, actor.name))


@router.get("/trials/{trial}", response=TrialOut, summary="What is known of a trial by now")
def get_trial(request: HttpRequest, trial: uuid.UUID) -> TrialOut:
    """Until `waits` is false."""
    allow(request, Verb.CONFIGURE, f"trials.{trial}")
    command = Command.objects.select_related("session").filter(pk=trial, type=trials.CHECK).first()
    if command is None:
        raise NotFound(f"There is no trial {trial}.")
    return _out(command.session.agent_name, command.parameters.get("config", {}), command)


@router.post("/agents/{ident}/check", response=TrialOut, summary="Have an agent look at everything that it should run")
def check_agent(request: HttpRequest, ident: str) -> TrialOut:
    """Nothing is started or changed."""
    actor = allow(request, Verb.CONFIGURE, f"agents.{ident}")
    agent = _agent(ident)
    part = configuration_of(configuration.render(), agent.slug)
    return _out(agent.slug, part, trials.order(agent.slug, part, actor.name))


@router.post("/agents/{ident}/reload", summary="Have an agent fetch its configuration now")
def reload_agent(request: HttpRequest, ident: str) -> dict[str, str]:
    """409 when it is not connected."""
    actor = allow(request, Verb.CONTROL, f"agents.{ident}")
    return {"command": str(agents.order_reload(_agent(ident), actor.name).pk)}


@router.post("/agents/{ident}/upgrade", response=UpgradeOut, summary="Have an agent run its host's own upgrade command")
def upgrade_agent(request: HttpRequest, ident: str) -> UpgradeOut:
    """409 when it is not connected, when its host did not opt in, and while one is under way."""
    actor = allow(request, Verb.CONFIGURE, f"agents.{ident}")
    return _upgrade(agents.order_upgrade(_agent(ident), actor))


@router.get("/agents/{ident}/upgrade", response=UpgradeOut, summary="How the last upgrade of an agent went")
def get_upgrade(request: HttpRequest, ident: str) -> UpgradeOut:
    """404 when none was ordered."""
    allow(request, Verb.CONFIGURE, f"agents.{ident}")
    command = agents.last_upgrade(_agent(ident))
    if command is None:
        raise NotFound(f"No upgrade of {ident} was ordered.")
    return _upgrade(command)


def _upgrade(command: Command) -> UpgradeOut:
    return UpgradeOut(
        command=command.pk,
        state=command.state,
        actor=command.actor,
        ordered_at=command.created_at,
        finished_at=command.finished_at,
        output=str(command.result.get("output") or ""),
        error=command.error,
    )


def _agent(ident: str) -> Agent:
    agent = Agent.objects.filter(slug=ident).first()
    if agent is None:
        raise NotFound(f"There is no agent {ident!r}.", fix="See the list of agents.")
    return agent


def _out(agent: str, part: dict[str, Any], command: Command | None) -> TrialOut:
    known = trials.verdicts(agent, part, command)
    waits = command is not None and command.finished_at is None
    told = [VerdictOut(about=one.about, level=one.level, words=one.words, fix=one.fix) for one in known]
    return TrialOut(trial=command.pk if command else None, waits=waits, verdicts=told)
