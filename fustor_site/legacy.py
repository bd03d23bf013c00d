"""The old paths `/api/v1/ingest/…`: they answer like `/api/v1/pipe/…` until the sunset, and say so on every answer.

The setting `legacy_paths` switches them off. Who still calls them is counted (System page, `/api/v1/manage/legacy-use`).
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.http import http_date

from apps.pipes.addresses import client_address
from apps.pipes.legacy_use import counter
from apps.runtime import server_settings
from apps.runtime.lanes import Lane, run

log = structlog.get_logger(__name__)
OLD, NEW = "/api/v1/ingest", "/api/v1/pipe"
DEPRECATED_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SUNSET = datetime(2027, 12, 31, tzinfo=UTC)
HEADERS = {
    "Deprecation": f"@{int(DEPRECATED_SINCE.timestamp())}",
    "Sunset": http_date(SUNSET.timestamp()),
    "Link": f'<{NEW}>; rel="successor-version"',
}


@sync_and_async_middleware
def legacy_paths(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer old paths like the new ones, with Deprecation and Sunset headers."""

    async def later(request: HttpRequest) -> HttpResponseBase:
        # in a thread: settings, clock and table ask the database
        if not _is_old(request) or not await run(Lane.CONTROL, _are_on):
            response: HttpResponseBase = await get_response(request)
            return response
        await run(Lane.CONTROL, _count, *_move(request))
        return _marked(await get_response(request))

    def now(request: HttpRequest) -> HttpResponseBase:
        if not _is_old(request) or not _are_on():
            response: HttpResponseBase = get_response(request)
            return response
        _count(*_move(request))
        return _marked(get_response(request))

    return later if iscoroutinefunction(get_response) else now


def _are_on() -> bool:
    try:
        return server_settings.switched_on("legacy_paths")
    except DatabaseError:  # the call itself will say what is the matter
        return bool(settings.FUSTOR_LEGACY_PATHS)


def _is_old(request: HttpRequest) -> bool:
    path = request.path_info
    return path == OLD or path.startswith(f"{OLD}/")


def _move(request: HttpRequest) -> tuple[str, str]:
    """Put the new path in place of the old one; gives the old one in short, and who calls."""
    rest = request.path_info.removeprefix(OLD)
    request.path_info = NEW + rest
    # the first word says which call it is; ids must not make a line of their own each
    first = rest.strip("/").partition("/")[0]
    return f"{OLD}/{first if first.isalpha() else '…'}", _caller(request)


def _caller(request: HttpRequest) -> str:
    """Who calls, before anybody checked the key: the address, and a short hash that tells its keys apart."""
    key = request.headers.get("X-API-Key", "")
    mark = hashlib.sha256(key.encode(errors="replace")).hexdigest()[:6] if key else "no key"
    return f"{client_address(request) or 'unknown'} ({mark})"


def _count(path: str, caller: str) -> None:
    try:
        if counter.note(path, caller):
            counter.write_down()
    except DatabaseError as error:  # counting must not cost an agent its request; the counts are kept
        log.warning("use of old paths not written down", error=str(error))


def _marked(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response
