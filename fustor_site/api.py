"""The API object of `/api/v1`: mounts the routers of the apps and renders what they raise. Used by fustor_site.urls.

Paths are declared without a trailing slash; `fustor_site.middleware.api_slash` accepts both forms.
"""

import math
from typing import Any

import redis
import structlog
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from apps.pipes.api import router as manage_router
from apps.pipes.api.hosts import router as hosts_router
from apps.pipes.auth import agent_auth, manage_auth, push_auth, read_auth
from apps.runtime.problems import NotFound, Problem, Unavailable
from apps.sessions.api import router as pipe_router
from apps.sessions.api import view_router
from apps.sessions.api.trials import router as trials_router
from apps.views.api import router as views_router

log = structlog.get_logger(__name__)

api = NinjaAPI(
    title="Fustor",
    version="1",
    urls_namespace="api",
    description="Feed file metadata in (`/pipe`), ask the arbitrated views (`/views`), configure (`/manage`).",
)


def render(problem: Problem) -> HttpResponse:
    """The answer for a problem: its status, its JSON, `Retry-After` in whole seconds when it says when to come back."""
    response = JsonResponse(problem.payload(), status=problem.status)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="fustor"'
    return response


@api.exception_handler(Problem)
def _problem(request: HttpRequest, error: Problem) -> HttpResponse:
    request.refusal = error  # type: ignore[attr-defined]  # read by denied.py, outside the handler
    return render(error)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """422 that names the first faulty field in the words of the request, and lists them all."""
    errors = [{"field": _field(entry), "reason": str(entry.get("msg", "not valid"))} for entry in error.errors]
    first = errors[0] if errors else {"field": "", "reason": "not valid"}
    detail = f"{first['field']}: {first['reason']}" if first["field"] else first["reason"]
    return JsonResponse({"detail": detail, "code": "invalid", "field": first["field"], "errors": errors}, status=422)


def _field(entry: dict[str, Any]) -> str:
    # loc is (where, name of the parameter, place inside …); the body's own parameter name means nothing to the caller
    where, *places = entry.get("loc", ("",))
    if where == "body" and len(places) > 1:
        places = places[1:]
    return ".".join(str(place) for place in places)


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def _database_away(request: HttpRequest, error: Exception) -> HttpResponse:
    """R30: nothing was acknowledged, nothing is lost; the client sends the same again."""
    log.warning("database unavailable", path=request.path, error=str(error))
    return render(
        Unavailable("The database is not available just now. Nothing was stored; send the same request again.", retry_after=2)
    )


@api.exception_handler(redis.RedisError)
def _broker_away(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("broker unavailable", path=request.path, error=str(error))
    return render(Unavailable("The broker (Redis) is not available just now. Try again.", retry_after=2))


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    codes = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 429: "busy"}
    problem = Problem(str(error), code=codes.get(error.status_code, "refused"))
    problem.status = error.status_code
    return render(problem)


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return render(NotFound(f"There is nothing at {request.path}.", fix="See /api/v1/docs for every route."))


# every router has an authentication here, so no route can be open because somebody forgot; the order is that of trying
api.add_router("/pipe/agents", hosts_router, auth=agent_auth)
api.add_router("/pipe", pipe_router, auth=push_auth)
api.add_router("/views", view_router, auth=read_auth)
api.add_router("/views", views_router, auth=read_auth)
api.add_router("/manage", manage_router, auth=manage_auth)
api.add_router("/manage", trials_router, auth=manage_auth)
