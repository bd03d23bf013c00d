"""`/views/{view_id}/sessions` and `/views/{view_id}/jobs`: who feeds a view, and what was asked of them."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router

from apps.pipes.principals import Principal
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Forbidden, Invalid, NotFound
from apps.sessions.models import Job
from apps.sessions.schemas import Request
from apps.sessions.services import jobs, overview, scans
from apps.views.access import check_scan
from apps.views.models import View
from fustor_schema.paths import PathError, normalise

router = Router()
MOST_JOBS = 500


class ScanRequest(Request):
    """Look at a path again."""

    path: str = "/"
    recursive: bool = True


def reader(request: HttpRequest) -> Principal:
    """The key or person that asks."""
    principal: Principal = request.auth  # type: ignore[attr-defined]  # Ninja sets `auth` on the request
    return principal


def _readable(principal: Principal, view_id: str) -> View:
    view = View.objects.filter(slug=view_id).first()
    if view is None or not principal.may_read(view):
        raise Forbidden(f"This key may not read view {view_id}.", fix="Use a key whose scope holds the view.")
    return view


@router.get("/{view_id}/sessions")
async def view_sessions(request: HttpRequest, view_id: str) -> dict[str, Any]:
    """The sessions that feed a view."""
    return await run(Lane.QUERY, _sessions, reader(request), view_id)


def _sessions(principal: Principal, view_id: str) -> dict[str, Any]:
    rows = overview.live_sessions_of_view(_readable(principal, view_id))
    return {"view_id": view_id, "active_sessions": rows, "count": len(rows)}


@router.get("/{view_id}/jobs")
async def view_jobs(request: HttpRequest, view_id: str, limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 100) -> dict[str, Any]:
    """The jobs of a view, newest first."""
    return await run(Lane.QUERY, _jobs, reader(request), view_id, limit)


def _jobs(principal: Principal, view_id: str, limit: int) -> dict[str, Any]:
    return {"jobs": overview.request_rows(_readable(principal, view_id), limit)}


@router.get("/{view_id}/jobs/{job_id}")
async def view_job(request: HttpRequest, view_id: str, job_id: str) -> dict[str, Any]:
    """One job of a view."""
    return await run(Lane.QUERY, _job, reader(request), view_id, job_id)


def _job(principal: Principal, view_id: str, job_id: str) -> dict[str, Any]:
    view = _readable(principal, view_id)
    key = jobs.parsed_id(job_id)
    rows = overview.request_rows(view, MOST_JOBS, key) if key else []
    if not rows:
        raise NotFound(f"View {view_id} has no job {job_id!r}.", fix="It may have been removed by retention.")
    return rows[0]


@router.post("/{view_id}/jobs")
async def ask_scan(request: HttpRequest, view_id: str, wish: ScanRequest) -> dict[str, Any]:
    """Ask for a scan of a path."""
    return await run(Lane.CONTROL, _ask_scan, reader(request), view_id, wish)


def _ask_scan(principal: Principal, view_id: str, wish: ScanRequest) -> dict[str, Any]:
    view = _readable(principal, view_id)
    check_scan(principal, view)
    try:
        path = normalise(wish.path)
    except PathError as error:
        raise Invalid(f"path: {error}", field="path") from error
    request = scans.request_scan(view, path, wish.recursive, principal.name, Job.Trigger.API)
    return overview.request_rows(view, MOST_JOBS, request)[0]
