"""The verbs on a view that are no questions: how suspects look now, closing blind spots, emptying it (each with its right, R50)."""

from django.db import transaction
from django.http import HttpResponse, HttpResponseBase

from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Invalid
from apps.views import access, services
from apps.views.api.answers import answer
from apps.views.api.params import Request
from apps.views.api.read import PROBLEMS
from apps.views.api.routing import router
from apps.views.api.schemas import BlindSpotsSeenTo, BlindSpotsSeenToOut, SuspectUpdates, SuspectUpdatesOut
from apps.views.ports import ports
from apps.views.queries import scope
from apps.views.sentinel import Look
from fustor_schema import paths


@router.put("/{view_id}/suspect-list", response={200: SuspectUpdatesOut, **PROBLEMS}, summary="Say what suspects look like now")
async def put_suspects(request: Request, view_id: str, body: SuspectUpdates) -> HttpResponseBase:
    """A suspect at rest is cleared, one that changed stays; paths that the view does not hold are not counted."""
    return await run(Lane.QUERY, _put_suspects, request, view_id, body)


def _put_suspects(request: Request, view_id: str, body: SuspectUpdates) -> HttpResponseBase:
    # a look says how a file is now and can only keep it suspect or clear it: whoever may read the view may say so, as in V2
    view = access.readable_view(request.auth, view_id)
    looks = [
        Look(_key(update.path, f"updates[{number}].path"), mtime=update.mtime, size=update.size)
        for number, update in enumerate(body.updates)
    ]
    known = services.put_suspects(view, looks, request.auth.name)
    return answer({"view_id": view.slug, "updated_count": known, "status": "ok"})


def _key(path: str, field: str) -> str:
    try:
        return paths.normalise(path)
    except paths.PathError as error:
        raise Invalid(str(error), field=field) from error


@router.post(
    "/{view_id}/blind-spots/close", response={200: BlindSpotsSeenToOut, **PROBLEMS}, summary="Say that blind spots were seen to"
)
async def close_blind_spots(request: Request, view_id: str, body: BlindSpotsSeenTo) -> HttpResponseBase:
    """Closes the records at these paths. A path that an aggregate counts leaves it; the path of an aggregate closes all of it."""
    return await run(Lane.QUERY, _close_blind_spots, request, view_id, body)


def _close_blind_spots(request: Request, view_id: str, body: BlindSpotsSeenTo) -> HttpResponseBase:
    view = access.operated_view(request.auth, view_id)
    wanted = None if body.paths is None else [_key(path, f"paths[{number}]") for number, path in enumerate(body.paths)]
    if body.member is not None:
        scope.complete_tree(view, body.member)
    with transaction.atomic():
        closed = services.close_blind_spots(view, wanted, request.auth.name, body.member)
        ports.record(request, request.auth.name, "view.close_blind_spots", f"views.{view.slug}")
    return answer({"view_id": view.slug, "closed": closed})


@router.delete("/{view_id}/reset", response={204: None, **PROBLEMS}, summary="Empty the view")
async def reset(request: Request, view_id: str) -> HttpResponseBase:
    """The view answers 503 until the next complete snapshot."""
    return await run(Lane.QUERY, _reset, request, view_id)


def _reset(request: Request, view_id: str) -> HttpResponseBase:
    view = access.administered_view(request.auth, view_id)
    with transaction.atomic():
        services.reset_view(view, request.auth.name)
        ports.record(request, request.auth.name, "view.reset", f"views.{view.slug}")
    return HttpResponse(status=204)
