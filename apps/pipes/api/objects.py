"""One object at a time: list, read, put, change, delete, pause."""

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router

from apps.pipes import services
from apps.pipes.api.guard import allow, author, principal_of
from apps.pipes.api.schemas import Change, ObjectIn, PlanOut, plan_out
from apps.pipes.config import service
from apps.pipes.config.document import KINDS, to_plain
from apps.pipes.config.render import render
from apps.pipes.models import Pipe
from apps.pipes.permissions import Verb
from apps.runtime.problems import NotFound

router = Router()


@router.get("/objects/{kind}", summary="All objects of one kind, by id")
def list_objects(request: HttpRequest, kind: str) -> dict[str, Any]:
    """Kinds are receivers, views, pipes, sources, senders, agents."""
    allow(request, Verb.READ, kind)
    if kind not in KINDS:
        raise NotFound(f"There is no kind of object {kind!r}.", fix=f"Kinds are {', '.join(KINDS)}.")
    found = render().section(kind)
    return {"revision": service.latest_number(), "objects": {ident: to_plain(entry) for ident, entry in found.items()}}


@router.get("/objects/{kind}/{ident}", summary="One object")
def get_object(request: HttpRequest, kind: str, ident: str) -> dict[str, Any]:
    """Its fields, and the revision to send as `expected`."""
    allow(request, Verb.READ, f"{kind}.{ident}")
    return {"revision": service.latest_number(), "fields": to_plain(services.get_object(kind, ident))}


@router.put("/objects/{kind}/{ident}", response=PlanOut, summary="Create an object, or replace its fields")
def put_object(request: HttpRequest, kind: str, ident: str, body: ObjectIn) -> PlanOut:
    """Fields that are left out get their defaults; `api_keys` left out stay as they are."""
    who = author(request, Verb.CONFIGURE, f"{kind}.{ident}", body.message)
    return plan_out(*services.put_object(kind, ident, body.fields, who, expected=body.expected))


@router.patch("/objects/{kind}/{ident}", response=PlanOut, summary="Change some fields of an object")
def edit_object(request: HttpRequest, kind: str, ident: str, body: ObjectIn) -> PlanOut:
    """404 when there is no such object."""
    who = author(request, Verb.CONFIGURE, f"{kind}.{ident}", body.message)
    return plan_out(*services.edit_object(kind, ident, body.fields, who, expected=body.expected))


@router.delete("/objects/{kind}/{ident}", response=PlanOut, summary="Delete an object")
def delete_object(request: HttpRequest, kind: str, ident: str, why: Query[Change]) -> PlanOut:
    """Refused while something refers to it. Deleting a view forgets what it knows, so it needs `reset` as well."""
    who = author(request, Verb.CONFIGURE, f"{kind}.{ident}", why.message)
    principal_of(request).check_confirmed()
    if kind == "views":
        allow(request, Verb.RESET, f"{kind}.{ident}")
    return plan_out(*services.delete_object(kind, ident, who, expected=why.expected))


@router.post("/pipes/{ident}/{action}", summary="Pause a pipe, or let it go on")
def pause_pipe(request: HttpRequest, ident: str, action: Literal["pause", "resume"]) -> dict[str, Any]:
    """A paused pipe answers 503; its agents keep their events and send them later."""
    actor = allow(request, Verb.CONTROL, f"pipes.{ident}")
    pipe = Pipe.objects.filter(slug=ident).first()
    if pipe is None:
        raise NotFound(f"There is no pipe {ident!r}.", fix="See the list of pipes.")
    services.pause_pipe(pipe, paused=action == "pause", actor=actor)
    return {"pipe": ident, "paused": action == "pause"}
