"""The orders on a rollout. Its live page is in apps.sessions.pages.rollout."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from apps.pipes.audit import Actor
from apps.pipes.models import Rollout
from apps.pipes.pages.people import actor_of, author_of
from apps.pipes.permissions import Verb
from apps.pipes.rollouts import service as rollouts
from apps.runtime.console import page
from apps.runtime.problems import Problem

ORDERS: dict[str, tuple[Callable[[int, Actor], Rollout], Promise]] = {
    "continue": (rollouts.go_on, gettext_lazy("The rollout goes on.")),
    "now": (rollouts.send_to_all, gettext_lazy("Every agent gets the revision now.")),
    "cancel": (rollouts.cancel, gettext_lazy("The rollout is stopped; the rest keeps what it runs.")),
}


@require_POST
@page(Verb.CONFIGURE)
def order(request: HttpRequest, number: int, name: str) -> HttpResponse:
    """Go on, send to all now, or stop."""
    if name not in ORDERS:
        raise Http404(f"There is no order {name}.")
    give, done = ORDERS[name]
    try:
        give(number, actor_of(request))
        messages.success(request, str(done))
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect("rollout", number=number)


@require_POST
@page(Verb.CONFIGURE)
def roll_back(request: HttpRequest, number: int) -> HttpResponse:
    """Take back what the revision changed, as a new revision."""
    try:
        _plan, revision = rollouts.roll_back(number, author_of(request, ""))
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
        return redirect("rollout", number=number)
    if revision is None:
        messages.info(request, _("Nothing is left of it to take back."))
        return redirect("rollout", number=number)
    messages.success(request, _("Rolled back as revision %(number)s.") % {"number": revision.number})
    return redirect("revision", number=revision.number)
