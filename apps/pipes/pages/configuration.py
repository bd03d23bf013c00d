"""The configuration in the browser: edit or import it as YAML, see the plan before it is applied, look back, restore."""

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.pipes import drafts
from apps.pipes.config import bundle, history, service
from apps.pipes.config.effect import effect_of
from apps.pipes.config.export import export_text
from apps.pipes.config.reading import Reading, Text, read
from apps.pipes.config.render import render as current
from apps.pipes.keys import ref_of
from apps.pipes.models import Revision
from apps.pipes.pages.people import author_of
from apps.pipes.pages.terms import TermsForm, posted_terms
from apps.pipes.permissions import Verb
from apps.runtime.console import allowed, page
from apps.runtime.problems import NotFound, Problem

PAGE_SIZE = 50
FILE_NAME = "fustor.yaml"


@require_http_methods(["GET", "POST"])
@page(Verb.CONFIGURE)
def edit(request: HttpRequest) -> HttpResponse:
    """`/configuration/`: the whole configuration as text. Checking shows the plan; applying makes one revision of it."""
    if request.method != "POST":
        return render(request, "configured/edit.html", _form(request, export_text(), service.latest_number()))
    context = _form(request, request.POST.get("text", "").replace("\r\n", "\n"), _base(request))
    try:
        context["text"] = _posted_text(request, context["text"])
        texts = bundle.split(context["text"], FILE_NAME)
        reading = read(texts, variables={}, known_ref=ref_of, agent_id=context["agent_id"])
        step = request.POST.get("step")
        if step == "apply":
            return _applied(request, reading, context)
        if step == "draft":
            return _drafted(request, reading, context)
        context["plan"] = service.preview(_wanted(reading, context))
        context["effect"] = effect_of(current(), context["plan"])
        context["notices"] = [*reading.notices, *context["plan"].notices]
    except Problem as problem:
        context["problem"] = problem
        context["faults"] = problem.extra.get("faults", [])
        return render(request, "configured/edit.html", context, status=problem.status)
    return render(request, "configured/edit.html", context)


def _form(request: HttpRequest, text: str, base: int) -> dict[str, Any]:
    is_first = request.method != "POST"
    return {
        "text": text,
        "base": base,
        "replaces": is_first or "replace" in request.POST,
        "agent_id": request.POST.get("agent_id", "").strip(),
        "message": request.POST.get("message", ""),
        "terms": TermsForm() if is_first else posted_terms(request),
    }


def _posted_text(request: HttpRequest, typed: str) -> str:
    """The files that were uploaded (also a zip archive of them) as one text, else what stands in the text box."""
    texts = [text for upload in request.FILES.getlist("file") for text in _texts_of(upload)]
    return bundle.joined(texts) if texts else typed


def _texts_of(upload: "UploadedFile[Any]") -> list[Text]:
    name = upload.name or FILE_NAME
    if name.lower().endswith(".zip"):
        return bundle.unzipped(upload, name)
    return [Text(name, upload.read().decode(errors="replace").replace("\r\n", "\n"))]


def _base(request: HttpRequest) -> int:
    text = request.POST.get("base", "")
    return int(text) if text.isascii() and text.isdigit() else -1


def _wanted(reading: Reading, context: dict[str, Any]) -> service.Wanted:
    return service.Wanted(reading.document, reading.secrets, replace=context["replaces"])


def _applied(request: HttpRequest, reading: Reading, context: dict[str, Any]) -> HttpResponse:
    author = author_of(request, context["message"])
    _plan, revision = service.change(_wanted(reading, context), author, expected=context["base"], terms=context["terms"].terms())
    if revision is None:
        messages.info(request, _("Nothing to change: the configuration says that already."))
        return redirect("configuration")
    messages.success(request, _("Applied as revision %(number)s.") % {"number": revision.number})
    return redirect("rollout" if hasattr(revision, "rollout") else "revision", number=revision.number)


def _drafted(request: HttpRequest, reading: Reading, context: dict[str, Any]) -> HttpResponse:
    """Keep what the text wants as the person's draft, in the place of an older one."""
    drafts.save_wanted(request.user.get_username(), _wanted(reading, context), context["base"])
    messages.success(request, _("It is in your draft now; nothing is applied yet."))
    return redirect("draft")


@require_GET
@page(Verb.CONFIGURE)
def export(request: HttpRequest) -> HttpResponse:
    """`/configuration/export/`: the configuration as a YAML file, without secrets."""
    return HttpResponse(
        export_text(),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )


@page(Verb.SURVEY)
def revisions(request: HttpRequest) -> HttpResponse:
    """`/changes/`: every change of the configuration, newest first."""
    chunk = Paginator(Revision.objects.defer("document").select_related("rollout").order_by("-number"), PAGE_SIZE).get_page(
        request.GET.get("page")
    )
    return render(request, "configured/changes.html", {"chunk": chunk})


@page(Verb.SURVEY)
def revision(request: HttpRequest, number: int) -> HttpResponse:
    """`/changes/<number>/`: what one revision changed."""
    try:
        found, plan = history.revision(number), history.difference(_number_before(number), number)
    except NotFound as problem:
        raise Http404(problem.detail) from problem
    newest = service.latest_number()
    context: dict[str, Any] = {"revision": found, "plan": plan, "newest": newest}
    if number != newest and allowed(request.user, Verb.CONFIGURE):
        context["restoring_loses"] = [loss.notice for loss in history.losses_of_restoring(found)]
    return render(request, "configured/revision.html", context)


def _number_before(number: int) -> int:
    """The revision before this one; 0 for the first. Numbers may have gaps: a change that failed used one up."""
    before = Revision.objects.filter(number__lt=number).order_by("-number").values_list("number", flat=True).first()
    return before or 0


@require_POST
@page(Verb.CONFIGURE)
def restore(request: HttpRequest, number: int) -> HttpResponse:
    """Make the configuration what it was after a revision, as a new revision."""
    message = _("Back to revision %(number)s") % {"number": number}
    try:
        _plan, made = history.restore(number, author_of(request, message), expected=_base(request))
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
        return redirect("revision", number=number)
    if made is None:
        messages.info(request, _("Nothing to change: the configuration is the same as in revision %(n)s.") % {"n": number})
        return redirect("revision", number=number)
    messages.success(request, _("Restored as revision %(number)s.") % {"number": made.number})
    return redirect("revision", number=made.number)
