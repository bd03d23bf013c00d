"""What every console page stands on: who may open it, and what a page number or a filter in the URL means.

Pages of all apps use `@page`. The roles live in apps.pipes, which is above apps.views; so the check comes in through a port.
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
# sent by a page that refreshes itself: it wants its parts as JSON, not the whole page
PARTS_HEADER = "X-Fustor-Parts"


class Check(Protocol):
    """May this user do this? `verb` is a word of apps.pipes.permissions, `obj` the object or None for the kind."""

    def __call__(self, user: AbstractBaseUser | AnonymousUser, verb: str, obj: Any = None) -> bool:
        """True when allowed."""
        ...


def _readers_only(user: AbstractBaseUser | AnonymousUser, verb: str, obj: Any = None) -> bool:
    return verb == READ and user.is_authenticated and user.is_active


_check: Check = _readers_only


def install_check(check: Check) -> None:
    """Fill the port: called once at start-up by the app that owns the roles."""
    global _check
    _check = check


def allowed(user: AbstractBaseUser | AnonymousUser, verb: str, obj: Any = None) -> bool:
    """May this user do this (to this object)?"""
    return user.is_authenticated and _check(user, verb, obj)


def page(verb: str = READ) -> Callable[[PageFunction[P]], PageFunction[P]]:
    """Decorate a console page: asks for a login, then for the verb; without it the 403 page answers."""

    def decorate(function: PageFunction[P]) -> PageFunction[P]:
        @wraps(function)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not allowed(request.user, verb):
                raise PermissionDenied
            return function(request, *args, **kwargs)

        return cast(PageFunction[P], login_required(guarded))

    return decorate
