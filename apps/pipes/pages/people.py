"""Who gives an order from a page, for the audit log and for revisions."""

from django.http import HttpRequest

from apps.pipes.audit import Actor
from apps.pipes.config.service import Author


def actor_of(request: HttpRequest) -> Actor:
    """The person, from where, in which request."""
    return Actor(request.user.get_username(), request.META.get("REMOTE_ADDR", ""), getattr(request, "request_id", ""))


def author_of(request: HttpRequest, message: str) -> Author:
    """The same person as the author of a revision."""
    actor = actor_of(request)
    return Author(actor.name, message, actor.address, actor.request_id)
