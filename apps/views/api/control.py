"""The verbs on a view that are no questions: telling it how suspects look now, and emptying it (needs an administrator, R50)."""

from django.db import transaction
from django.http import HttpResponse, HttpResponseBase

from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Invalid
from apps.views import access, services
from apps.views.api.answers import answer
from apps.views.api.params import Request
from apps.views.api.read import PROBLEMS
from apps.views.api.routing import router
from apps.views.api.schemas import SuspectUpdates, SuspectUpdatesOut
from apps.views.ports import ports
from apps.views.sentinel import Look
from fustor_schema import paths


@router.put("/{view_id}/suspect-list", response={200: SuspectUpdatesOut, **PROBLEMS}, summary="Say what suspects look like now")
async def put_suspects(request: Request, view_id: str, body: SuspectUpdates) -> HttpResponseBase:
    """A suspect at rest is cleared, one that changed stays; paths that the view does not hold are not counted."""
    return await run(Lane.QUERY, _put_suspects, request, view_id, body)


def _put_suspects(request: Request, view_id: str, body: SuspectUpdates) -> HttpResponseBase:
    # a look says how a file is now and can only keep it suspect or clear it: whoever may read the view may say so, as in V2
    view = access.readable_view(request.auth, view_id)
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
    with transaction.atomic():
        services.reset_view(view, request.auth.name)
        ports.record(request, request.auth.name, "view.reset", f"views.{view.slug}")
    return HttpResponse(status=204)
