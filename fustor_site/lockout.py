"""Lock-out after wrong passwords: axes, with nothing kept of the form that was sent. Named by settings.AXES_HANDLER."""

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.http import HttpRequest, QueryDict


class Handler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """axes keeps the fields of a refused form; a form that travels with a confirmation may hold secrets of any name."""

    def user_login_failed(
        self, sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **rest: Any
    ) -> None:
        """Count the failure without its form."""
        if request is None:
            return
        query, form = request.GET, request.POST
        request.GET = request.POST = QueryDict()
        try:
            super().user_login_failed(sender, credentials, request, **rest)
        finally:
            request.GET, request.POST = query, form
