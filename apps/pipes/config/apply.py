"""Write a plan into the tables. Called inside the transaction of apps.pipes.config.service only."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, ProtectedError

from apps.pipes import keys
from apps.pipes.config.document import (
    SETTINGS,
    AgentDoc,
    AgentPipeDoc,
    Document,
    PipeDoc,
    ReceiverDoc,
    SenderDoc,
    SourceDoc,
    ViewDoc,
)
from apps.pipes.config.plan import Action, Plan, Step
from apps.pipes.drivers import view_drivers
from apps.pipes.hashing import Fingerprint
from apps.pipes.models import UNSET, Agent, AgentPipe, ApiKey, KeyKind, Pipe, Receiver, Sender, Source
from apps.runtime import server_settings
from apps.runtime.problems import Conflict
from apps.runtime.server_settings import ServerSettings
from apps.views.drivers import ViewSettings
from apps.views.models import View, ViewDriver
from apps.views.services import drop_view_trees, keep_members

MODELS: dict[str, type[Any]] = {
    "receivers": Receiver,
    "views": View,
    "pipes": Pipe,
    "sources": Source,
    "senders": Sender,
    "agents": Agent,
}


def apply(plan: Plan, secrets: dict[str, Fingerprint]) -> None:
    """Make the tables say what the plan's result says. `secrets`: fingerprints of keys that came with the document."""
    for step in plan.of(Action.CREATE, Action.UPDATE):
        if step.kind == SETTINGS:
            server_settings.store(plan.result.settings or ServerSettings())
            continue
        WRITERS[step.kind](step.ident, plan.result.section(step.kind)[step.ident])
    _write_keys(plan.result, secrets)
    for step in reversed(plan.of(Action.DELETE)):
        _delete(step)
    for forest in View.objects.filter(driver=ViewDriver.FS_FOREST):
        keep_members(forest, list(forest.pipes.values_list("slug", flat=True)))


def _receiver(slug: str, entry: ReceiverDoc) -> None:
    _put(Receiver, slug, **_driven(entry))


def _view(slug: str, entry: ViewDoc) -> None:
    settings = view_drivers()[entry.driver].check(entry.driver_params)
    if isinstance(settings, ViewSettings):
        columns = {name: getattr(settings, name) for name in ViewSettings.__struct_fields__} | {"driver_params": {}}
    else:
        columns = {"driver_params": entry.driver_params}
    present = View.objects.filter(slug=slug).first()
    if present is not None and present.driver != entry.driver:
        drop_view_trees(present)  # what one driver knows means nothing to another: the view starts empty
    _put(View, slug, name=entry.name, enabled=not entry.disabled, driver=entry.driver, **columns)


def _pipe(slug: str, entry: PipeDoc) -> None:
    row = _put(
        Pipe,
        slug,
        name=entry.name,
        enabled=not entry.disabled,
        receiver=Receiver.objects.get(slug=entry.receiver),
        session_timeout_seconds=entry.session_timeout_seconds,
        audit_interval_sec=entry.audit_interval_sec,
        sentinel_interval_sec=entry.sentinel_interval_sec,
        allow_concurrent_push=entry.allow_concurrent_push,
    )
    row.views.set(View.objects.filter(slug__in=entry.views))


def _source(slug: str, entry: SourceDoc) -> None:
    _put(Source, slug, **_driven(entry), uri=entry.uri)


def _sender(slug: str, entry: SenderDoc) -> None:
    _put(Sender, slug, **_driven(entry), uri=entry.uri, credential=entry.credential)


def _agent(slug: str, entry: AgentDoc) -> None:
    agent = _put(Agent, slug, name=entry.name, enabled=not entry.disabled, labels=entry.labels)
    agent.agent_pipes.exclude(slug__in=entry.pipes).delete()
    for pipe_slug, pipe in entry.pipes.items():
        _agent_pipe(agent, pipe_slug, pipe)


def _agent_pipe(agent: Agent, slug: str, entry: AgentPipeDoc) -> None:
    AgentPipe.objects.update_or_create(
        agent=agent,
        slug=slug,
        defaults={
            "name": entry.name,
            "enabled": not entry.disabled,
            "source": Source.objects.get(slug=entry.source),
            "sender": Sender.objects.get(slug=entry.sender),
            "pipe": Pipe.objects.get(slug=entry.pipe) if entry.pipe else None,
            "settings": entry.settings,
        },
    )


