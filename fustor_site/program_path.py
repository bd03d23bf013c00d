"""The HTTP path of programs: `/api/`, health, metrics. The console's pages take Django's ordinary handler. Used by asgi."""

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable, Coroutine
from typing import IO, Any

from asgiref.sync import SyncToAsync, sync_to_async
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix
from django.utils.module_loading import import_string

PREFIXES = ("/api/", "/healthz", "/readyz", "/metrics")
MIDDLEWARE = (
    "fustor_site.middleware.request_id",
    "fustor_site.middleware.no_nul",
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

    async def handle(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request as Django does, but start no thread only to announce its begin and its end.

        Those announcements look after the database connections of the request's own thread; work in lanes has none.
        """
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        try:
            set_script_prefix(get_script_prefix(scope))
            request, refusal = self.create_request(scope, body)
            if refusal is not None:
                await self.send_response(refusal, send)
            elif request is not None:
                await _until_answered_or_gone(self._answer(request, send), receive)
        finally:
            body.close()

    async def read_body(self, receive: Any) -> IO[bytes]:
        """The body as a file. One that came in one piece, as a batch does, is read where it stands and not copied once more."""
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body", False):
            return io.BytesIO(first.get("body", b""))
        pending = [first]

        async def receive_all() -> Any:
            return pending.pop() if pending else await receive()

        body: IO[bytes] = await super().read_body(receive_all)
        return body

    async def _answer(self, request: HttpRequest, send: Any) -> None:
        response = await self.run_get_response(request)
        try:
            await self.send_response(response, send)
        finally:
            await _close(response)


async def _until_answered_or_gone(answer: Coroutine[Any, Any, None], receive: Any) -> None:
    """Await the answer; cancel it when the client hangs up (after the body, that is all `receive` can say)."""
    # some servers give an awaitable where the others give a coroutine
    work, gone = asyncio.create_task(answer), asyncio.ensure_future(receive())
    await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not work.done():
        work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def _close(response: HttpResponseBase) -> None:
    # a handler that is not async ran in a thread of the request's own, which has a database connection to give back
    if SyncToAsync.thread_sensitive_context.get(None) in SyncToAsync.context_to_thread_executor:
        await sync_to_async(response.close)()
    else:
        response.close()


def by_path(programs: Application, people: Application) -> Application:
    """An application that sends each request to the handler for programs or to that for people."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        chosen = programs if scope["path"].startswith(PREFIXES) else people
        await chosen(scope, receive, send)

    return application
