"""Who gives an order from a page, for the audit log and for revisions; and the record of what was refused."""

from django.http import HttpRequest, HttpResponse

from apps.pipes import audit
from apps.pipes.addresses import client_address
from apps.pipes.audit import Actor
from apps.pipes.config.service import Author


def actor_of(request: HttpRequest) -> Actor:
    """The person, from where, in which request."""
    return Actor(request.user.get_username(), client_address(request), getattr(request, "request_id", ""))


def author_of(request: HttpRequest, message: str) -> Author:
    """The same person as the author of a revision."""
    actor = actor_of(request)
    return Author(actor.name, message, actor.address, actor.request_id)


def refused(request: HttpRequest, verb: str) -> HttpResponse | None:
    """Put on record that a page was refused (the port of apps.runtime.console)."""
    audit.record_denied(actor_of(request), verb, f"{request.method} {request.path}", f"needs {verb!r}")
    return None
