"""Writing answers: JSON by msgspec, the freshness header, cursors in headers too (answers that are lists have no other place)."""

from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Any
from urllib.parse import quote

import msgspec
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from apps.runtime import clock
from apps.runtime.lanes import Lane, run
from apps.views.freshness import Freshness
from apps.views.models import Tree
from apps.views.queries.stats import freshness_of
from apps.views.queries.whole_forest import Listed

JSON = "application/json"


def answer(
    payload: Any, source: Tree | Freshness | None = None, *, next_cursor: str | None = None, as_of_seq: int | None = None
) -> HttpResponse:
    """A 200 with JSON, and what the headers say of the tree (or the trees together) that it came from."""
    response = HttpResponse(msgspec.json.encode(payload), content_type=JSON)
    if source is not None:
        state_freshness(response, freshness_of(source, clock.now()) if isinstance(source, Tree) else source)
    if next_cursor is not None:
        response.headers["X-Fustor-Next-Cursor"] = next_cursor
    if as_of_seq is not None:
        response.headers["X-Fustor-As-Of-Seq"] = str(as_of_seq)
    return response


def over_members(payload: Any, page: Listed) -> HttpResponse:
    """A 200 over the members of a forest; the header `X-Fustor-Unsearched` names those that could not be asked."""
    response = answer(payload, page.freshness, next_cursor=page.next_cursor)
    if page.unsearched:
        response.headers["X-Fustor-Unsearched"] = ",".join(page.unsearched)
    return response


def state_freshness(response: HttpResponseBase, freshness: Freshness) -> None:
    """Say in the header how fresh the answer is (R25)."""
    response.headers["X-Fustor-Freshness"] = quote(freshness.header(), safe=" ;=\"':/,.()+-_")


def written(chunks: Iterator[bytes], tree: Tree, *, whole: bool) -> HttpResponseBase:
    """An answer from chunks of JSON: at once when it is small, else streamed, each chunk made in the query lane.

    The first chunk is made before the answer starts, so its errors still are answers.
    """
    first = next(chunks)
    if whole:
        return _stated(HttpResponse(first + b"".join(chunks), content_type=JSON), tree)
    return _stated(streamed(chain((first,), chunks)), tree)


def _stated(response: HttpResponseBase, tree: Tree) -> HttpResponseBase:
    state_freshness(response, freshness_of(tree, clock.now()))
    return response


def streamed(chunks: Iterator[bytes]) -> StreamingHttpResponse:
    """An answer from chunks of JSON, each made in the query lane when the client has taken the one before."""
    return StreamingHttpResponse(_streamed(chunks), content_type=JSON)


async def _streamed(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (chunk := await run(Lane.QUERY, next, chunks, None)) is not None:
        yield chunk
