"""Who may see which view: the `Principal` that every API route gets as `request.auth`, and the two gates that ask it.

The concrete principals (keys, people) live in apps.pipes; this app only says what it needs to know of them.
"""

from typing import Protocol

from django.db.models import QuerySet

from apps.runtime.idents import is_ident
from apps.runtime.problems import Forbidden, NotFound
from apps.views.models import View


class Principal(Protocol):
    """Whoever made a request. `name` is for records of who did what, never a secret."""

    @property
    def name(self) -> str:
        """How records call it."""
        ...

    def may_read(self, view: View) -> bool:
        """True when it may query the view."""
        ...

    def may_administer(self, view: View) -> bool:
        """True when it may reset the view and feed its suspect list."""
        ...

    def may_scan(self, view: View) -> bool:
        """True when it may have the storage behind the view looked at again."""
        ...

    def may_run(self, view: View) -> bool:
        """True when it may settle by its word what scans found: an operator, or a management key."""
        ...

    def check_confirmed(self) -> None:
        """Raise Forbidden when a person must confirm first who they are."""
        ...

    def readable_views(self) -> QuerySet[View]:
        """Every view that `may_read` allows."""
        ...


def readable_view(principal: Principal, slug: str) -> View:
    """The view, if the principal may read it. Raises NotFound, Forbidden (R50)."""
    view = _existing(slug)
    if not principal.may_read(view):
        raise Forbidden(f"This key may not read view {slug}.", fix="Use a query key that is bound to the view.")
    return view


def administered_view(principal: Principal, slug: str) -> View:
    """The view, if the principal may change its state. Raises NotFound, Forbidden (R50)."""
    view = _existing(slug)
    if not principal.may_administer(view):
        raise Forbidden(f"Changing view {slug} needs an administrator.", fix="Use a management key that may reset this view.")
    principal.check_confirmed()
    return view


def operated_view(principal: Principal, slug: str) -> View:
    """The view, if the principal may settle by its word what scans found in it. Raises NotFound, Forbidden (R50)."""
    view = readable_view(principal, slug)
    if not principal.may_run(view):
        raise Forbidden(
            "Closing blind spots needs the right 'run'.", fix="Use a management key with the scope run, or ask an operator."
        )
    return view


def check_scan(principal: Principal, view: View) -> None:
    """Raise Forbidden for who may not order scans of the view. Query keys may, as in V2; people and management need `run`."""
    if not principal.may_scan(view):
        raise Forbidden("Ordering a scan needs the right 'run'.", fix="Use a key with the scope run, or ask an operator.")


def _existing(slug: str) -> View:
    view = View.objects.filter(slug=slug).first() if is_ident(slug) else None
    if view is None:
        raise NotFound(f"There is no view {slug}.")
    if not view.enabled:
        raise NotFound(f"View {slug} is switched off.", code="view_disabled", fix="Enable it in the configuration.")
    return view
