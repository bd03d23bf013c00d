"""Pages of one's own second factors: add an app or a passkey, new recovery codes, remove. The list is on the profile."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.pipes import factors
from apps.pipes.pages.account import obey, owner_of, told
from apps.pipes.pages.people import actor_of
from apps.runtime.console import OWN, page
from apps.runtime.problems import Problem

# the secret of an app that is being set up; it becomes a factor when a code of it is right
NEW_APP = "new_app"


@require_http_methods(["GET", "POST"])
@page(OWN, confirm=True)
def add_app(request: HttpRequest) -> HttpResponse:
    """`/profile/app/`: the QR code, and a code in return."""
    user = owner_of(request)
    secret = request.session.setdefault(NEW_APP, factors.new_secret())
    error = ""
    if request.method == "POST":
        try:
            codes = factors.add_app(actor_of(request), user, secret, request.POST.get("code", "").replace(" ", ""))
        except Problem as problem:
            error = told(problem)
        else:
            del request.session[NEW_APP]
            return _added(request, codes, _("The app is your second factor now."))
    context = {"secret": secret, "picture": factors.picture_of(user, secret), "error": error}
    return _unkept(render(request, "account/app.html", context, status=422 if error else 200))


@require_http_methods(["GET", "POST"])
@page(OWN, confirm=True)
def add_passkey(request: HttpRequest) -> HttpResponse:
    """`/profile/passkey/`: a name, and the browser makes the passkey."""
    user = owner_of(request)
    error = ""
    if request.method == "POST":
        name = request.POST.get("name", "").strip()[:60] or _("Passkey")
        try:
            codes = factors.add_passkey(actor_of(request), user, name, request.POST.get("passkey", ""))
        except Problem as problem:
            error = told(problem)
        else:
            return _added(request, codes, _("The passkey is your second factor now."))
    context = {"options": factors.passkey_options(user), "error": error}
    return _unkept(render(request, "account/passkey.html", context, status=422 if error else 200))


@require_POST
@page(OWN, confirm=True)
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """New recovery codes in place of the old ones, shown once."""
    try:
        codes = factors.new_recovery_codes(actor_of(request), owner_of(request))
    except Problem as problem:
        messages.error(request, told(problem))
        return redirect("profile")
    return _added(request, codes, _("The old recovery codes are good no more."))


@require_POST
@page(OWN, confirm=True)
def remove(request: HttpRequest, factor_id: int) -> HttpResponse:
    """Take a second factor away."""
    user = owner_of(request)
    return obey(request, lambda: factors.remove(actor_of(request), user, factor_id), _("The second factor is removed."))


def _added(request: HttpRequest, codes: list[str], words: str) -> HttpResponse:
    messages.success(request, words)
    if not codes:
        return redirect("profile")
    return _unkept(render(request, "account/recovery.html", {"codes": codes, "text": "\n".join(codes)}))


def _unkept(response: HttpResponse) -> HttpResponse:
    """A page that shows a secret, which no cache may keep."""
    response.headers["Cache-Control"] = "no-store"
    return response
