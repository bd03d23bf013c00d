"""`/setup/`: from an empty installation to a live view in four steps, each an order of its own: it can be left at any time."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from apps.pipes import enrolment, services
from apps.pipes.models import Pipe, Receiver
from apps.pipes.pages.account import told
from apps.pipes.pages.enrol import command_for
from apps.pipes.pages.people import actor_of, author_of
from apps.pipes.permissions import Verb
from apps.runtime.console import page
from apps.runtime.problems import Problem
from apps.sessions.setup import SKIPPED, Progress, progress
from apps.views.models import View

ENROLMENT = "setup_enrolment"
SLUG = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
VALID_SECONDS = 86_400.0


class NameForm(forms.Form):
    """One thing with its id."""

    ident = forms.RegexField(SLUG, label=gettext_lazy("Id"), max_length=100, help_text=gettext_lazy("Letters, digits, _ and -"))


class PipeForm(NameForm):
    """What a pipe connects."""

    receiver = forms.ModelChoiceField(Receiver.objects.order_by("slug"), label=gettext_lazy("Receiver"), empty_label=None)
    view = forms.ModelChoiceField(View.objects.order_by("slug"), label=gettext_lazy("View"), empty_label=None)


class HostForm(forms.Form):
    """What the token of the first host allows."""

    auto_approve = forms.BooleanField(
        label=gettext_lazy("Approve it without asking"),
        required=False,
        initial=True,
        help_text=gettext_lazy(
            "The token is good for one host and one day. Without this you compare its fingerprint and approve it here."
        ),
    )


FORMS: dict[str, type[forms.Form]] = {"receiver": NameForm, "view": NameForm, "pipe": PipeForm, "agent": HostForm}
NAMES = {"receiver": "http", "view": "files", "pipe": "files"}


@require_http_methods(["GET", "POST"])
@page(Verb.CONFIGURE)
def setup(request: HttpRequest) -> HttpResponse:
    """The steps, the present one open."""
    now = progress(request.session.get(ENROLMENT))
    step = now.step
    if request.method == "POST" and request.POST.get("step") != step:
        return redirect("setup")  # somebody else did it meanwhile
    if step == "done":
        return _shown(request, now, None)
    form = FORMS[step](request.POST or None, initial={"ident": NAMES.get(step, "")})
    if request.method != "POST" or not form.is_valid():
        return _shown(request, now, form)
    if step == "agent":
        return _make_token(request, now, form)
    try:
        _make(request, step, form.cleaned_data)
    except Problem as problem:
        form.add_error(None, told(problem))
        return _shown(request, now, form)
    return redirect("setup")


@page(Verb.CONFIGURE)
def host(request: HttpRequest) -> HttpResponse:
    """The part of the page that waits for the host; it asks again every two seconds until the view is live."""
    now = progress(request.session.get(ENROLMENT))
    response = render(request, "setup/host.html", {"now": now})
    if now.step == "done":
        # the page as a whole: its last step is ticked, and the command with the spent token goes
        response.headers["HX-Redirect"] = reverse("setup")
    return response


@require_POST
@page(Verb.ENROL)
def decide(request: HttpRequest) -> HttpResponse:
    """Approve the host that waits, or turn it down."""
    now = progress(request.session.get(ENROLMENT))
    wish = now.host.enrolment if now.host else None
    try:
        if wish is not None and request.POST.get("decision") == "approve":
            enrolment.approve(actor_of(request), wish)
        elif wish is not None:
            enrolment.reject(actor_of(request), wish, _("turned down during set-up"))
    except Problem as problem:
        messages.error(request, told(problem))
    return redirect("setup")


@require_POST
@page(Verb.CONFIGURE)
def skip(request: HttpRequest) -> HttpResponse:
    """Not now: the overview no longer leads here until the next login."""
    request.session[SKIPPED] = True
    return redirect("overview")


def _make(request: HttpRequest, step: str, given: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"driver": "http"} if step == "receiver" else {"driver": "fs"}
    if step == "pipe":
        fields = {"receiver": given["receiver"].slug, "views": [given["view"].slug]}
    services.put_object(f"{step}s", given["ident"], fields, author_of(request, _("Set-up")))


def _make_token(request: HttpRequest, now: Progress, form: forms.Form) -> HttpResponse:
    terms = enrolment.Terms(
        name=_("Set-up"), valid_seconds=VALID_SECONDS, pipe=now.pipe, auto_approve=form.cleaned_data["auto_approve"]
    )
    token, secret = enrolment.make_token(actor_of(request), terms)
    request.session[ENROLMENT] = token.pk
    response = _shown(request, progress(token.pk), HostForm(), command=command_for(request, secret))
    response.headers["Cache-Control"] = "no-store"
    return response


def _shown(request: HttpRequest, now: Progress, form: forms.Form | None, command: str = "") -> HttpResponse:
    pipes = Pipe.objects.filter(pk=now.pipe.pk).prefetch_related("views") if now.pipe else ()
    context = {"now": now, "form": form, "command": command, "pipe": next(iter(pipes), None)}
    return render(request, "setup/index.html", context, status=422 if form is not None and form.errors else 200)
