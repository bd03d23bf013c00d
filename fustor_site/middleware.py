"""What every request and answer passes: both slash forms of the API, response headers."""

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import structlog
from asgiref.sync import SyncToAsync, iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import DisallowedHost
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import SimpleLazyObject

from apps.pipes import logins
from apps.pipes.permissions import person_of
from apps.runtime.ids import new_uuid
from fustor_site import denied

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

SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Cookie, X-API-Key",
}


class ContentSecurityPolicy(MiddlewareMixin):
    """Only what this server itself serves may run, load or be called; nothing inline."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response with the policy, unless it brought one of its own."""
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class OwnSettings(MiddlewareMixin):
    """What a person has chosen: times in their own time zone. And a note that their login is in use."""

    def process_request(self, request: HttpRequest) -> None:
        """Before the page."""
        timezone.deactivate()
        if request.user.is_authenticated:
            logins.note_seen(request)
            person = person_of(request.user)
            if person and person.time_zone:
                timezone.activate(person.time_zone)


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


@sync_and_async_middleware
def no_nul(get_response: GetResponse) -> GetResponse:
    """Find nothing at an address with a NUL in it, and refuse one in the query of a page: PostgreSQL takes none.

    The API's own parameters are checked where they are read, with the field named.
    """

    async def later(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = _refusal_of_nul(request) or await get_response(request)
        return response

    def now(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = _refusal_of_nul(request) or get_response(request)
        return response

    return later if iscoroutinefunction(get_response) else now


def _refusal_of_nul(request: HttpRequest) -> HttpResponseBase | None:
    if "\0" in request.path_info:
        return JsonResponse({"detail": "There is nothing at an address with a NUL in it.", "code": "not_found"}, status=404)
    if "%00" in request.META.get("QUERY_STRING", "") and not request.path_info.startswith("/api/"):
        return JsonResponse({"detail": "The query holds a NUL.", "code": "bad_request", "fix": "Leave it out."}, status=400)
    return None


def _identify(request: HttpRequest) -> str:
    given = request.headers.get("X-Request-Id", "")
    chosen = given if PLAIN_ID.fullmatch(given) else new_uuid().hex[:16]
    request.request_id = chosen  # type: ignore[attr-defined]  # read by errors.server_error
    return chosen


def _signed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response.headers["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]  # set by _identify
    return response


@sync_and_async_middleware
def for_programs(get_response: GetResponse) -> GetResponse:
    """What a request of a program gets instead of the console's middleware: the host check, a lazy login, security headers.

    All of it without leaving the event loop: the console's middleware changes threads half a dozen times per request, and an
    agent that heartbeats or pushes needs none of that.
    """

    async def later(request: HttpRequest) -> HttpResponseBase:
        if refusal := _admit(request):
            return refusal
        try:
            response: HttpResponseBase = await get_response(request)
            if response.status_code in denied.STATUSES:
                await denied.on_record(request)
        finally:
            await _give_connections_back()
        return _secured(_told(request, response))

    def now(request: HttpRequest) -> HttpResponseBase:
        if refusal := _admit(request):
            return refusal
        response: HttpResponseBase = get_response(request)
        if response.status_code in denied.STATUSES:
            denied.on_record_now(request)
        return _secured(_told(request, response))

    return later if iscoroutinefunction(get_response) else now


async def _give_connections_back() -> None:
    """Close what a synchronous handler opened in its thread, before the answer is sent.

    Left to Django's signal, the connection is lost to the pool when the client hangs up right after its answer: then nothing
    runs in that thread any more. Costs nothing where everything ran in the event loop and in lanes.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None and context in SyncToAsync.context_to_thread_executor:
        await sync_to_async(close_old_connections)()


def _admit(request: HttpRequest) -> HttpResponseBase | None:
    """Attach the login, if any, to be read when somebody asks for it. An answer when the request goes no further."""
    if not _brings_a_key(request) and request.path_info.startswith("/api/"):
        # the host matters only where a browser's cookie speaks for a person
        try:
            request.get_host()
        except DisallowedHost as error:
            return JsonResponse({"detail": str(error), "code": "bad_host", "fix": "Set FUSTOR_ALLOWED_HOSTS."}, status=400)
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    request.user = SimpleLazyObject(lambda: get_user(request))  # type: ignore[assignment]  # it stands for the user
    return None


def _told(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A method that a route does not take, told as every other error is (Ninja answers with bare text)."""
    if response.status_code != 405:
        return response
    taken = response.headers.get("Allow", "")
    words = {"detail": f"{request.path} does not take {request.method}.", "code": "method_not_allowed", "fix": f"It takes {taken}."}
    return JsonResponse(words, status=405, headers={"Allow": taken})


def _brings_a_key(request: HttpRequest) -> bool:
    return "X-API-Key" in request.headers or request.headers.get("Authorization", "").lower().startswith("bearer ")


def _secured(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if settings.TLS:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains")
    return response


def _strip_slash(request: HttpRequest) -> None:
    path = request.path_info
    if path.endswith("/") and path.startswith(("/api/", "/healthz", "/readyz", "/metrics")) and path != "/api/v1/":
        request.path_info = path.rstrip("/")
