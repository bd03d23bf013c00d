"""Proving a second factor: which ways a person has, and whether what came is right. Used by the login and by confirmations."""

from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest

from apps.pipes import factors


def ways(user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """For a template: whether codes are taken, and the challenge for a passkey (None without one)."""
    if not isinstance(user, AbstractBaseUser):
        return {"takes_code": False, "challenge": None}
    held = factors.kinds(user)
    return {"takes_code": bool(held), "challenge": factors.challenge(user) if factors.Kind.WEBAUTHN in held else None}


def check(request: HttpRequest, user: AbstractBaseUser, code: str, passkey: str) -> bool:
    """Whether the code or the passkey's answer is right. Wrong ones count towards the lock-out, as wrong passwords do."""
    credentials = {"username": user.get_username()}
    if not AxesProxyHandler.is_allowed(request, credentials):
        request.axes_locked_out = True  # type: ignore[attr-defined]  # makes the middleware of axes answer
        return False
    right = factors.check_passkey(user, passkey) if passkey else factors.check_code(user, code.replace(" ", ""))
    if not right:
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return right