WRITERS: dict[str, Callable[[str, Any], None]] = {
    "receivers": _receiver,
    "views": _view,
    "pipes": _pipe,
    "sources": _source,
    "senders": _sender,
    "agents": _agent,
}


def _driven(entry: ReceiverDoc | SourceDoc | SenderDoc) -> dict[str, Any]:
    """The columns of what a driver with settings of its own stands for."""
    return {"name": entry.name, "enabled": not entry.disabled, "driver": entry.driver, "settings": entry.driver_params}


def _put(model: type[Any], slug: str, **columns: Any) -> Any:
    """Create the row or update it, counting its version up."""
    row = model.objects.filter(slug=slug).first()
    if row is None:
        return model.objects.create(slug=slug, **columns)
    for name, value in columns.items():
        setattr(row, name, value)
    row.version += 1
    row.save()
    return row


def _delete(step: Step) -> None:
    row: Model = MODELS[step.kind].objects.get(slug=step.ident)
    try:
        if isinstance(row, Agent):
            row.agent_pipes.all().delete()
        if isinstance(row, View):
            drop_view_trees(row)
        row.delete()
    except ProtectedError as error:
        held = sorted({f"{held._meta.verbose_name} {held}" for held in error.protected_objects})
        raise Conflict(
            f"{step.kind}.{step.ident} cannot be deleted: it is still used by {', '.join(held[:5])}.",
            field=f"{step.kind}.{step.ident}",
            fix="Delete what uses it first, or disable it instead.",
        ) from error


@dataclass
class _Binding:
    """What one key of the document is bound to."""

    receiver: str = ""
    name: str = ""
    pipes: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)


def _bindings(document: Document) -> dict[str, _Binding]:
    bindings: dict[str, _Binding] = defaultdict(_Binding)
    for slug, receiver in document.receivers.items():
        for entry in receiver.api_keys or ():
            bindings[entry.ref].receiver, bindings[entry.ref].name = slug, entry.name
            bindings[entry.ref].pipes.add(entry.pipe_id)
    for slug, view in document.views.items():
        for entry in view.api_keys or ():
            bindings[entry.ref].views.add(slug)
            bindings[entry.ref].name = bindings[entry.ref].name or entry.name
    return dict(bindings)


def _write_keys(document: Document, secrets: dict[str, Fingerprint]) -> None:
    """Bind the keys that the document lists, remove those it no longer lists. Keys revoked by a person stay revoked."""
    bindings = _bindings(document)
    present = {key.ref: key for key in ApiKey.objects.filter(kind__in=(KeyKind.RECEIVER, KeyKind.QUERY), all_views=False)}
    keys.revoke(_unlisted(present.values(), bindings), ApiKey.Revocation.REMOVED)
    for ref, binding in bindings.items():
        _bind(present.get(ref) or _new_key(ref, secrets.get(ref)), binding)
    keys.forget()


def _unlisted(present: Iterable[ApiKey], bindings: dict[str, _Binding]) -> list[ApiKey]:
    return [key for key in present if key.revoked_at is None and key.ref not in bindings]


def fill_in(secrets: dict[str, Fingerprint]) -> None:
    """Give keys of which only the reference was known the secrets that came along. The document stays the same."""
    for key in ApiKey.objects.filter(ref__in=secrets, digest__startswith=UNSET):
        kept = secrets[key.ref]
        key.prefix, key.last_four, key.digest = kept.prefix, kept.last_four, kept.digest
        key.save(update_fields=["prefix", "last_four", "digest"])


def _new_key(ref: str, secret: Fingerprint | None) -> ApiKey:
    """A key as read from YAML; without its secret it only holds the place of its reference, and no secret fits it."""
    kept = secret or Fingerprint(digest=f"{UNSET}{ref}", prefix="unset", last_four="")
    origin = ApiKey.Origin.IMPORTED
    return ApiKey(ref=ref, origin=origin, prefix=kept.prefix, last_four=kept.last_four, digest=kept.digest)


def _bind(key: ApiKey, binding: _Binding) -> None:
    if key.revoked_at is not None and key.revoked_because != ApiKey.Revocation.REMOVED:
        return
    key.kind = KeyKind.RECEIVER if binding.receiver else KeyKind.QUERY
    key.receiver = Receiver.objects.get(slug=binding.receiver) if binding.receiver else None
    key.name, key.revoked_at, key.revoked_because = binding.name, None, ""
    key.save()
    key.pipes.set(Pipe.objects.filter(slug__in=binding.pipes))
    key.views.set(View.objects.filter(slug__in=binding.views))
