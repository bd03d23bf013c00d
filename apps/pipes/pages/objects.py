"""One configured object in the browser: look at it, make it, edit it, switch it, delete it. The forms come from schemas.

Everything is saved by apps.pipes.edits, so the checks and the reasons are those of the API.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.pipes import drafts, edits
from apps.pipes.config import render as configuration
from apps.pipes.config import service
from apps.pipes.config.document import Document
from apps.pipes.config.effect import effect_of
from apps.pipes.config.losses import Loss, losses_of
from apps.pipes.config.places import AGENT_PIPES, Place, fields_at, known, users_of
from apps.pipes.edits import Edit, Overtaken
from apps.pipes.forms.form import ObjectForm
from apps.pipes.forms.kinds import KINDS, NEXT, TRIABLE, missing
from apps.pipes.models import Draft
from apps.pipes.pages.object_lines import history_of, lines_of, sides_of, uses_of
from apps.pipes.pages.people import author_of
from apps.pipes.permissions import Verb
from apps.runtime.console import allowed, page
from apps.runtime.problems import NotFound, Problem

FORM = "configured/objects/form.html"
TRIAL_AGENTS = 200
DELETE = "configured/objects/delete.html"


@page(Verb.SURVEY)
def show(request: HttpRequest, kind: str, ident: str) -> HttpResponse:
    """`/configuration/<kind>/<id>/`: what is configured, what refers to it, who changed it."""
    place, document, fields = _existing(kind, ident)
    context = {
        **_frame(place),
        "lines": lines_of(place, fields),
        "disabled": fields["disabled"],
        "uses": uses_of(document, place),
        "history": history_of(place),
        "next_step": NEXT.get(kind),
    }
    return render(request, "configured/objects/detail.html", context)


@require_http_methods(["GET", "POST"])
@page(Verb.CONFIGURE)
def create(request: HttpRequest, kind: str) -> HttpResponse:
    """`/configuration/new/<kind>/`: `?like=<id>` starts from another object, `?<field>=<id>` chooses in advance."""
    place = _place(kind, "")
    document = configuration.render()
    fields = _start(request, place, document)
    draft = _draft(request)
    if request.method == "POST":
        return _posted(request, ObjectForm(place, document, fields=fields, data=request.POST, new=True, draft=draft), seen=None)
    form = ObjectForm(place, document, fields=fields, new=True, draft=draft)
    form.initial.update({name: value for name, value in request.GET.items() if name in ("agent", "id")})
    return _form(request, form, seen=None, missing=missing(KINDS[kind], document, *([draft] if draft else [])))


@require_http_methods(["GET", "POST"])
@page(Verb.CONFIGURE)
def edit(request: HttpRequest, kind: str, ident: str) -> HttpResponse:
    """`/configuration/<kind>/<id>/edit/`. The form carries what it was made from; a change by somebody else is shown, not lost."""
    if request.method == "POST":
        seen, place, document = _seen(request), _place(kind, ident), configuration.render()
        if seen is None:
            messages.error(request, _("The form was incomplete and nothing was saved. Make your change here."))
            return redirect("edit_object", kind, ident)
        return _posted(request, ObjectForm(place, document, fields=seen, data=request.POST, draft=_draft(request)), seen=seen)
    base = service.latest_number()
    place, document, fields = _existing(kind, ident)
    draft = _draft(request)
    drafted = draft is not None and fields_at(draft, place) != fields
    return _form(request, ObjectForm(place, document, fields=fields, draft=draft), seen=fields, base=base, drafted=drafted)


@require_http_methods(["GET", "POST"])
@page(Verb.CONFIGURE, confirm=True)
def delete(request: HttpRequest, kind: str, ident: str) -> HttpResponse:
    """`/configuration/<kind>/<id>/delete/`: what it means first, then the deed."""
    place, document, _fields = _existing(kind, ident)
    if kind == "views" and not allowed(request.user, Verb.RESET):
        raise PermissionDenied
    context: dict[str, Any] = {**_frame(place), "uses": uses_of(document, place), "base": service.latest_number()}
    try:
        if request.method == "POST" and request.POST.get("step") == "draft":
            edits.add_delete_to_draft(place, request.user.get_username())
            return redirect("draft")
        if request.method == "POST":
            message = request.POST.get("message", "").strip() or f"Delete {place.where}"
            _plan, revision = edits.delete(place, author_of(request, message), expected=_base(request))
            number = revision.number if revision else 0
            messages.success(request, _("%(name)s is deleted, in revision %(number)s.") % {"name": ident, "number": number})
            return redirect(KINDS[kind].menu)
        context |= _consequences(document, place)
    except Problem as problem:
        if problem.code == "stale_revision":  # what it means may be something else now: show it again
            context |= _consequences(document, place)
        return render(request, DELETE, {**context, "problem": problem}, status=problem.status if request.method == "POST" else 200)
    return render(request, DELETE, context)


def _consequences(document: Document, place: Place) -> dict[str, Any]:
    plan = edits.plan_delete(place)
    return {"effect": effect_of(document, plan), "losses": losses_of(document, plan.result)}


@require_POST
@page(Verb.CONFIGURE)
def switch(request: HttpRequest, kind: str, ident: str) -> HttpResponse:
    """Switch an object on or off."""
    place, on = _place(kind, ident), request.POST.get("on") == "yes"
    message = f"Switch {place.where} {'on' if on else 'off'}"
    try:
        edits.switch(place, author_of(request, message), on=on)
        words = _("%(name)s is switched on.") if on else _("%(name)s is switched off.")
        messages.success(request, words % {"name": ident})
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect(_url(place))


def _posted(request: HttpRequest, form: ObjectForm, *, seen: dict[str, Any] | None) -> HttpResponse:
    """What a form that was sent leads to: its next page, or the form again with the reasons."""
    base = _base(request)
    if form.driver_changed or request.POST.get("step") == "fields":
        return _form(request, form, seen=seen, base=base, driver_is_new=form.driver_changed)
    if not form.is_valid():
        return _form(request, form, seen=seen, base=base, status=422)
    wanted = Edit(form.place, base, seen, form.written())
    try:
        return _drafted(request, wanted) if request.POST.get("step") == "draft" else _saved(request, form, wanted)
    except Overtaken as problem:
        return _overtaken(request, form, problem)
    except Problem as problem:
        form.blame(problem)
        return _form(request, form, seen=seen, base=base, status=problem.status)


def _drafted(request: HttpRequest, wanted: Edit) -> HttpResponse:
    edits.add_to_draft(wanted, request.user.get_username())
    messages.success(request, _("%(where)s is in your draft. Nothing changes before you apply it.") % {"where": wanted.place.where})
    return redirect(_next(request, wanted.place) or "draft")


def _saved(request: HttpRequest, form: ObjectForm, wanted: Edit) -> HttpResponse:
    """The next page, or the form again to say what would be lost: nobody loses what they have not been told of."""
    losses = edits.losses(wanted)
    if request.POST.get("losing", "") != _names(losses):
        return _form(request, form, seen=wanted.seen, base=wanted.base, losses=losses, losing=_names(losses))
    message = request.POST.get("message", "").strip() or edits.default_message(wanted)
    _plan, revision = edits.save(wanted, author_of(request, message))
    if revision is None:
        messages.info(request, _("Nothing to change: it says that already."))
    else:
        messages.success(request, _("Saved as revision %(number)s.") % {"number": revision.number})
    return redirect(_next(request, wanted.place) or _url(wanted.place))


def _names(losses: Sequence[Loss]) -> str:
    """What is lost, without how much of it: that grows while somebody reads."""
    return " ".join(f"{loss.view}:{loss.pipe}" for loss in losses)


def _overtaken(request: HttpRequest, form: ObjectForm, problem: Overtaken) -> HttpResponse:
    """The form with both edits in it, made from what is there now; what the other changed stands above it."""
    if problem.theirs is None:
        again = ObjectForm(form.place, form.document, fields=problem.merged, new=True, draft=form.draft)
        action = reverse("new_object", args=[form.place.kind])
        return _form(request, again, seen=None, base=problem.newest, overtaken=problem, sides=[], action=action, status=409)
    again = ObjectForm(form.place, form.document, fields=problem.merged, draft=form.draft)
    return _form(request, again, seen=problem.theirs, base=problem.newest, overtaken=problem, sides=sides_of(problem), status=409)


def _form(
    request: HttpRequest, form: ObjectForm, *, seen: dict[str, Any] | None, base: int = 0, status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        **_frame(form.place),
        "form": form,
        "seen": "" if seen is None else json.dumps(seen),
        "base": base,
        "is_new": seen is None,
        "next": request.POST.get("next", request.GET.get("next", "")),
        "fill": request.POST.get("fill", request.GET.get("fill", "")),
        "message": request.POST.get("message", ""),
        "action": request.path,
        "trial_agents": _trial_agents(form) if form.place.kind in TRIABLE else None,
        **more,
    }
    return render(request, FORM, context, status=status)


def _trial_agents(form: ObjectForm) -> list[str]:
    """Agents to test it on, those that use it already first; none to choose for an agent pipe, which names its own."""
    if form.place.kind == AGENT_PIPES:
        return []
    using = [user.owner[1] for user in users_of(form.document, form.place)]
    return list(dict.fromkeys([*using, *form.document.agents]))[:TRIAL_AGENTS]


def _frame(place: Place) -> dict[str, Any]:
    return {"place": place, "kind": KINDS[place.kind], "ident": place.ident}


def _place(kind: str, ident: str) -> Place:
    try:
        return Place(kind, ident)
    except NotFound as problem:
        raise Http404(problem.detail) from problem


def _existing(kind: str, ident: str) -> tuple[Place, Document, dict[str, Any]]:
    place, document = _place(kind, ident), configuration.render()
    fields = fields_at(document, place)
    if fields is None:
        raise Http404(f"There is no {place.where}.")
    return place, document, fields


def _start(request: HttpRequest, place: Place, document: Document) -> dict[str, Any]:
    """What a new object starts from: a copy of another one, and what the address chooses."""
    like = request.GET.get("like", "")
    fields = dict((fields_at(document, Place(place.kind, like)) if like else None) or {})
    for field, kind in (*KINDS[place.kind].needs, ("pipe", "pipes")):
        chosen = request.GET.get(field, "")
        if field in place.struct.__struct_fields__ and chosen in known(document, kind):
            fields[field] = [chosen] if field == "views" else chosen
    return fields


def _seen(request: HttpRequest) -> dict[str, Any] | None:
    """What the form was made from; None when it does not come from this page."""
    try:
        seen = json.loads(request.POST.get("seen", ""))
    except ValueError:
        return None
    return seen if isinstance(seen, dict) else None


def _base(request: HttpRequest) -> int:
    text = request.POST.get("base", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _draft(request: HttpRequest) -> Document | None:
    """What the person's draft says, if there is one."""
    found = Draft.objects.filter(author=request.user.get_username()).first()
    return drafts.document_in(found) if found else None


def _url(place: Place) -> str:
    return reverse("object", args=[place.kind, place.ident])


def _next(request: HttpRequest, place: Place) -> str:
    """The form that needed the object first, with it chosen there; empty when none did."""
    wanted, field = request.POST.get("next", ""), request.POST.get("fill", "")
    if not wanted or not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return ""
    chosen = urlencode({field: place.ident}) if field else ""
    return f"{wanted}{'&' if '?' in wanted else '?'}{chosen}" if chosen else wanted
