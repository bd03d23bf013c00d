"""Who gives an order from a page, for the audit log and for revisions; and the record of what was refused."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.pipes import audit
from apps.pipes.addresses import client_address
from apps.pipes.audit import Actor
from apps.pipes.config.service import Author
from apps.pipes.permissions import lacks_factor


def actor_of(request: HttpRequest) -> Actor:
    """The person, from where, in which request."""
    return actor_named(request, request.user.get_username())


def actor_named(request: HttpRequest, name: str) -> Actor:
    """Somebody who is not logged in, known by a link or a password."""
    return Actor(name, client_address(request), getattr(request, "request_id", ""))


def author_of(request: HttpRequest, message: str) -> Author:
    """The same person as the author of a revision."""
    actor = actor_of(request)
    return Author(actor.name, message, actor.address, actor.request_id)


def refused(request: HttpRequest, verb: str) -> HttpResponse | None:
    """Put on record that a page was refused; an admin without the needed second factor goes and makes one (port of the console)."""
    if lacks_factor(request.user):
        messages.warning(request, _("Admins of this server need a second factor. Add an app or a passkey first."))
        return redirect("profile")
    audit.record_denied(actor_of(request), verb, f"{request.method} {request.path}", f"needs {verb!r}")
    return None


def record_deed(request: HttpRequest, actor: str, verb: str, target: str) -> None:
    """Put on record what a key or person did to a view through the API (the port of apps.views)."""
    audit.record(Actor(actor, client_address(request), getattr(request, "request_id", "")), verb, target)
