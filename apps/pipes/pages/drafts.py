"""Drafts in the browser: what mine holds, what applying it would do, the orders on it. Those of others can be applied, too."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.pipes import drafts
from apps.pipes.config import history, service
from apps.pipes.config.three_way import Side
from apps.pipes.models import Draft
from apps.pipes.pages.people import actor_of, author_of
from apps.pipes.pages.terms import TermsForm, posted_terms
from apps.pipes.permissions import Verb
from apps.runtime.console import page
from apps.runtime.problems import NotFound, Problem


@require_GET
@page(Verb.CONFIGURE)
def mine(request: HttpRequest) -> HttpResponse:
    """`/changes/draft/`: my draft, and whose drafts there are besides."""
    owner = request.user.get_username()
    draft = Draft.objects.filter(author=owner).first()
    return _shown(request, owner, draft)


@require_GET
@page(Verb.CONFIGURE)
def another(request: HttpRequest, owner: str) -> HttpResponse:
    """`/changes/drafts/<owner>/`: somebody's draft, to look at and to apply."""
    return _shown(request, owner, _draft_of(owner))


@require_GET
@page(Verb.CONFIGURE)
def export(request: HttpRequest, owner: str) -> HttpResponse:
    """The configuration that a draft wants, as YAML."""
    response = HttpResponse(drafts.text_of(_draft_of(owner)), content_type="application/yaml; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="fustor-draft.yaml"'
    return response


@require_POST
@page(Verb.CONFIGURE)
def apply(request: HttpRequest, owner: str) -> HttpResponse:
    """Apply a draft as one revision, in waves when there are some."""
    draft, form = _draft_of(owner), posted_terms(request)
    message = request.POST.get("message", "").strip() or _("Draft of %(name)s") % {"name": owner}
    try:
        _plan, revision = drafts.apply(draft, author_of(request, message), form.terms())
    except Problem as problem:
        return _shown(request, owner, draft, form=form, message=message, refused=problem)
    if revision is None:
        messages.info(request, _("Nothing to change: the configuration says that already."))
        return redirect("changes")
    messages.success(request, _("Applied as revision %(number)s.") % {"number": revision.number})
    return redirect("rollout" if hasattr(revision, "rollout") else "revision", number=revision.number)


@require_POST
@page(Verb.CONFIGURE)
def discard(request: HttpRequest, owner: str) -> HttpResponse:
    """Throw a draft away."""
    drafts.discard(_draft_of(owner), actor_of(request))
    messages.success(request, _("The draft of %(name)s is thrown away.") % {"name": owner})
    return redirect("draft")


@require_POST
@page(Verb.CONFIGURE)
def rebase(request: HttpRequest, owner: str) -> HttpResponse:
    """Bring a draft up to date; `prefer` says whose value counts where both changed a field."""
    _draft_of(owner)
    prefer = request.POST.get("prefer", "")
    return _ordered(
        request,
        owner,
        lambda: drafts.rebase(owner, Side(prefer) if prefer in set(Side) else None),
        _("The draft is up to date; look at it once more before you apply it."),
    )


@require_POST
@page(Verb.CONFIGURE)
def take_back(request: HttpRequest) -> HttpResponse:
    """Take one edit out of my draft."""
    owner = request.user.get_username()
    kind, _dot, ident = request.POST.get("object", "").partition(".")
    return _ordered(
        request, owner, lambda: drafts.take_back(owner, kind, ident), _("%(name)s is left as it was.") % {"name": f"{kind}.{ident}"}
    )


@require_POST
@page(Verb.CONFIGURE)
def from_revision(request: HttpRequest, number: int) -> HttpResponse:
    """Make my draft the whole configuration as it was after a revision, to look at before it is restored."""
    try:
        drafts.save(request.user.get_username(), history.document_at(history.revision(number).number), service.latest_number())
    except NotFound as problem:
        raise Http404(problem.detail) from problem
    messages.success(request, _("Your draft wants what revision %(number)s said.") % {"number": number})
    return redirect("draft")


def _draft_of(owner: str) -> Draft:
    try:
        return drafts.of(owner)
    except NotFound as problem:
        raise Http404(problem.detail) from problem


def _ordered(request: HttpRequest, owner: str, order: Callable[[], Draft], done: str) -> HttpResponse:
    try:
        order()
        messages.success(request, done)
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect(_address(request, owner))


def _address(request: HttpRequest, owner: str) -> str:
    return reverse("draft") if owner == request.user.get_username() else reverse("draft_of", args=[owner])


def _shown(
    request: HttpRequest,
    owner: str,
    draft: Draft | None,
    *,
    form: TermsForm | None = None,
    message: str = "",
    refused: Problem | None = None,
) -> HttpResponse:
    reader = request.user.get_username()
    others = Draft.objects.defer("document").exclude(author=owner).order_by("-updated_at")[:50]
    review = drafts.review(draft) if draft else None
    problem = refused or (review.problem if review else None)
    context = {
        "owner": owner,
        "is_mine": owner == reader,
        "draft": draft,
        "review": review,
        "newest": service.latest_number(),
        "problem": problem,
        "faults": problem.extra.get("faults", []) if problem else [],
        "others": list(others),
        "terms": form or TermsForm(),
        "message": message,
    }
    return render(request, "configured/draft.html", context, status=refused.status if refused else 200)
