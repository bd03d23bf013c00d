"""The verbs on a view that are no questions. They need a key that may administer the view (R50)."""

from django.http import HttpResponse, HttpResponseBase

from apps.runtime.lanes import Lane, run
from apps.views import access, services
from apps.views.api.params import Request
from apps.views.api.read import PROBLEMS
from apps.views.api.routing import router


@router.delete("/{view_id}/reset", response={204: None, **PROBLEMS}, summary="Empty the view")
async def reset(request: Request, view_id: str) -> HttpResponseBase:
    """The view answers 503 until the next complete snapshot."""
    return await run(Lane.QUERY, _reset, request, view_id)


def _reset(request: Request, view_id: str) -> HttpResponseBase:
    view = access.administered_view(request.auth, view_id)
    services.reset_view(view, request.auth.name)
    return HttpResponse(status=204)
