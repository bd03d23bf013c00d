"""`changes`: the feed at once, by long poll (`wait`), or as server-sent events (`Accept: text/event-stream`) (R46)."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
from django.http import HttpResponseBase, StreamingHttpResponse
from ninja import Field, Query

from apps.runtime import clock
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Busy, Invalid, Problem
from apps.views.api.answers import answer
from apps.views.api.params import MAX_INTEGER, PathParams, Request, Text
from apps.views.api.read import PROBLEMS, asked_of
from apps.views.api.routing import router
from apps.views.api.schemas import FeedOut, ForestFeedOut
from apps.views.api.wakeups import Wakeups
from apps.views.freshness import Freshness
from apps.views.queries.changes import Feed, feed
from apps.views.queries.forests import members
from apps.views.queries.stats import freshness_of
from apps.views.queries.whole_forest import ForestFeed, feed_all, forest_freshness

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

    since: Text | None = Field(None, description="`next_seq` of the answer before; without it: where the feed stands now")
    wait: float = Field(0.0, ge=0.0, le=MAX_WAIT_SECONDS, description="Seconds to wait for a change")
    limit: int = Field(1000, ge=1, le=10_000)


@router.get("/{view_id}/changes", response={200: FeedOut | ForestFeedOut, **PROBLEMS}, summary="What changed since")
async def get_changes(request: Request, view_id: str, params: Query[ChangesParams]) -> HttpResponseBase:
    """Changes in order. `reset`: read the tree anew, then go on from `next_seq`.

    As server-sent events: `change`, `reset` and `start` events, each with the sequence as its id (`Last-Event-ID` resumes).
    """
    if EVENT_STREAM in request.headers.get("Accept", ""):
        return await _stream(request, view_id, params)
    heard = await run(Lane.QUERY, _ask, request, view_id, params, params.since)
    if params.wait > 0 and not _tells(heard.feed):
        heard = await _awaited(request, view_id, params, heard)
    return await run(Lane.QUERY, answer, heard.feed, heard.freshness)


class Heard(NamedTuple):
    """What one look at a feed found, of which view (its primary key), and how fresh that is."""

    view: int
    feed: Feed | ForestFeed
    freshness: Freshness


def _ask(request: Request, view_id: str, params: ChangesParams, since: str | int | None) -> Heard:
    at = None if since is None else str(since)
    view, tree, key = asked_of(request, view_id, params.member)
    if tree is None:
        found = feed_all(view, at, key, params.limit)
        return Heard(view.pk, found, forest_freshness(members(view), clock.now()))
    return Heard(view.pk, feed(tree, _sequence(at), key, params.limit), freshness_of(tree, clock.now()))


def _sequence(since: str | None) -> int | None:
    """`since` of one tree. Raises Invalid."""
    if since is None:
        return None
    if not (since.isascii() and since.isdigit() and len(since) < 20):
        raise Invalid("This is no sequence of the feed.", field="since", fix="Send `next_seq` of the answer before, or nothing.")
    return min(int(since), MAX_INTEGER)


def _tells(found: Feed | ForestFeed) -> bool:
    return bool(found.changes) or found.reset or found.more


async def _awaited(request: Request, view_id: str, params: ChangesParams, heard: Heard) -> Heard:
    deadline = time.monotonic() + params.wait
    with _counted():
        async with Wakeups(heard.view) as wakeups:
            while True:
                # asked after subscribing, so no change falls in between
                heard = await run(Lane.QUERY, _ask, request, view_id, params, heard.feed.next_seq)
                left = deadline - time.monotonic()
                if _tells(heard.feed) or left <= 0:
                    return heard
                await wakeups.wait(min(left, LOOK_SECONDS))


async def _stream(request: Request, view_id: str, params: ChangesParams) -> HttpResponseBase:
    # a browser that comes back says where it was
    since = request.headers.get("Last-Event-ID") or params.since
    first = await run(Lane.QUERY, _ask, request, view_id, params, since)
    response = StreamingHttpResponse(_events(request, view_id, params, first), content_type=EVENT_STREAM)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _events(request: Request, view_id: str, params: ChangesParams, first: Heard) -> AsyncIterator[bytes]:
    found = first.feed
    end = time.monotonic() + STREAM_SECONDS
    spoke = time.monotonic()
    yield _event("start", found.next_seq, {"view_id": view_id, "seq": found.since})
    with _counted():
        async with Wakeups(first.view) as wakeups:
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
                    found = (await run(Lane.QUERY, _ask, request, view_id, params, found.next_seq)).feed
                except Problem as problem:  # the answer has begun, so its end has to be told in the stream
                    yield _event("error", found.next_seq, problem.payload())
                    return


def _told(found: Feed | ForestFeed) -> Iterator[bytes]:
    if isinstance(found, ForestFeed):
        yield from _told_of_members(found)
        return
    if found.reset:
        yield _event("reset", found.next_seq, {"view_id": found.view_id, "seq": found.next_seq, "reason": found.reset_reason})
    for change in found.changes:
        yield _event("change", change.seq, change)


def _told_of_members(found: ForestFeed) -> Iterator[bytes]:
    """The position behind one change would name every member, so only the last event has an id: who resumes in between hears
    the answer again."""
    told: list[tuple[str, object]] = [("reset", reset) for reset in found.resets]
    told += [("change", change) for change in found.changes]
    for number, (name, payload) in enumerate(told, 1):
        yield _event(name, found.next_seq if number == len(told) else None, payload)


def _event(name: str, seq: int | str | None, payload: object) -> bytes:
    place = b"" if seq is None else b"id: %s\n" % str(seq).encode()
    return b"%sevent: %s\ndata: %s\n\n" % (place, name.encode(), encode(payload))


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
