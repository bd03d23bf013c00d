"""`/pipe/pipes` and `/pipe/stats`: the state of the pipes that a key may push into."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from apps.pipes.principals import KeyPrincipal
from apps.runtime.lanes import Lane, run
from apps.sessions.api.callers import pusher
from apps.sessions.services import overview, sessions

router = Router()


@router.get("/pipes")
async def list_pipes(request: HttpRequest) -> dict[str, Any]:
    """The pipes of this key."""
    rows = await run(Lane.QUERY, _rows, pusher(request))
    return {"pipes": rows, "count": len(rows)}


def _rows(principal: KeyPrincipal) -> list[dict[str, Any]]:
    return overview.pipe_rows(principal.pipes())


@router.get("/pipes/{pipe_id}")
async def one_pipe(request: HttpRequest, pipe_id: str) -> dict[str, Any]:
    """One pipe."""
    return await run(Lane.QUERY, _row, pusher(request), pipe_id)


def _row(principal: KeyPrincipal, pipe_id: str) -> dict[str, Any]:
    pipe = sessions.require_pipe(principal, pipe_id)
    return overview.pipe_rows(principal.pipes().filter(pk=pipe.pk))[0]


@router.get("/stats")
async def stats(request: HttpRequest) -> dict[str, Any]:
    """What came in through this key's pipes."""
    return await run(Lane.QUERY, overview.push_totals, pusher(request))
