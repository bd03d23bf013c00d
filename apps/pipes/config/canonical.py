"""One form for equal settings: numbers in the driver's types, defaults left out, lists in a fixed order. Pure."""

from typing import Any, TypeVar

import msgspec

from apps.pipes.config.document import AgentDoc, Document, PipeDoc, ReceiverDoc, ViewDoc
from apps.pipes.drivers import receiver_drivers, view_drivers
from apps.runtime.drivers import Driver
from apps.runtime.server_settings import ServerSettings

E = TypeVar("E", ReceiverDoc, ViewDoc)


def canonical(document: Document) -> Document:
    """The document in its one form. It must have no faults (apps.pipes.config.check)."""
    receivers, views = receiver_drivers(), view_drivers()
    return Document(
        receivers={ident: _with_driver(entry, receivers[entry.driver]) for ident, entry in sorted(document.receivers.items())},
        views={ident: _with_driver(entry, views[entry.driver]) for ident, entry in sorted(document.views.items())},
        pipes={ident: _pipe(entry) for ident, entry in sorted(document.pipes.items())},
        sources=dict(sorted(document.sources.items())),
        senders=dict(sorted(document.senders.items())),
        agents={ident: _agent(entry) for ident, entry in sorted(document.agents.items())},
        settings=document.settings or ServerSettings(),
    )


def without_defaults(settings: msgspec.Struct) -> dict[str, Any]:
    """The settings that differ from the driver's defaults."""
    fields = msgspec.structs.fields(type(settings))
    return {field.name: value for field in fields if (value := getattr(settings, field.name)) != field.default}


def _with_driver(entry: E, driver: Driver) -> E:
    entries = None if entry.api_keys is None else tuple(sorted(set(entry.api_keys), key=lambda key: (key.ref, key.pipe_id)))
    parameters = without_defaults(driver.check(entry.driver_params))
    return msgspec.structs.replace(entry, driver_params=parameters, api_keys=entries)


def _agent(entry: AgentDoc) -> AgentDoc:
    pipes, labels = dict(sorted(entry.pipes.items())), dict(sorted(entry.labels.items()))
    return msgspec.structs.replace(entry, pipes=pipes, labels=labels)


def _pipe(entry: PipeDoc) -> PipeDoc:
    return msgspec.structs.replace(entry, views=tuple(sorted(entry.views)))
