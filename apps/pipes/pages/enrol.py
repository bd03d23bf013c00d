"""Enrolling agents: make a token, decide on hosts that wait."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from apps.pipes import enrolment
from apps.pipes.models import Enrolment, EnrolmentToken, Pipe
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import Verb
from apps.runtime import clock
from apps.runtime.console import page
from apps.runtime.problems import Problem

VALIDITY = (("3600", gettext_lazy("an hour")), ("86400", gettext_lazy("a day")), ("604800", gettext_lazy("a week")))


class TokenForm(forms.Form):
    """What a token allows."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("The rack, the ticket …"))
    max_uses = forms.IntegerField(label=gettext_lazy("Hosts that may use it"), min_value=1, max_value=1000, initial=1)
    valid_seconds = forms.ChoiceField(label=gettext_lazy("Valid for"), choices=VALIDITY, initial="86400")
    pipe = forms.ModelChoiceField(
        Pipe.objects.all(), label=gettext_lazy("Pipe its agents push into"), help_text=gettext_lazy("Their keys are bound to it.")
    )
    auto_approve = forms.BooleanField(label=gettext_lazy("Approve new hosts without asking"), required=False)


@require_http_methods(["GET", "POST"])
@page(Verb.ENROL)
def enrol(request: HttpRequest) -> HttpResponse:
    """`/agents/enrol/`: the form (`?pipe=<id>` chooses in advance), then the command to paste on the host."""
    chosen = Pipe.objects.filter(slug=request.GET.get("pipe", "")).first()
    form = TokenForm(request.POST or None, initial={"pipe": chosen} if chosen else {})
    context: dict[str, Any] = {"form": form, "tokens": _tokens()}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        terms = enrolment.Terms(
            name=given["name"],
            max_uses=given["max_uses"],
            valid_seconds=float(given["valid_seconds"]),
            pipe=given["pipe"],
            auto_approve=given["auto_approve"],
        )
        token, secret = enrolment.make_token(actor_of(request), terms)
        command = command_for(request, secret)
        response = render(
            request, "configured/enrol.html", {**context, "command": command, "tokens": _tokens(), **_arrivals(token)}
        )
        response.headers["Cache-Control"] = "no-store"
        return response
    return render(request, "configured/enrol.html", context, status=422 if form.errors else 200)


@page(Verb.ENROL)
def hosts(request: HttpRequest, token_id: int) -> HttpResponse:
    """The part of the page that waits for hosts with this token; it asks again every two seconds until all are connected."""
    return render(request, "configured/enrol_hosts.html", _arrivals(get_object_or_404(EnrolmentToken, pk=token_id)))


def _arrivals(token: EnrolmentToken) -> dict[str, Any]:
    """The latest hosts that showed a token, each with whether it is connected; and whether nobody else can come."""
    wishes = Enrolment.objects.filter(token=token).select_related("agent").order_by("-created_at")[:20]
    found = [(wish, _is_connected(wish)) for wish in wishes]
    settled = all(connected or wish.state == Enrolment.State.REJECTED for wish, connected in found)
    spent = token.uses >= token.max_uses or token.revoked_at is not None or token.expires_at <= clock.now_datetime()
    return {"token": token, "hosts": found, "complete": spent and settled}


def _is_connected(wish: Enrolment) -> bool:
    seen = wish.agent.last_seen_at if wish.agent else None
    return wish.state == Enrolment.State.DONE and seen is not None and (wish.decided_at is None or seen >= wish.decided_at)


def command_for(request: HttpRequest, secret: str) -> str:
    """What to paste on a host that enrols with this token."""
    server = request.build_absolute_uri("/").rstrip("/")
    return f"fustor-agent run --server {server} --token {secret} --watch /path/to/storage"


def _tokens() -> list[EnrolmentToken]:
    usable = EnrolmentToken.objects.filter(revoked_at=None, expires_at__gt=clock.now_datetime())
    return list(usable.select_related("pipe").order_by("-created_at")[:50])


@page(Verb.ENROL)
def pending(request: HttpRequest) -> HttpResponse:
    """`/agents/pending/`: hosts that wait for a decision, and the latest decisions."""
    waiting = Enrolment.objects.filter(state=Enrolment.State.PENDING).select_related("token").order_by("created_at")
    decided = Enrolment.objects.exclude(state=Enrolment.State.PENDING).order_by("-decided_at")[:20]
    return render(request, "configured/pending.html", {"waiting": waiting, "decided": decided})


@require_POST
@page(Verb.ENROL)
def decide(request: HttpRequest, enrolment_id: uuid.UUID) -> HttpResponse:
    """Approve or reject a host."""
    wish = get_object_or_404(Enrolment.objects.select_related("token"), pk=enrolment_id)
    try:
        if request.POST.get("decision") == "approve":
            agent = enrolment.approve(actor_of(request), wish)
            messages.success(request, _("Agent %(name)s is approved; it fetches its key by itself.") % {"name": agent.slug})
        else:
            enrolment.reject(actor_of(request), wish, _("turned down in the console"))
            messages.success(request, _("The request of %(name)s is rejected.") % {"name": wish.agent_slug})
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect("pending")


@require_POST
@page(Verb.ENROL)
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """No host can enrol with the token any more."""
    token = get_object_or_404(EnrolmentToken, pk=token_id)
    try:
        enrolment.revoke_token(actor_of(request), token)
        messages.success(request, _("The token is revoked."))
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect("enrol")
