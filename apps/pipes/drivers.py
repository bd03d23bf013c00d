"""The drivers of receivers, and the registries of receivers, views, sources and senders that validation and forms read.

Sources and senders run on the agent, which the server does not import. What is known here of their settings is checked here too;
names and drivers that only an agent knows are left to it: it checks when it takes the configuration.
"""

import functools
from typing import Annotated

from msgspec import Meta, Struct

from apps.runtime.drivers import Driver, installed
from apps.views.drivers import FS, FS_FOREST
from fustor_schema.settings import EchoSenderSettings, FsSettings, HttpSenderSettings

MEGABYTE = 1024 * 1024


class HttpReceiverSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the receiver driver `http`."""

    max_body_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=1024 * MEGABYTE,
            title="Largest batch",
            description="A larger one is answered 413.",
            extra_json_schema={"x-unit": "bytes"},
        ),
    ] = 64 * MEGABYTE


HTTP = Driver("http", "HTTP", HttpReceiverSettings)
FS_SOURCE = Driver("fs", "File system", FsSettings)
HTTP_SENDER = Driver("http", "HTTP", HttpSenderSettings)
ECHO_SENDER = Driver("echo", "Echo: prints, for a try", EchoSenderSettings)


@functools.cache
def receiver_drivers() -> dict[str, Driver]:
    """Receiver drivers by name."""
    return installed("fustor.receivers", (HTTP,))


@functools.cache
def view_drivers() -> dict[str, Driver]:
    """View drivers by name."""
    return installed("fustor.views", (FS, FS_FOREST))


@functools.cache
def source_drivers() -> dict[str, Driver]:
    """Source drivers whose settings the server knows, by name. Agents may have more."""
    return installed("fustor.source-settings", (FS_SOURCE,))


@functools.cache
def sender_drivers() -> dict[str, Driver]:
    """Sender drivers whose settings the server knows, by name. Agents may have more."""
    return installed("fustor.sender-settings", (HTTP_SENDER, ECHO_SENDER))


def drivers_of(kind: str) -> dict[str, Driver]:
    """The drivers of a kind of objects; none for kinds without drivers."""
    registries = {"receivers": receiver_drivers, "views": view_drivers, "sources": source_drivers, "senders": sender_drivers}
    return registries[kind]() if kind in registries else {}
