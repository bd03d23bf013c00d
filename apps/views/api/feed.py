"""`changes`: the feed at once, by long poll (`wait`), or as server-sent events (`Accept: text/event-stream`) (R46)."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec
from django.http import HttpResponseBase, StreamingHttpResponse
from ninja import Field, Query

from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Busy, Invalid, Problem
from apps.views.api.answers import answer
from apps.views.api.params import MAX_INTEGER, PathParams, Request, Size
from apps.views.api.read import PROBLEMS, tree_of
from apps.views.api.routing import router
from apps.views.api.schemas import FeedOut
from apps.views.api.wakeups import Wakeups
from apps.views.models import Tree
from apps.views.queries.changes import Feed, feed

EVENT_STREAM = "text/event-stream"
MAX_WAIT_SECONDS = 60.0
# a hint may be lost: look again at least so often
LOOK_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 15.0
# then the client connects again by itself, and its key is checked again
STREAM_SECONDS = 300.0
MAX_WAITING = 500

encode = msgspec.json.encode
_waiting = 0


class ChangesParams(PathParams):
    """Where to go on, what to hear of, how long to wait."""

    since: Size | None = Field(None, description="`next_seq` of the answer before; without it: where the feed stands now")
    wait: float = Field(0.0, ge=0.0, le=MAX_WAIT_SECONDS, description="Seconds to wait for a change")
    limit: int = Field(1000, ge=1, le=10_000)


@router.get("/{view_id}/changes", response={200: FeedOut, **PROBLEMS}, summary="What changed since")
async def get_changes(request: Request, view_id: str, params: Query[ChangesParams]) -> HttpResponseBase:
    """Changes in order. `reset`: read the tree anew, then go on from `next_seq`.

    As server-sent events: `change`, `reset` and `start` events, each with the sequence as its id (`Last-Event-ID` resumes).
    """
    if EVENT_STREAM in request.headers.get("Accept", ""):
        return await _stream(request, view_id, params)
    tree, found = await run(Lane.QUERY, _ask, request, view_id, params, params.since)
    if params.wait > 0 and not _tells(found):
        tree, found = await _awaited(request, view_id, params, tree, found)
    return await run(Lane.QUERY, lambda: answer(found, tree))


def _ask(request: Request, view_id: str, params: ChangesParams, since: int | None) -> tuple[Tree, Feed]:
    _, tree, key = tree_of(request, view_id, params.member)
    return tree, feed(tree, since, key, params.limit)


def _tells(found: Feed) -> bool:
    return bool(found.changes) or found.reset or found.more


async def _awaited(request: Request, view_id: str, params: ChangesParams, tree: Tree, found: Feed) -> tuple[Tree, Feed]:
    deadline = time.monotonic() + params.wait
    with _counted():
        async with Wakeups(tree.view_id) as wakeups:
            while True:
                # asked after subscribing, so no change falls in between
                tree, found = await run(Lane.QUERY, _ask, request, view_id, params, found.next_seq)
                left = deadline - time.monotonic()
                if _tells(found) or left <= 0:
                    return tree, found
                await wakeups.wait(min(left, LOOK_SECONDS))


async def _stream(request: Request, view_id: str, params: ChangesParams) -> HttpResponseBase:
    params.since = _resumed(request, params)
    tree, first = await run(Lane.QUERY, _ask, request, view_id, params, params.since)
    response = StreamingHttpResponse(_events(request, view_id, params, tree, first), content_type=EVENT_STREAM)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _resumed(request: Request, params: ChangesParams) -> int | None:
    last = request.headers.get("Last-Event-ID", "")
    if not last:
        return params.since
    if not (last.isascii() and last.isdigit() and len(last) < 20):
        raise Invalid("Last-Event-ID is no sequence of this feed.", field="Last-Event-ID")
    return min(int(last), MAX_INTEGER)


async def _events(request: Request, view_id: str, params: ChangesParams, tree: Tree, found: Feed) -> AsyncIterator[bytes]:
    end = time.monotonic() + STREAM_SECONDS
    spoke = time.monotonic()
    yield _event("start", found.next_seq, {"view_id": view_id, "seq": found.since})
    with _counted():
        async with Wakeups(tree.view_id) as wakeups:
            while time.monotonic() < end:
                for event in _told(found):
                    yield event
                    spoke = time.monotonic()
                if not found.more:
                    await wakeups.wait(LOOK_SECONDS)
                if time.monotonic() - spoke > KEEP_ALIVE_SECONDS:
                    yield b": still here\n\n"
                    spoke = time.monotonic()
                try:
                    _, found = await run(Lane.QUERY, _ask, request, view_id, params, found.next_seq)
                except Problem as problem:  # the answer has begun, so its end has to be told in the stream
                    yield _event("error", found.next_seq, problem.payload())
                    return


def _told(found: Feed) -> Iterator[bytes]:
    if found.reset:
        yield _event("reset", found.next_seq, {"view_id": found.view_id, "seq": found.next_seq, "reason": found.reset_reason})
    for change in found.changes:
        yield _event("change", change.seq, change)


def _event(name: str, seq: int, payload: object) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, name.encode(), encode(payload))


@contextmanager
def _counted() -> Iterator[None]:
    """One more waiting request of this process. Raises Busy over the limit (R31)."""
    global _waiting
    if _waiting >= MAX_WAITING:
        raise Busy("Too many clients wait for changes on this server.", code="too_many_waiting", retry_after=10)
    _waiting += 1
    try:
        yield
    finally:
        _waiting -= 1
