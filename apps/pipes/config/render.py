"""The present configuration as a document. Called before every change (what is there?) and by every export."""

from collections import defaultdict

from django.db.models import Prefetch

from apps.pipes.config.canonical import without_defaults
from apps.pipes.config.document import (
    AgentDoc,
    AgentPipeDoc,
    Document,
    KeyEntry,
    PipeDoc,
    ReceiverDoc,
    SenderDoc,
    SourceDoc,
    ViewDoc,
)
from apps.pipes.drivers import view_drivers
from apps.pipes.models import Agent, AgentPipe, ApiKey, KeyKind, Pipe, Receiver, Sender, Source
from apps.runtime import server_settings
from apps.views.drivers import ViewSettings
from apps.views.models import View


def render() -> Document:
    """Everything that is configured, in canonical form, in a constant number of queries."""
    receiver_keys, view_keys = _key_entries()
    return Document(
        receivers={row.slug: _receiver(row, receiver_keys[row.slug]) for row in Receiver.objects.order_by("slug")},
        views={row.slug: _view(row, view_keys[row.slug]) for row in View.objects.order_by("slug")},
        pipes={row.slug: _pipe(row) for row in _pipes()},
        sources={row.slug: _source(row) for row in Source.objects.order_by("slug")},
        senders={row.slug: _sender(row) for row in Sender.objects.order_by("slug")},
        agents={row.slug: _agent(row) for row in _agents() if is_configured(row)},
        settings=server_settings.stored(),
    )


def is_configured(agent: Agent) -> bool:
    """Whether an agent is part of the configuration; one that is only known from sessions is not."""
    return bool(agent.enrolled_at or agent.labels or agent.name or not agent.enabled or agent.agent_pipes.all())


def _pipes() -> list[Pipe]:
    return list(Pipe.objects.select_related("receiver").prefetch_related("views").order_by("slug"))


def _agents() -> list[Agent]:
    ran = AgentPipe.objects.select_related("source", "sender", "pipe").order_by("slug")
    return list(Agent.objects.prefetch_related(Prefetch("agent_pipes", queryset=ran)).order_by("slug"))


def _key_entries() -> tuple[dict[str, list[KeyEntry]], dict[str, list[KeyEntry]]]:
    """Entries of usable keys by receiver and by view."""
    by_receiver: dict[str, list[KeyEntry]] = defaultdict(list)
    by_view: dict[str, list[KeyEntry]] = defaultdict(list)
    listed = ApiKey.objects.filter(revoked_at=None, kind__in=(KeyKind.RECEIVER, KeyKind.QUERY))
    for key in listed.select_related("receiver").prefetch_related("pipes", "views").order_by("ref"):
        if key.receiver:
            for pipe in sorted(pipe.slug for pipe in key.pipes.all()):
                by_receiver[key.receiver.slug].append(KeyEntry(ref=key.ref, pipe_id=pipe, name=key.name))
        for view in key.views.all():
            by_view[view.slug].append(KeyEntry(ref=key.ref, name=key.name))
    return by_receiver, by_view


def _receiver(row: Receiver, entries: list[KeyEntry]) -> ReceiverDoc:
    return ReceiverDoc(
        driver=row.driver, name=row.name, disabled=not row.enabled, driver_params=row.settings, api_keys=tuple(entries)
    )


def _view(row: View, entries: list[KeyEntry]) -> ViewDoc:
    return ViewDoc(
        driver=row.driver,
        name=row.name,
        disabled=not row.enabled,
        driver_params=view_settings(row),
        api_keys=tuple(entries),
    )


def view_settings(row: View) -> dict[str, object]:
    """Settings of a view that differ from the defaults: columns for the built-in drivers, JSON for others."""
    if view_drivers()[row.driver].settings is not ViewSettings:
        return dict(row.driver_params)
    return without_defaults(ViewSettings(**{name: getattr(row, name) for name in ViewSettings.__struct_fields__}))


def _pipe(row: Pipe) -> PipeDoc:
    return PipeDoc(
        receiver=row.receiver.slug,
        views=tuple(sorted(view.slug for view in row.views.all())),
        name=row.name,
        disabled=not row.enabled,
        session_timeout_seconds=row.session_timeout_seconds,
        audit_interval_sec=row.audit_interval_sec,
        sentinel_interval_sec=row.sentinel_interval_sec,
        allow_concurrent_push=row.allow_concurrent_push,
    )


def _source(row: Source) -> SourceDoc:
    return SourceDoc(uri=row.uri, driver=row.driver, name=row.name, disabled=not row.enabled, driver_params=row.settings)


def _sender(row: Sender) -> SenderDoc:
    return SenderDoc(
        uri=row.uri,
        driver=row.driver,
        name=row.name,
        disabled=not row.enabled,
        credential=row.credential,
        driver_params=row.settings,
    )


def _agent(row: Agent) -> AgentDoc:
    ran = {pipe.slug: _agent_pipe(pipe) for pipe in row.agent_pipes.all()}
    return AgentDoc(name=row.name, disabled=not row.enabled, labels=dict(sorted(row.labels.items())), pipes=ran)


def _agent_pipe(row: AgentPipe) -> AgentPipeDoc:
    return AgentPipeDoc(
        source=row.source.slug,
        sender=row.sender.slug,
        pipe=row.pipe.slug if row.pipe else "",
        name=row.name,
        disabled=not row.enabled,
        settings=row.settings,
    )
