"""What happens when a person logs in, out, or fails to: it goes into the audit log, and a login counts as proof of who it is."""

from typing import Any

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from apps.pipes import audit, confirmation
from apps.pipes.addresses import client_address
from apps.pipes.audit import Actor

log = structlog.get_logger(__name__)


def listen() -> None:
    """Connect the signals: called once at start-up."""
    user_logged_in.connect(_logged_in, dispatch_uid="fustor.logged_in")
    user_logged_out.connect(_logged_out, dispatch_uid="fustor.logged_out")
    user_login_failed.connect(_failed, dispatch_uid="fustor.login_failed")


def _logged_in(sender: object, request: HttpRequest, user: AbstractBaseUser, **rest: Any) -> None:
    confirmation.note(request)
    audit.record(_actor(request, user.get_username()), "login", _target(user.get_username()))


def _logged_out(sender: object, request: HttpRequest, user: AbstractBaseUser | None, **rest: Any) -> None:
    if user is not None:
        audit.record(_actor(request, user.get_username()), "logout", _target(user.get_username()))


def _failed(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **rest: Any) -> None:
    """Names that are no user's stay out of the audit log: people type passwords there, and strangers could fill it."""
    name = str(credentials.get("username", ""))
    if request is None:
        return
    if User.objects.filter(username=name).exists():
        audit.record_denied(_actor(request, name), "login", _target(name), "wrong password or code")
    else:
        log.warning("login of an unknown user refused", address=client_address(request))


def _actor(request: HttpRequest, name: str) -> Actor:
    return Actor(name, client_address(request), getattr(request, "request_id", ""))


def _target(name: str) -> str:
    return f"people.{name}"
