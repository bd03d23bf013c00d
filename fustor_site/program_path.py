"""The HTTP path of programs: `/api/`, health, metrics. The console's pages take Django's ordinary handler. Used by asgi."""

from collections.abc import Awaitable, Callable
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.utils.module_loading import import_string

PREFIXES = ("/api/", "/healthz", "/readyz", "/metrics")
MIDDLEWARE = (
    "fustor_site.middleware.request_id",
    "fustor_site.middleware.api_slash",
    "fustor_site.legacy.legacy_paths",
    "fustor_site.middleware.for_programs",
)

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class ProgramHandler(ASGIHandler):
    """Django's handler with a middleware chain of its own that never leaves the event loop."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Build the chain, the first of MIDDLEWARE outermost. Called once by Django."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        # the stubs leave out this documented-in-code inner end of the chain
        chain = convert_exception_to_response(self._get_response_async)  # type: ignore[attr-defined]
        for name in reversed(MIDDLEWARE):
            chain = convert_exception_to_response(import_string(name)(chain))
        self._middleware_chain = chain


def by_path(programs: Application, people: Application) -> Application:
    """An application that sends each request to the handler for programs or to that for people."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        chosen = programs if scope["path"].startswith(PREFIXES) else people
        await chosen(scope, receive, send)

    return application
