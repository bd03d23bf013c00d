"""Orders on keys: make one (shown once), rotate with an overlap, revoke. The list is in apps.pipes.pages.lists."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from apps.pipes import services
from apps.pipes.keys import ScopeFields
from apps.pipes.models import KeyKind, Pipe, Receiver
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import Verb
from apps.runtime.console import page
from apps.runtime.problems import Problem
from apps.views.models import View

OVERLAP_SECONDS = 86_400.0
KINDS = (
    (KeyKind.QUERY, gettext_lazy("Query key: read views")),
    (KeyKind.RECEIVER, gettext_lazy("Receiver key: push into pipes")),
)


class KeyForm(forms.Form):
    """What a new key is for. Management and agent keys are made by commands and by enrolment."""

    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=KINDS)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("Who or what will use it."))
    views = forms.ModelMultipleChoiceField(
        View.objects.all(), label=gettext_lazy("Views it may read"), required=False, widget=forms.CheckboxSelectMultiple
    )
    all_views = forms.BooleanField(label=gettext_lazy("Every view, also those to come"), required=False)
    receiver = forms.ModelChoiceField(Receiver.objects.all(), label=gettext_lazy("Receiver"), required=False)
    pipes = forms.ModelMultipleChoiceField(
        Pipe.objects.all(), label=gettext_lazy("Pipes it may push into"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def scope(self) -> ScopeFields:
        """The scope as services.issue_key takes it."""
        given: dict[str, Any] = self.cleaned_data
        if given["kind"] == KeyKind.QUERY:
            return {"views": list(given["views"]), "all_views": given["all_views"]}
        return {"receiver": given["receiver"], "pipes": list(given["pipes"])}


@require_http_methods(["GET", "POST"])
@page(Verb.KEYS, confirm=True)
def create(request: HttpRequest) -> HttpResponse:
    """`/keys/new/`: the form, and the only page that ever shows the secret."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            key, secret = services.issue_key(actor_of(request), given["kind"], given["name"], **form.scope())
        except Problem as problem:
            form.add_error(problem.field if problem.field in form.fields else None, f"{problem.detail} {problem.fix or ''}".strip())
        else:
            return shown_once(request, str(key), secret, "key")
    return render(request, "configured/key_form.html", {"form": form}, status=422 if form.errors else 200)


def shown_once(request: HttpRequest, name: str, secret: str, kind: str) -> HttpResponse:
    """The page with a secret; it is kept nowhere, so no cache may keep it either."""
    response = render(request, "configured/secret.html", {"name": name, "secret": secret, "kind": kind})
    response.headers["Cache-Control"] = "no-store"
    return response


@require_POST
@page(Verb.KEYS, confirm=True)
def rotate(request: HttpRequest, ref: str) -> HttpResponse:
    """A new key in the place of an old one, which goes on for a day."""
    try:
        key, secret = services.rotate_key(actor_of(request), services.find_key(ref), OVERLAP_SECONDS)
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
        return redirect("keys")
    return shown_once(request, str(key), secret, "key")


@require_POST
@page(Verb.KEYS, confirm=True)
def revoke(request: HttpRequest, ref: str) -> HttpResponse:
    """Revoke a key for good; its sessions end."""
    try:
        key = services.find_key(ref)
        services.revoke_key(actor_of(request), key)
        messages.success(request, _("Key %(key)s is revoked.") % {"key": key})
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect("keys")
