"""`/configuration/settings/`: the settings of the whole server in the browser. The form is made from their schema."""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from msgspec import structs

from apps.pipes import drafts, services
from apps.pipes.config import service
from apps.pipes.config.document import to_plain
from apps.pipes.forms.fields import field_of
from apps.pipes.forms.schema import FieldSpec, Shape, specs_of
from apps.pipes.pages.people import author_of
from apps.pipes.permissions import Verb
from apps.runtime import server_settings
from apps.runtime.console import allowed, page
from apps.runtime.problems import Problem
from apps.runtime.server_settings import OTHERWISE, ServerSettings

YES, NO = "yes", "no"


class SettingsForm(forms.Form):
    """Inputs for every setting; an empty one is as the environment says, which stands in it."""

    use_required_attribute = False

    def __init__(self, said: dict[str, Any], data: QueryDict | None = None) -> None:
        super().__init__(data)
        for spec in _specs():
            choices = {"": _otherwise(spec), YES: _("on"), NO: _("off")} if spec.shape == Shape.CHOICE else {}
            self.fields[spec.name] = field_of(spec, choices)
            found = said.get(spec.name)
            self.initial[spec.name] = (YES if found else NO) if isinstance(found, bool) else found

    def written(self) -> dict[str, Any]:
        """The settings as they were written; what is empty is left out."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return {name: value == YES if value in (YES, NO) else value for name, value in given.items()}

    def blame(self, problem: Problem) -> None:
        """Show the faults that the configuration service found at their fields."""
        faults = problem.extra.get("faults") or [{"where": problem.field or "", "what": problem.detail, "fix": problem.fix or ""}]
        for fault in faults:
            name = fault["where"].removeprefix("settings.")
            self.add_error(name if name in self.fields else None, f"{fault['what']} {fault['fix']}".strip())


@require_GET
@page(Verb.SURVEY)
def settings(request: HttpRequest) -> HttpResponse:
    """The settings, for an admin as a form."""
    return _shown(request, SettingsForm(to_plain(server_settings.stored())), service.latest_number())


@require_POST
@page(Verb.CONFIGURE)
def change(request: HttpRequest) -> HttpResponse:
    """What was written becomes one revision, or goes into the draft."""
    base = request.POST.get("base", "")
    expected = int(base) if base.isascii() and base.isdigit() else -1
    form = SettingsForm(to_plain(server_settings.stored()), request.POST)
    if not form.is_valid():
        return _shown(request, form, expected, status=422)
    message = request.POST.get("message", "").strip() or _("Change settings")
    try:
        if request.POST.get("step") == "draft":
            wanted = services.settings_with(form.written())
            drafts.revise(request.user.get_username(), lambda document: structs.replace(document, settings=wanted))
            return redirect("draft")
        _plan, revision = services.put_settings(form.written(), author_of(request, message), expected=expected)
    except Problem as problem:
        form.blame(problem)
        return _shown(request, form, service.latest_number(), status=problem.status)
    if revision is None:
        messages.info(request, _("Nothing to change: the settings are like that already."))
    else:
        messages.success(request, _("In force since revision %(number)s.") % {"number": revision.number})
    return redirect("settings")


def _shown(request: HttpRequest, form: SettingsForm, base: int, status: int = 200) -> HttpResponse:
    may_change = allowed(request.user, Verb.CONFIGURE)
    for field in form.fields.values():
        field.disabled = field.disabled or not may_change
    context = {"form": form, "base": base, "may_change": may_change, "message": request.POST.get("message", "")}
    return render(request, "configured/settings.html", context, status=status)


def _specs() -> list[FieldSpec]:
    """The fields of the form: what counts otherwise stands in the empty ones, and is a third state of switches."""
    found = [replace(spec, default=OTHERWISE[spec.name]()) for spec in specs_of(ServerSettings)]
    return [replace(spec, shape=Shape.CHOICE) if spec.shape == Shape.SWITCH else spec for spec in found]


def _otherwise(spec: FieldSpec) -> str:
    usual = _("on") if spec.default else _("off")
    return _("as the environment says: %(value)s") % {"value": usual}
