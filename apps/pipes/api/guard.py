"""Who is asking, and may they: every management route starts here. A refusal is written into the audit log."""

from django.http import HttpRequest

from apps.pipes import audit
from apps.pipes.addresses import client_address
from apps.pipes.audit import Actor
from apps.pipes.auth import SAFE_METHODS
from apps.pipes.config.service import Author
from apps.pipes.permissions import CONFIRMED, Verb
from apps.pipes.principals import Principal
from apps.runtime.problems import Forbidden


def principal_of(request: HttpRequest) -> Principal:
    """The principal that authentication found."""
    principal: Principal = request.auth  # type: ignore[attr-defined]  # set by Ninja from the auth class
    return principal


def actor_of(request: HttpRequest) -> Actor:
    """The principal as the audit log names it, with address and request id."""
    request_id: str = getattr(request, "request_id", "")
    return Actor(principal_of(request).name, client_address(request), request_id)


def allow(request: HttpRequest, verb: Verb, target: str = "") -> Actor:
    """The actor, if its role or scopes hold the verb and it is not restricted to some views. Raises Forbidden (R50).

    A person must have confirmed lately who they are before changing what is in CONFIRMED.
    """
    principal, actor = principal_of(request), actor_of(request)
    if principal.allows(verb) and principal.sees_everything:
        if verb in CONFIRMED and request.method not in SAFE_METHODS:
            principal.check_confirmed()
        return actor
    reason = f"needs {verb.value!r}" if principal.sees_everything else "is restricted to some views"
    audit.record_denied(actor, verb, target, reason)
    raise Forbidden(
        f"{principal.name} may not do this: it {reason}.", fix="Ask an admin for the role, or use a key with that scope."
    )


def author(request: HttpRequest, verb: Verb, target: str, message: str) -> Author:
    """The actor as the author of a revision."""
    actor = allow(request, verb, target)
    return Author(actor.name, message, actor.address, actor.request_id)
