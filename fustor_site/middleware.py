"""What every request and answer passes: both slash forms of the API, response headers."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class ContentSecurityPolicy(MiddlewareMixin):
    """Only what this server itself serves may run, load or be called; nothing inline."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response with the policy, unless it brought one of its own."""
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


@sync_and_async_middleware
def api_slash(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Accept every path below `/api/` and the health paths with and without a trailing slash; routes are declared without."""
    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponseBase:
            _strip_slash(request)
            response: HttpResponseBase = await get_response(request)
            return response

    else:

        def middleware(request: HttpRequest) -> HttpResponseBase:  # type: ignore[misc]  # the synchronous twin of the same name
            _strip_slash(request)
            response: HttpResponseBase = get_response(request)
            return response

    return middleware


def _strip_slash(request: HttpRequest) -> None:
    path = request.path_info
    if path.endswith("/") and path.startswith(("/api/", "/healthz", "/readyz", "/metrics")) and path != "/api/v1/":
        request.path_info = path.rstrip("/")
