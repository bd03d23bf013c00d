"""Test before saving: what was filled in is looked at by the agent that would run it. The result fills in by itself."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from apps.pipes import edits
from apps.pipes.config import render as configuration
from apps.pipes.config.places import AGENT_PIPES, Place
from apps.pipes.forms.form import ObjectForm
from apps.pipes.forms.kinds import TRIABLE
from apps.pipes.part import configuration_of
from apps.pipes.permissions import Verb
from apps.runtime.console import page
from apps.runtime.problems import Problem
from apps.sessions.models import Command
from apps.sessions.services import trials

LABELS = {
    "agent": gettext_lazy("Agent"),
    "opens": gettext_lazy("Key and pipe"),
    "path": gettext_lazy("Path"),
    "key": gettext_lazy("Server and key"),
    "clock": gettext_lazy("Clock"),
    "watches": gettext_lazy("Watches"),
}
# a sender is tried without any storage
UNASKED = ("path", "watches")


@require_POST
@page(Verb.CONFIGURE)
def start(request: HttpRequest, kind: str) -> HttpResponse:
    """`/trials/<kind>/`: takes the form as it is now, unsaved, and asks the agent."""
    document = configuration.render()
    if kind not in TRIABLE:
        return _shown(request, refused=[_("This cannot be tested on an agent.")], status=404)
    form = ObjectForm(Place(kind, request.POST.get("ident", "")), document, fields={}, data=request.POST, new="id" in request.POST)
    form.is_valid()
    agent = form.place.owner[1] if kind == AGENT_PIPES else request.POST.get("trial_agent", "")
    if not agent:
        return _shown(request, refused=[_("Choose the agent to test it on.")], status=422)
    reasons = [f"{form[name].label}: {' '.join(map(str, errors))}" for name, errors in form.errors.items() if name != "id"]
    # an id is not needed yet
    place = Place(kind, f"{agent}:{trials.TRIED}" if kind == AGENT_PIPES else trials.TRIED) if "id" in form.errors else form.place
    try:
        if not reasons:
            edits.check_fields(document, place, form.written())
            part = trials.part_of(document, place, form.written(), agent)
            return _result(request, agent, part, trials.order(agent, part, request.user.get_username()))
    except Problem as problem:
        reasons = [str(fault["what"]) for fault in problem.extra.get("faults", ())] or [f"{problem.detail} {problem.fix or ''}"]
    return _shown(request, refused=reasons, status=422)


@require_POST
@page(Verb.CONFIGURE)
def of_agent(request: HttpRequest, slug: str) -> HttpResponse:
    """`/agents/<id>/check/`: the agent looks at everything that it should run."""
    part = configuration_of(configuration.render(), slug)
    try:
        return _result(request, slug, part, trials.order(slug, part, request.user.get_username()))
    except Problem as problem:
        return _shown(request, refused=[f"{problem.detail} {problem.fix or ''}"], status=problem.status)


@require_GET
@page(Verb.CONFIGURE)
def follow(request: HttpRequest, command_id: uuid.UUID) -> HttpResponse:
    """`/trials/<command>/`: what is known by now."""
    command = get_object_or_404(Command.objects.select_related("session"), pk=command_id, type=trials.CHECK)
    return _result(request, command.session.agent_name, command.parameters.get("config", {}), command)


def _result(request: HttpRequest, agent: str, part: dict[str, Any], command: Command | None) -> HttpResponse:
    unasked = UNASKED if all(source["driver"] != "fs" for source in part.get("sources", {}).values()) else ()
    found = [verdict for verdict in trials.verdicts(agent, part, command) if verdict.about not in unasked]
    lines = [(LABELS[verdict.about], verdict) for verdict in found]
    waits = command is not None and command.finished_at is None
    return _shown(request, lines=lines, agent=agent, command=command, waits=waits)


def _shown(request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    """A part of the form for htmx, which shows good answers only; a page of its own without."""
    if request.headers.get("HX-Request"):
        return render(request, "configured/objects/trial.html", context)
    return render(request, "configured/objects/trial_page.html", context, status=status)
