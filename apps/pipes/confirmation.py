"""It is still you: before something grave a person proves again who is at the keyboard. Pages: `@page(…, confirm=True)`.

The API asks the same of a login of the console (`Principal.check_confirmed`), never of a key. Logging in counts as proof.
"""

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.pipes import second_step
from apps.runtime import clock
from apps.runtime.problems import Forbidden

PROVEN_AT = "proven_at"
WORD = "confirm_password"
WAS_GET = "confirm_get"
CODE = "confirm_code"
PASSKEY = "confirm_passkey"
PROOFS = (WORD, CODE, PASSKEY)
OWN_FIELDS = frozenset({*PROOFS, WAS_GET, "confirm_username", "csrfmiddlewaretoken"})


def note(request: HttpRequest) -> None:
    """The person behind this session has just proven who they are."""
    request.session[PROVEN_AT] = clock.now()


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person behind this session has proven who they are within FUSTOR_CONFIRM_MINUTES."""
    at: float | None = request.session.get(PROVEN_AT)
    return at is not None and 0 <= clock.now() - at < settings.FUSTOR_CONFIRM_MINUTES * 60


def stale() -> Forbidden:
    """The refusal of a login whose proof is too old."""
    return Forbidden(
        "Confirm first that it is you: this login gave its password too long ago.",
        code="confirm_first",
        fix=f"Open {reverse('confirm')} in the console, then send the request again.",
    )


def ask(request: HttpRequest) -> HttpResponse | None:
    """None when the request may go on: the proof is fresh, or this very request brings it. Else the page that asks for it."""
    if is_fresh(request):
        return None
    if request.headers.get("HX-Request"):
        return _sent_away(request)
    if not any(request.POST.get(proof) for proof in PROOFS):
        return _question(request)
    if not _is_proof(request):
        return _question(request, _("That is not right. Try again."))
    note(request)
    if WAS_GET in request.POST:
        return redirect(request.get_full_path())
    request.POST = _without_own_fields(request.POST)  # type: ignore[assignment]  # nothing writes to it, mutable or not
    return None


def _is_proof(request: HttpRequest) -> bool:
    user = request.user
    if not isinstance(user, AbstractBaseUser):
        return False
    if password := request.POST.get(WORD):
        # through the backends, so that wrong passwords count towards the lock-out
        return authenticate(request, username=user.get_username(), password=password) == user
    return second_step.check(request, user, request.POST.get(CODE, ""), request.POST.get(PASSKEY, ""))


def _question(request: HttpRequest, error: str = "") -> HttpResponse:
    was_get = request.method != "POST" or WAS_GET in request.POST
    kept = [] if was_get else [(name, value) for name, values in _without_own_fields(request.POST).lists() for value in values]
    context = {"kept": kept, "was_get": was_get, "error": error, "minutes": settings.FUSTOR_CONFIRM_MINUTES}
    context |= second_step.ways(request.user)
    response = render(request, "account/confirm.html", context, status=403)
    response.headers["Cache-Control"] = "no-store"
    return response


def _sent_away(request: HttpRequest) -> HttpResponse:
    """An answer that makes htmx open the question as a page of its own, and come back to the page that asked."""
    here = request.headers.get("HX-Current-URL", "/")
    path = "/" + here.partition("://")[2].partition("/")[2]
    response = HttpResponse(status=403)
    response.headers["HX-Redirect"] = f"{reverse('confirm')}?{urlencode({'next': path})}"
    return response


def _without_own_fields(posted: QueryDict) -> QueryDict:
    rest = posted.copy()
    for name in OWN_FIELDS:
        rest.pop(name, None)
    return rest
