"""Keys: list, issue, rotate, revoke. A secret appears in one answer only, the one that made it."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.pipes import keys, services
from apps.pipes.api.guard import allow, principal_of
from apps.pipes.api.schemas import Paging
from apps.pipes.models import Agent, ApiKey, KeyKind, Pipe, Receiver
from apps.pipes.permissions import Verb, verbs_of
from apps.runtime import clock
from apps.runtime.problems import Forbidden, Invalid, NotFound
from apps.views.models import View

router = Router()


class KeyIn(Schema):
    """Kind and scope of a new key; the scope cannot be changed later."""

    kind: KeyKind
    name: str = Field("", max_length=200)
    receiver: str = ""
    agent: str = ""
    pipes: list[str] = Field([], max_length=1000)
    views: list[str] = Field([], max_length=1000)
    all_views: bool = False
    scopes: list[str] = Field([], max_length=50)
    allowed_networks: list[str] = Field([], max_length=100)
    expires_in_seconds: float | None = Field(None, gt=0, le=10 * 366 * 86400)


class RotateIn(Schema):
    """How long the old key stays good beside the new one."""

    overlap_seconds: float = Field(86400.0, ge=0)


@router.get("/keys", summary="Keys, without secrets")
def list_keys(request: HttpRequest, page: Query[Paging], kind: KeyKind | None = None) -> dict[str, Any]:
    """Usable and revoked ones, by kind and prefix."""
    allow(request, Verb.KEYS, "keys")
    found = ApiKey.objects.select_related("receiver", "agent").prefetch_related("pipes", "views")
    if kind:
        found = found.filter(kind=kind)
    return {"count": found.count(), "keys": [services.describe(key) for key in found[page.offset : page.offset + page.limit]]}


@router.post("/keys", response={201: dict[str, Any]}, summary="Issue a key")
def issue_key(request: HttpRequest, body: KeyIn) -> tuple[int, dict[str, Any]]:
    """`secret` is in this answer only. A key cannot be given scopes that its maker does not hold."""
    actor = allow(request, Verb.KEYS, "keys")
    _check_not_above(request, body)
    key, secret = services.issue_key(actor, body.kind, body.name, **_scope(body))
    return 201, {**services.describe(key), "secret": secret}


@router.get("/keys/{ref}", summary="One key, without its secret")
def get_key(request: HttpRequest, ref: str) -> dict[str, Any]:
    """By reference."""
    allow(request, Verb.KEYS, f"keys.{ref}")
    return services.describe(services.find_key(ref))


@router.post("/keys/{ref}/rotate", response={201: dict[str, Any]}, summary="Replace a key by a new one with the same scope")
def rotate_key(request: HttpRequest, ref: str, body: RotateIn) -> tuple[int, dict[str, Any]]:
    """Both are good during the overlap; the secret of the new one is in this answer only."""
    actor = allow(request, Verb.KEYS, f"keys.{ref}")
    old = services.find_key(ref)
    _check_scopes(request, old.scopes)
    key, secret = services.rotate_key(actor, old, body.overlap_seconds)
    return 201, {**services.describe(key), "secret": secret}


@router.delete("/keys/{ref}", response={204: None}, summary="Revoke a key for good")
def revoke_key(request: HttpRequest, ref: str) -> tuple[int, None]:
    """Its live sessions end; every process refuses it within 5 seconds."""
    actor = allow(request, Verb.KEYS, f"keys.{ref}")
    services.revoke_key(actor, services.find_key(ref))
    return 204, None


def _check_not_above(request: HttpRequest, body: KeyIn) -> None:
    if body.kind == KeyKind.MANAGEMENT:
        _check_scopes(request, body.scopes)


def _check_scopes(request: HttpRequest, scopes: list[str]) -> None:
    try:
        wanted = verbs_of(scopes)
    except ValueError as error:
        raise Invalid(f"{error}.", field="scopes", fix="Use a role or a verb.") from error
    above = sorted(verb for verb in wanted if not principal_of(request).allows(verb))
    if above:
        raise Forbidden(f"You cannot give away {above[0]!r}, which you do not hold.", fix="Ask an admin to issue this key.")


def _scope(body: KeyIn) -> keys.ScopeFields:
    expires = clock.now_datetime() + timedelta(seconds=body.expires_in_seconds) if body.expires_in_seconds else None
    return {
        "receiver": _named(Receiver, "receiver", body.receiver) if body.receiver else None,
        "agent": _named(Agent, "agent", body.agent) if body.agent else None,
        "pipes": [_named(Pipe, "pipe", slug) for slug in body.pipes],
        "views": [_named(View, "view", slug) for slug in body.views],
        "all_views": body.all_views,
        "scopes": body.scopes,
        "allowed_networks": body.allowed_networks,
        "expires_at": expires,
    }


def _named(model: type[Any], word: str, slug: str) -> Any:
    row = model.objects.filter(slug=slug).first()
    if row is None:
        raise NotFound(f"There is no {word} {slug!r}.", field=word)
    return row
