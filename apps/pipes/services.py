"""The verbs on what is configured: put, switch and delete one object, issue, rotate and revoke keys. One revision per change.

Console, API and commands call these; whoever calls has checked the permission.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Unpack

import msgspec
from django.db import transaction
from msgspec import structs

from apps.pipes import audit, keys
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.config.document import KINDS, AgentDoc, Document, Entry, from_plain, to_plain
from apps.pipes.config.faults import Fault, as_problem, refuse
from apps.pipes.config.places import Place, without
from apps.pipes.config.plan import Plan
from apps.pipes.config.render import render
from apps.pipes.models import ApiKey, Pipe, Revision
from apps.runtime import clock, hints
from apps.runtime.problems import Conflict, Invalid, NotFound
from apps.runtime.server_settings import ServerSettings
from apps.runtime.shape import misfits, reason_and_place

LONGEST_OVERLAP_SECONDS = 30 * 86400
Outcome = tuple[Plan, Revision | None]


def put_object(kind: str, ident: str, fields: dict[str, Any], author: service.Author, *, expected: int | None = None) -> Outcome:
    """Create an object or make it what `fields` say; fields that are left out get their defaults, keys stay as they are."""
    return service.change(service.Wanted(document_with(kind, ident, fields)), author, expected=expected)


@transaction.atomic
def edit_object(kind: str, ident: str, changes: dict[str, Any], author: service.Author, *, expected: int | None = None) -> Outcome:
    """Change some fields of an object that exists. Raises NotFound, Invalid, Conflict."""
    service.serialise()
    present = to_plain(get_object(kind, ident))
    return put_object(kind, ident, {**present, **changes}, author, expected=expected)


@transaction.atomic
def delete_object(kind: str, ident: str, author: service.Author, *, expected: int | None = None) -> Outcome:
    """Delete an object. Invalid when something still refers to it, Conflict when it holds what must not be lost."""
    service.serialise()
    get_object(kind, ident)
    wanted = service.Wanted(without(render(), Place(kind, ident)), replace=True)
    return service.change(wanted, author, expected=expected)


@transaction.atomic
def switch_objects(kind: str, idents: Collection[str], *, enabled: bool, author: service.Author) -> Outcome:
    """Switch many objects of one kind on or off, as one revision. An agent that is only known from sessions gets an entry.

    Raises NotFound for an unknown kind, Conflict as any change.
    """
    if kind not in KINDS:
        raise NotFound(f"There is no kind of object {kind!r}.", fix=f"Kinds are {', '.join(KINDS)}.")
    service.serialise()
    present = render().section(kind)
    entries = {ident: present.get(ident) or (AgentDoc() if kind == "agents" else None) for ident in idents}
    switched = {ident: structs.replace(entry, disabled=not enabled) for ident, entry in entries.items() if entry}
    return service.change(service.Wanted(structs.replace(Document(), **{kind: switched})), author)


@transaction.atomic
def switch_agent_pipes(pipes: Collection[tuple[str, str]], *, enabled: bool, author: service.Author) -> Outcome:
    """Switch agent pipes, given as (agent, pipe), on or off, as one revision."""
    service.serialise()
    present = render().agents
    changed: dict[str, AgentDoc] = {}
    for agent, ident in pipes:
        entry = changed.get(agent) or present.get(agent)
        if entry is not None and ident in entry.pipes:
            switched = structs.replace(entry.pipes[ident], disabled=not enabled)
            changed[agent] = structs.replace(entry, pipes={**entry.pipes, ident: switched})
    return service.change(service.Wanted(Document(agents=changed)), author)


def put_settings(fields: dict[str, Any], author: service.Author, *, expected: int | None = None) -> Outcome:
    """Make the settings of the server what `fields` say; those left out are as the environment says. Raises Invalid, Conflict."""
    return service.change(service.Wanted(Document(settings=settings_with(fields))), author, expected=expected)


def settings_with(fields: dict[str, Any]) -> ServerSettings:
    """Typed settings. Raises Invalid with every faulty field."""
    said = {name: value for name, value in fields.items() if value is not None}
    fix = f"Settings are {', '.join(ServerSettings.__struct_fields__)}."
    refuse(Fault(f"settings.{place}" if place else "settings", reason, fix) for place, reason in misfits(said, ServerSettings))
    return from_plain(said, ServerSettings)


def get_object(kind: str, ident: str) -> Entry:
    """One object of the present configuration. Raises NotFound."""
    if kind not in KINDS:
        raise NotFound(f"There is no kind of object {kind!r}.", fix=f"Kinds are {', '.join(KINDS)}.")
    found: Entry | None = render().section(kind).get(ident)
    if found is None:
        raise NotFound(f"There is no {kind}.{ident}.", fix=f"See the list of {kind}.")
    return found


def document_with(kind: str, ident: str, fields: dict[str, Any]) -> Document:
    """A document of one object. Raises NotFound for an unknown kind, Invalid naming the faulty field."""
    if kind not in KINDS:
        raise NotFound(f"There is no kind of object {kind!r}.", fix=f"Kinds are {', '.join(KINDS)}.")
    try:
        return from_plain({kind: {ident: fields}}, Document)
    except msgspec.ValidationError as error:
        fix = f"Fields are {', '.join(KINDS[kind].__struct_fields__)}."
        wrong = misfits(fields, KINDS[kind]) or [("", reason_and_place(error)[0])]
        places = ((f"{kind}.{ident}.{place}" if place else f"{kind}.{ident}", reason) for place, reason in wrong)
        raise as_problem([Fault(where, reason, fix) for where, reason in places]) from error


@transaction.atomic
def pause_pipe(pipe: Pipe, *, paused: bool, actor: Actor) -> None:
    """Let a pipe refuse events for a while (503, agents keep them), or go on. Operation, not configuration: no revision."""
    Pipe.objects.filter(pk=pipe.pk).update(paused=paused)
    audit.record(actor, "pipe.pause" if paused else "pipe.resume", f"pipes.{pipe.slug}")
    hints.changed("fleet", f"pipe.{pipe.pk}")


@transaction.atomic
def issue_key(actor: Actor, kind: str, name: str = "", **scope: Unpack[keys.ScopeFields]) -> tuple[ApiKey, str]:
    """Make a key and say so in the audit log. The secret is returned once and kept nowhere."""
    key, secret = keys.create_key(kind, name=name, created_by=actor.name, **scope)
    audit.record(actor, "key.create", f"keys.{key.ref}", after=describe(key))
    service.record_revision(_author(actor), f"create key {key.ref}")
    return key, secret


@transaction.atomic
def rotate_key(actor: Actor, key: ApiKey, overlap_seconds: float) -> tuple[ApiKey, str]:
    """A new key with the scope of an old one, which goes on for `overlap_seconds` and then is no good any more."""
    if not 0 <= overlap_seconds <= LONGEST_OVERLAP_SECONDS:
        raise Invalid(f"The overlap must be 0 to {LONGEST_OVERLAP_SECONDS} seconds.", field="overlap_seconds")
    if key.revoked_at is not None:
        raise Conflict(f"Key {key.ref} is revoked.", fix="Make a new key instead.")
    new, secret = keys.create_key(key.kind, name=key.name, created_by=actor.name, **_scope_of(key))
    ApiKey.objects.filter(pk=new.pk).update(replaces=key)
    _retire(key, overlap_seconds)
    audit.record(actor, "key.rotate", f"keys.{key.ref}", after={"new": new.ref, "overlap_seconds": overlap_seconds})
    service.record_revision(_author(actor), f"rotate key {key.ref}")
    return new, secret


@transaction.atomic
def revoke_key(actor: Actor, key: ApiKey) -> None:
    """Revoke a key for good; its live sessions end, every process refuses it within 5 s (R50)."""
    if not keys.revoke([key]):
        raise Conflict(f"Key {key.ref} is revoked already.")
    audit.record(actor, "key.revoke", f"keys.{key.ref}", before=describe(key))
    service.record_revision(_author(actor), f"revoke key {key.ref}")
    hints.changed("fleet")


@transaction.atomic
def revoke_keys(actor: Actor, found: Sequence[ApiKey]) -> int:
    """Revoke many keys for good, as one revision; how many were not revoked before."""
    usable = [key for key in found if key.revoked_at is None]
    keys.revoke(usable)
    for key in usable:
        audit.record(actor, "key.revoke", f"keys.{key.ref}", before=describe(key))
    service.record_revision(_author(actor), f"revoke {len(usable)} keys")
    hints.changed("fleet")
    return len(usable)


def find_key(ref: str) -> ApiKey:
    """The key with this reference. Raises NotFound."""
    key = ApiKey.objects.filter(ref=ref).select_related("receiver", "agent").first()
    if key is None:
        raise NotFound(f"There is no key {ref}.", fix="See the list of keys.")
    return key


def describe(key: ApiKey) -> dict[str, Any]:
    """What may be shown of a key: its visible ends, its scope and its times, never more of the secret."""
    return {
        "ref": key.ref,
        "kind": key.kind,
        "name": key.name,
        "key": str(key),
        "origin": key.origin,
        "receiver": key.receiver.slug if key.receiver else None,
        "agent": key.agent.slug if key.agent else None,
        "pipes": sorted(pipe.slug for pipe in key.pipes.all()),
        "views": sorted(view.slug for view in key.views.all()),
        "all_views": key.all_views,
        "scopes": key.scopes,
        "allowed_networks": key.allowed_networks,
        "created_at": _iso(key.created_at),
        "created_by": key.created_by,
        "expires_at": _iso(key.expires_at),
        "last_used_at": _iso(key.last_used_at),
        "revoked_at": _iso(key.revoked_at),
        "revoked_because": key.revoked_because,
    }


def _scope_of(key: ApiKey) -> keys.ScopeFields:
    return {
        "receiver": key.receiver,
        "agent": key.agent,
        "pipes": list(key.pipes.all()),
        "views": list(key.views.all()),
        "all_views": key.all_views,
        "scopes": key.scopes,
        "allowed_networks": key.allowed_networks,
    }


def _retire(key: ApiKey, overlap_seconds: float) -> None:
    if overlap_seconds == 0:
        keys.revoke([key], ApiKey.Revocation.ROTATED)
        return
    end = clock.now_datetime() + timedelta(seconds=overlap_seconds)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=min(end, key.expires_at or end))
    transaction.on_commit(keys.forget)


def _author(actor: Actor) -> service.Author:
    return service.Author(actor.name, address=actor.address, request_id=actor.request_id)


def _iso(at: Any) -> str | None:
    return at.isoformat() if at else None
