"""Which router of which app answers under which prefix of `/api/v1`, and who may ask it at all. Used by fustor_site.api."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ninja import Router
from ninja.constants import NOT_SET


@dataclass(frozen=True)
class Mount:
    """A router and its authentication, both by the place where they are found."""

    prefix: str
    router: str
    auth: str


AUTH = "apps.pipes.auth"
# the order in which paths are tried
MOUNTS = (
    Mount("/pipe/agents", "apps.pipes.api.hosts:router", f"{AUTH}:agent_auth"),
    Mount("/pipe", "apps.sessions.api:router", f"{AUTH}:push_auth"),
    Mount("/views", "apps.sessions.api:view_router", f"{AUTH}:read_auth"),
    Mount("/views", "apps.views.api:router", f"{AUTH}:read_auth"),
    Mount("/manage", "apps.pipes.api:router", f"{AUTH}:manage_auth"),
)


def mounts() -> Iterator[tuple[str, Router, Callable[..., Any] | object]]:
    """(prefix, router, authentication) of every mount."""
    for mount in MOUNTS:
        if router := _load(mount.router):
            yield mount.prefix, router, _load(mount.auth) or NOT_SET


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name) if find_spec(module) else None
