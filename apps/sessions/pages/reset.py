"""Emptying a view (`/views/<slug>/reset/`): what is lost first, then the name of the view typed, then the deed."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.pipes import audit
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import Verb
from apps.runtime import hints
from apps.runtime.console import page
from apps.sessions.boards.fleet import view_lines
from apps.sessions.sight import sight_of
from apps.views import services
from apps.views.pages.place import place_of


@require_http_methods(["GET", "POST"])
@page(Verb.RESET, confirm=True)
def reset(request: HttpRequest, slug: str) -> HttpResponse:
    """Forget everything that the view knows. Sessions stay; the leader is asked for a snapshot by the view itself."""
    view = place_of(request, slug).view
    typed = request.POST.get("name", "").strip()
    if request.method == "POST" and typed == view.slug:
        with transaction.atomic():
            services.reset_view(view, request.user.get_username())
            audit.record(actor_of(request), "view.reset", f"views.{view.slug}")
            hints.changed("fleet", f"view.{view.pk}")
        messages.success(request, _("%(name)s is empty; it answers again after the next complete snapshot.") % {"name": view.slug})
        return redirect("view", slug=view.slug)
    (line,) = view_lines(sight_of(request.user), [view])
    context = {"view": view, "line": line, "typed": typed, "is_wrong": request.method == "POST"}
    return render(request, "views/reset.html", context, status=422 if context["is_wrong"] else 200)
