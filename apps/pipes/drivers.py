"""The drivers of receivers, and the registries of receivers, views, sources and senders that validation and forms read.

Sources and senders run on the agent, which the server does not import: their settings are checked by name only here and
by the agent itself when it takes the configuration.
"""

import functools
from typing import Annotated

from msgspec import Meta, Struct

from apps.runtime.drivers import Driver, installed
from apps.views.drivers import FS, FS_FOREST

MEGABYTE = 1024 * 1024


class HttpReceiverSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the receiver driver `http`."""

    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=1024 * MEGABYTE, description="Largest batch taken, in bytes; a larger one is answered 413")
    ] = 64 * MEGABYTE


HTTP = Driver("http", "HTTP", HttpReceiverSettings)


@functools.cache
def receiver_drivers() -> dict[str, Driver]:
    """Receiver drivers by name."""
    return installed("fustor.receivers", (HTTP,))


@functools.cache
def view_drivers() -> dict[str, Driver]:
    """View drivers by name."""
    return installed("fustor.views", (FS, FS_FOREST))
