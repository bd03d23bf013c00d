"""What every request and answer passes: both slash forms of the API, response headers."""

import re
from collections.abc import Callable
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from apps.runtime.ids import new_uuid

GetResponse = Callable[[HttpRequest], Any]
# what may go into a log line and a header as it is
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

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
def api_slash(get_response: GetResponse) -> GetResponse:
    """Accept every path below `/api/` and the health paths with and without a trailing slash; routes are declared without."""

    async def later(request: HttpRequest) -> HttpResponseBase:
        _strip_slash(request)
        response: HttpResponseBase = await get_response(request)
        return response

    def now(request: HttpRequest) -> HttpResponseBase:
        _strip_slash(request)
        response: HttpResponseBase = get_response(request)
        return response

    return later if iscoroutinefunction(get_response) else now


@sync_and_async_middleware
def request_id(get_response: GetResponse) -> GetResponse:
    """Give every request an id: from its `X-Request-Id` when that is plain, else a new one. Log lines and the answer carry it."""

    async def later(request: HttpRequest) -> HttpResponseBase:
        with structlog.contextvars.bound_contextvars(request_id=_identify(request)):
            response: HttpResponseBase = await get_response(request)
        return _signed(request, response)

    def now(request: HttpRequest) -> HttpResponseBase:
        with structlog.contextvars.bound_contextvars(request_id=_identify(request)):
            response: HttpResponseBase = get_response(request)
        return _signed(request, response)

    return later if iscoroutinefunction(get_response) else now


def _identify(request: HttpRequest) -> str:
    given = request.headers.get("X-Request-Id", "")
    chosen = given if PLAIN_ID.fullmatch(given) else new_uuid().hex[:16]
    request.request_id = chosen  # type: ignore[attr-defined]  # read by errors.server_error
    return chosen


def _signed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response.headers["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]  # set by _identify
    return response


def _strip_slash(request: HttpRequest) -> None:
    path = request.path_info
    if path.endswith("/") and path.startswith(("/api/", "/healthz", "/readyz", "/metrics")) and path != "/api/v1/":
        request.path_info = path.rstrip("/")
