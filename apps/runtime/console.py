"""What every console page stands on: who may open it, and what a page number or a filter in the URL means.

Pages of all apps use `@page`. Roles and passwords are the matter of apps.pipes, which is above apps.views; so the checks come in
through ports.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

P = ParamSpec("P")
PageFunction = Callable[Concatenate[HttpRequest, P], HttpResponse]
READ = "read"
# the verb of a page about the reader's own account: every login may open it
OWN = "own"
# sent by a page that refreshes itself: it wants its parts as JSON, not the whole page
PARTS_HEADER = "X-Fustor-Parts"


class Check(Protocol):
    """May this user do this? `verb` is a word of apps.pipes.permissions, `obj` the object or None for the kind."""

    def __call__(self, user: AbstractBaseUser | AnonymousUser, verb: str, obj: Any = None) -> bool:
        """True when allowed."""
        ...


class Refusal(Protocol):
    """What else happens when a page is refused: it is put on record, or answered with what must be done first."""

    def __call__(self, request: HttpRequest, verb: str) -> HttpResponse | None:
        """An answer, or None for the 403 page."""
        ...


class Confirmation(Protocol):
    """Asks a person to prove again who is at the keyboard, before something grave."""

    def __call__(self, request: HttpRequest) -> HttpResponse | None:
        """None when that was proven lately, else the page that asks; the request goes on when the answer to it is right."""
        ...


def _readers_only(user: AbstractBaseUser | AnonymousUser, verb: str, obj: Any = None) -> bool:
    return verb == READ and user.is_authenticated and user.is_active


def _never_asked(request: HttpRequest) -> HttpResponse | None:
    return None


def _just_refused(request: HttpRequest, verb: str) -> HttpResponse | None:
    return None


_check: Check = _readers_only
_refusal: Refusal = _just_refused
_confirmation: Confirmation = _never_asked


def install_check(check: Check, refusal: Refusal, confirmation: Confirmation) -> None:
    """Fill the ports: called once at start-up by the app that owns the roles."""
    global _check, _refusal, _confirmation
    _check, _refusal, _confirmation = check, refusal, confirmation


def allowed(user: AbstractBaseUser | AnonymousUser, verb: str, obj: Any = None) -> bool:
    """May this user do this (to this object)?"""
    return user.is_authenticated and _check(user, verb, obj)


def page(verb: str = READ, *, confirm: bool = False) -> Callable[[PageFunction[P]], PageFunction[P]]:
    """Decorate a console page: asks for a login, then for the verb; without it the 403 page answers.

    `confirm`: also for a password or second factor given within the last minutes (FUSTOR_CONFIRM_MINUTES). A form that was sent
    is kept while the person confirms; files are not. The page is known by `.verb` and `.confirm` (the test of all URLs reads them).
    """

    def decorate(function: PageFunction[P]) -> PageFunction[P]:
        @wraps(function)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if verb != OWN and not allowed(request.user, verb):
                answer = _refusal(request, verb)
                if answer is None:
                    raise PermissionDenied
                return answer
            question = _confirmation(request) if confirm else None
            return question or function(request, *args, **kwargs)

        guarded.verb, guarded.confirm = verb, confirm  # type: ignore[attr-defined]  # read from outside by name
        return cast(PageFunction[P], login_required(guarded))

    return decorate
