"""The verbs on a view that are no questions. They need a key that may administer the view (R50)."""

from django.http import HttpResponse, HttpResponseBase

from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Invalid
from apps.views import access, services
from apps.views.api.answers import answer
from apps.views.api.params import Request
from apps.views.api.read import PROBLEMS
from apps.views.api.routing import router
from apps.views.api.schemas import SuspectUpdates, SuspectUpdatesOut
from apps.views.sentinel import Look
from fustor_schema import paths


@router.put("/{view_id}/suspect-list", response={200: SuspectUpdatesOut, **PROBLEMS}, summary="Say what suspects look like now")
async def put_suspects(request: Request, view_id: str, body: SuspectUpdates) -> HttpResponseBase:
    """A suspect at rest is cleared, one that changed stays; paths that the view does not hold are not counted."""
    return await run(Lane.QUERY, _put_suspects, request, view_id, body)


def _put_suspects(request: Request, view_id: str, body: SuspectUpdates) -> HttpResponseBase:
    view = access.administered_view(request.auth, view_id)
    looks = [Look(_key(update.path, number), mtime=update.mtime, size=update.size) for number, update in enumerate(body.updates)]
    known = services.put_suspects(view, looks, request.auth.name)
    return answer({"view_id": view.slug, "updated_count": known, "status": "ok"})


def _key(path: str, number: int) -> str:
    try:
        return paths.normalise(path)
    except paths.PathError as error:
        raise Invalid(str(error), field=f"updates[{number}].path") from error


@router.delete("/{view_id}/reset", response={204: None, **PROBLEMS}, summary="Empty the view")
async def reset(request: Request, view_id: str) -> HttpResponseBase:
    """The view answers 503 until the next complete snapshot."""
    return await run(Lane.QUERY, _reset, request, view_id)


def _reset(request: Request, view_id: str) -> HttpResponseBase:
    view = access.administered_view(request.auth, view_id)
    services.reset_view(view, request.auth.name)
    return HttpResponse(status=204)
