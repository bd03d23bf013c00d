"""The typed principal behind a request of this app's routes."""

from typing import cast

from django.http import HttpRequest

from apps.pipes.principals import KeyPrincipal


def pusher(request: HttpRequest) -> KeyPrincipal:
    """The key that pushes; push_auth lets nothing else through."""
    return cast(KeyPrincipal, request.auth)  # type: ignore[attr-defined]  # Ninja sets `auth` on the request
