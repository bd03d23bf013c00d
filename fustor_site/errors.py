"""Answers when no view matched or a view failed: JSON below `/api/`, a page elsewhere. Named by fustor_site.urls."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from apps.runtime.problems import NotFound
from fustor_site.api import render


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    if request.path.startswith("/api/"):
        return render(NotFound(f"There is nothing at {request.path}.", fix="See /api/v1/docs for every route."))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500. The log has the traceback under the same request id."""
    request_id = getattr(request, "request_id", "")
    if request.path.startswith("/api/"):
        detail = "The server failed on this request; nothing of it was stored. The log has more under this request id."
        return JsonResponse({"detail": detail, "code": "internal", "request_id": request_id}, status=500)
    return defaults.server_error(request)
